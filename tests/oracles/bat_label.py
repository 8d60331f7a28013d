"""The labels of BAT as Wang and Zhang 2019 print them, for one image, in loops.

Names follow section 4.1: c is the true class, n the number of classes, v_k = -log p_k. The
projected-gradient label is found by SciPy, which solves for the multiplier of the sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

__all__ = ["budget", "label", "losses", "nearest_label", "soft_label"]


def losses(z: Sequence[float]) -> list[float]:
    """Eq. 13: v_k = -log p_k, p the softmax of z."""
    top = max(z)
    total = math.fsum(math.exp(value - top) for value in z)
    return [math.log(total) + top - value for value in z]


def _parts(v: Sequence[float], c: int) -> tuple[float, float, float]:
    others = [v[k] for k in range(len(v)) if k != c]
    return min(others), max(others), math.fsum(others) / len(others)


def budget(v: Sequence[float], c: int, *, beta: float, gamma: float) -> float:
    """Eq. 18 with equality: the largest eps_y that eq. 17 allows."""
    v_mc, v_ll, mean = _parts(v, c)
    n = len(v)
    return 1.0 / (1.0 + beta / (n - 1) * (v_ll - v_mc + gamma) / (mean - v_mc + gamma))


def label(v: Sequence[float], c: int, *, beta: float, gamma: float) -> list[float]:
    """Eq. 14 with that budget."""
    v_mc, _, mean = _parts(v, c)
    n, eps_y = len(v), budget(v, c, beta=beta, gamma=gamma)
    moved = []
    for k in range(n):
        if k == c:
            moved.append(1.0 - eps_y)
        else:
            moved.append(eps_y / (n - 1) * (v[k] - v_mc + gamma) / (mean - v_mc + gamma))
    return moved


def soft_label(q: Sequence[float], v: Sequence[float], *, beta: float, gamma: float) -> list[float]:
    """T(q) = sum_c q_c T(e_c)."""
    n = len(q)
    total = [0.0] * n
    for c in range(n):
        moved = label(v, c, beta=beta, gamma=gamma)
        for k in range(n):
            total[k] += q[c] * moved[k]
    return total


def nearest_label(
    y: NDArray[np.float64], v: NDArray[np.float64], *, eps: float, alpha: float
) -> NDArray[np.float64]:
    """Eq. 12: the point of S_y (eq. 9) nearest to y + alpha v, by its optimality conditions.

    The nearest point of a box with a given sum is goal - tau, clipped to the box, for the one tau
    that gives the sum.
    """
    goal, low, high = y + alpha * v, np.maximum(y - eps, 0.0), np.minimum(y + eps, 1.0)

    def excess(tau: float) -> float:
        return math.fsum(np.clip(goal - tau, low, high)) - 1.0

    tau = brentq(excess, goal.min() - 2.0, goal.max() + 2.0, xtol=1e-15, rtol=1e-15)
    return np.asarray(np.clip(goal - tau, low, high), dtype=np.float64)
