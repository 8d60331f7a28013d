"""Nearest fooling points of linear classifiers within the pixel range, by SciPy, in float64.

One image at a time, pixels flat. In linf the nearest point of a half-space is a linear program; in
l2 it is a projection, whose multiplier is found by bisection.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

__all__ = ["least_change", "nearest_error"]

Vector = NDArray[Any]


def least_change(x: Vector, w: Vector, rise: float, *, norm: str) -> Vector | None:
    """Minimise ||d|| over <w, d> = rise and 0 <= x + d <= 1; None where there is no such d."""
    return _linf(x, w, rise) if norm == "linf" else _l2(x, w, rise)


def _linf(x: Vector, w: Vector, rise: float) -> Vector | None:
    """Variables d and a bound s: minimise s with -s <= d <= s."""
    n = x.size
    one = np.ones((n, 1))
    solved = linprog(
        np.append(np.zeros(n), 1.0),
        A_ub=np.block([[np.eye(n), -one], [-np.eye(n), -one]]),
        b_ub=np.zeros(2 * n),
        A_eq=np.append(w, 0.0)[None],
        b_eq=[rise],
        bounds=[*zip(-x, 1 - x, strict=True), (0, None)],
        method="highs",
    )
    return np.asarray(solved.x[:n]) if solved.status == 0 else None


def _l2(x: Vector, w: Vector, rise: float) -> Vector | None:
    """By the conditions of optimality d is m w cut to the range, for one multiplier m."""

    def change(m: float) -> Vector:
        return np.asarray(np.clip(x + m * w, 0.0, 1.0) - x)

    sign, steep = (1.0 if rise >= 0 else -1.0), 1e9
    if abs(w @ change(sign * steep)) < abs(rise) - 1e-12:
        return None
    low, high = 0.0, steep
    for _ in range(200):
        middle = (low + high) / 2
        short = abs(w @ change(sign * middle)) < abs(rise)
        low, high = (middle, high) if short else (low, middle)
    return change(sign * high)


def nearest_error(weight: Vector, bias: Vector, x: Vector, own: int, *, norm: str) -> float:
    """Give the size of the smallest change at which another class is level with the own one."""
    order = np.inf if norm == "linf" else 2
    z = weight @ x + bias
    found = [np.inf]
    for k in range(len(bias)):
        if k != own:
            change = least_change(x, weight[k] - weight[own], float(z[own] - z[k]), norm=norm)
            if change is not None:
                found.append(float(np.linalg.norm(change, ord=order)))
    return min(found)
