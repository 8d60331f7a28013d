"""One-step adversarial images in NumPy float64: BAT's (Wang and Zhang 2019) and N-FGSM's.

BAT, eq. 3, 4 and 24 with the minus sign of a targeted step; the start is not clipped to the pixel
range before the gradient, as in the authors' code. N-FGSM (de Jorge et al. 2022): noise of twice
the radius, clipped to the pixel range, one step, and no projection but to the pixel range. One flat
image at a time; the noise is given as numbers in [-1, 1].
"""

from __future__ import annotations

import numpy as np

from oracles.madry_pgd import Net, Vector

__all__ = ["most_confusing", "n_fgsm", "targeted"]


def most_confusing(net: Net, x: Vector, c: int) -> int:
    """Eq. 24: the wrong class of least loss at the clean image."""
    best, at = None, -1
    for k, value in enumerate(net.logits(x)):
        if k != c and (best is None or value > best):
            best, at = value, k
    return at


def targeted(
    net: Net, x: Vector, t: int, *, noise: Vector, eps: float, step: float, steps: int = 1
) -> Vector:
    """Descend the loss towards class t from a random start, never leaving the ball's hull."""
    at = x + eps * noise
    for _ in range(steps):
        at = at - step * np.sign(net.gradient(at, t))
        for i in range(len(at)):
            at[i] = min(max(at[i], x[i] - eps), x[i] + eps)
            at[i] = min(max(at[i], 0.0), 1.0)
    return at


def n_fgsm(net: Net, x: Vector, y: int, *, noise: Vector, eps: float) -> Vector:
    """Noise of radius 2 eps, one step of eps away from the label."""
    start = np.clip(x + 2.0 * eps * noise, 0.0, 1.0)
    return np.asarray(np.clip(start + eps * np.sign(net.gradient(start, y)), 0.0, 1.0))
