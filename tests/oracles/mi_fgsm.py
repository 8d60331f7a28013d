"""MI-FGSM from the paper (Dong et al. 2018, algorithm 1), one image, pixel by pixel, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from oracles.madry_pgd import Vector

__all__ = ["iterates"]


def iterates(
    gradient: Callable[[Vector], Vector],
    x: Vector,
    *,
    eps: float,
    steps: int,
    momentum: float,
    sign: int = 1,
) -> list[Vector]:
    """Return the image and every iterate after it; `sign` -1 descends."""
    alpha = eps / steps
    path, carried = [x.copy()], np.zeros_like(x)
    for _ in range(steps):
        slope = gradient(path[-1])
        total = 0.0
        for value in slope:
            total += abs(value)
        following = path[-1].copy()
        for i in range(len(x)):
            carried[i] = momentum * carried[i] + (sign * slope[i] / total if total > 0 else 0.0)
            step = alpha * (carried[i] > 0) - alpha * (carried[i] < 0)
            following[i] = min(max(following[i] + step, x[i] - eps), x[i] + eps)
            following[i] = min(max(following[i], 0.0), 1.0)
        path.append(following)
    return path
