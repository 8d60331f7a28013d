"""PGD as Madry et al. 2018 (section 2.1) write it, with hand-derived gradients, in NumPy float64.

The network is one hidden layer: z = V tanh(W x + b) + c. The loss is the cross-entropy of one
image's class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Net", "Vector", "cross_entropy", "iterates"]

Vector = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Net:
    """The weights of z = V tanh(W x + b) + c."""

    w: Vector
    b: Vector
    v: Vector
    c: Vector

    def logits(self, x: Vector) -> Vector:
        """Return the logits of one flat image."""
        return np.asarray(self.v @ np.tanh(self.w @ x + self.b) + self.c)

    def gradient(self, x: Vector, y: int) -> Vector:
        """Return the gradient of the cross-entropy with respect to the image."""
        hidden = np.tanh(self.w @ x + self.b)
        z = self.v @ hidden + self.c
        p = np.exp(z - z.max())
        p /= p.sum()
        p[y] -= 1.0
        return np.asarray(self.w.T @ ((self.v.T @ p) * (1 - hidden**2)))


def cross_entropy(z: Vector, y: int) -> float:
    """Return -log softmax(z)_y."""
    return float(np.log(np.sum(np.exp(z - z.max()))) + z.max() - z[y])


def iterates(
    net: Net,
    x: Vector,
    y: int,
    *,
    start: Vector,
    eps: float,
    step_size: float,
    steps: int,
    norm: str,
) -> list[Vector]:
    """Return the start and every iterate after it."""
    path = [start.copy()]
    for _ in range(steps):
        gradient = net.gradient(path[-1], y)
        if norm == "linf":
            moved = path[-1] + step_size * np.sign(gradient)
            moved = np.minimum(np.maximum(moved, x - eps), x + eps)
        else:
            moved = path[-1] + step_size * gradient / np.sqrt(np.sum(gradient**2))
            size = np.sqrt(np.sum((moved - x) ** 2))
            if size > eps:
                moved = x + (moved - x) * eps / size
        path.append(np.minimum(np.maximum(moved, 0.0), 1.0))
    return path
