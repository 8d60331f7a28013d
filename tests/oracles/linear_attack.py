"""Exact worst cases of linear classifiers z = W x + b, in NumPy and SciPy, float64.

One image at a time, pixels flat. A linear function is greatest over a box at a corner that is
chosen pixel by pixel, and over an l2 ball in the direction of its weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

__all__ = [
    "box",
    "highest_margin_l2",
    "highest_margin_linf",
    "targeted_loss_linf",
    "targeted_margin_l2",
    "worst_corner",
]

Vector = NDArray[Any]


def box(x: Vector, eps: Vector | float) -> tuple[Vector, Vector]:
    """Intersect the linf ball around x with the pixel range."""
    return np.maximum(x - eps, 0.0), np.minimum(x + eps, 1.0)


def worst_corner(w: Vector, x: Vector, eps: Vector | float) -> Vector:
    """Maximise w . x' over the box; pixels without weight stay where they are."""
    low, high = box(x, eps)
    corner = x.copy()
    for pixel in range(x.size):
        if w[pixel] > 0:
            corner[pixel] = high[pixel]
        elif w[pixel] < 0:
            corner[pixel] = low[pixel]
    return corner


def highest_margin_linf(
    weight: Vector, bias: Vector, x: Vector, own: int, eps: Vector | float
) -> float:
    """Give the greatest max_k (z_k - z_own) over the box, by enumerating the wrong classes."""
    found = []
    for k in range(len(bias)):
        if k != own:
            w = weight[k] - weight[own]
            found.append(float(w @ worst_corner(w, x, eps) + bias[k] - bias[own]))
    return max(found)


def highest_margin_l2(weight: Vector, bias: Vector, x: Vector, own: int, eps: float) -> float:
    """Give the same over the l2 ball, where no pixel reaches 0 or 1."""
    found = []
    for k in range(len(bias)):
        if k != own:
            w = weight[k] - weight[own]
            found.append(float(w @ x + eps * np.sqrt(np.sum(w**2)) + bias[k] - bias[own]))
    return max(found)


def targeted_loss_linf(
    weight: Vector, bias: Vector, x: Vector, t: int, eps: Vector | float
) -> float:
    """Give the least cross-entropy towards t over the box: smooth and convex, so L-BFGS-B ends."""

    def loss(at: Vector) -> tuple[float, Vector]:
        z = weight @ at + bias
        p = np.exp(z - z.max())
        p /= p.sum()
        value = -np.log(p[t])
        p[t] -= 1.0
        return float(value), weight.T @ p

    bounds = list(zip(*box(x, eps), strict=True))
    options = {"ftol": 1e-15, "gtol": 1e-12}
    return float(minimize(loss, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options).fun)


def targeted_margin_l2(weight: Vector, bias: Vector, x: Vector, t: int, eps: float) -> float:
    """Give the greatest min_k (z_t - z_k) over the l2 ball, where no pixel reaches 0 or 1.

    By duality it is the least of u . m + eps ||W^T u|| over mixtures u of the rivals' margins m.
    """
    rivals = [k for k in range(len(bias)) if k != t]
    slopes = weight[t] - weight[rivals]
    margins = slopes @ x + bias[t] - bias[rivals]
    solved = minimize(
        lambda u: u @ margins + eps * np.sqrt(np.sum((slopes.T @ u) ** 2)),
        np.full(len(rivals), 1 / len(rivals)),
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(rivals),
        constraints=[{"type": "eq", "fun": lambda u: u.sum() - 1}],
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return float(solved.fun)
