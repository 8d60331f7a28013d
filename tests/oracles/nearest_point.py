"""The nearest point of a ball, with or without the pixel range, by SciPy's SLSQP."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

__all__ = ["nearest"]

Vector = NDArray[Any]


def nearest(point: Vector, center: Vector, *, eps: float, norm: str, pixels: bool = True) -> Vector:
    """Minimise ||x - point||_2 over ||x - center|| <= eps and, with `pixels`, 0 <= x <= 1."""
    low, high = (0.0, 1.0) if pixels else (-np.inf, np.inf)
    if norm == "linf":
        constraints = [
            {"type": "ineq", "fun": lambda x: eps - (x - center)},
            {"type": "ineq", "fun": lambda x: eps + (x - center)},
        ]
    else:
        constraints = [{"type": "ineq", "fun": lambda x: eps**2 - np.sum((x - center) ** 2)}]
    solved = minimize(
        lambda x: np.sum((x - point) ** 2),
        center,
        jac=lambda x: 2 * (x - point),
        method="SLSQP",
        bounds=[(low, high)] * point.size,
        constraints=constraints,
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return np.asarray(solved.x)
