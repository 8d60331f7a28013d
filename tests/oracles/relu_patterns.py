"""The nearest error of a two-layer ReLU net in l2, exactly: one convex program for each pattern.

Where it is fixed which hidden units are on, z = V max(W x + b, 0) + c is linear, and the images
that err towards a class are a polytope

    sign_i (W x + b)_i >= 0,  0 <= x <= 1,  z_k >= z_y

Its point of least distance is found by non-negative least squares (Lawson and Hanson 1974, chapter
23). The nearest of all patterns and classes is the optimum. One image at a time, pixels flat,
float64.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from oracles.relu_net import ReluNet

__all__ = ["least_distance", "nearest_error"]

Vector = NDArray[Any]


def nearest_error(net: ReluNet, x: Vector, y: int) -> tuple[float, Vector]:
    """Give the size of the smallest change at which another class is level with y; also where."""
    best, where = np.inf, x
    for on in product([0.0, 1.0], repeat=len(net.b)):
        rows, least = _region(net, x, np.asarray(on))
        for k in range(len(net.c)):
            if k == y:
                continue
            rise = (net.v[k] - net.v[y]) * on
            gap = rise @ (net.w @ x + net.b) + net.c[k] - net.c[y]
            change = least_distance(np.vstack([rows, rise @ net.w]), np.append(least, -gap))
            if change is not None and np.linalg.norm(change) < best:
                best, where = float(np.linalg.norm(change)), x + change
    return best, where


def _region(net: ReluNet, x: Vector, on: Vector) -> tuple[Vector, Vector]:
    """Changes d with rows d >= least keep the pattern and the range."""
    side, one = 2 * on - 1, np.eye(x.size)
    rows = np.vstack([side[:, None] * net.w, one, -one])
    return rows, np.concatenate([-side * (net.w @ x + net.b), -x, x - 1])


def least_distance(rows: Vector, least: Vector) -> Vector | None:
    """Minimise ||d|| over rows d >= least; None where there is no such d."""
    stacked = np.vstack([rows.T, least])
    goal = np.append(np.zeros(rows.shape[1]), 1.0)
    weights, _ = nnls(stacked, goal, maxiter=100 * stacked.shape[1])
    rest = stacked @ weights - goal
    # Of a change within [0, 1], sized at most sqrt(pixels), the last is -1 / (1 + ||d||^2).
    if -rest[-1] < 0.5 / (1 + rows.shape[1]):
        return None
    return np.asarray(-rest[:-1] / rest[-1])
