"""Optimal transport between uniform marginals: a linear program, and Sinkhorn by loops.

Written from Cuturi (2013) and from the description of the authors' code of feature scattering
(Zhang and Wang 2019): which sums, which order, which stopping rule.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

Array = NDArray[np.float64]


def cosine_cost(a: Array, b: Array) -> Array:
    """max(0, 1 - cos) of every row of a with every row of b; 1 where one of them is zero."""
    out = np.ones((len(a), len(b)))
    for i, u in enumerate(a.tolist()):
        for j, v in enumerate(b.tolist()):
            dot = math.fsum(p * q for p, q in zip(u, v, strict=True))
            length = math.sqrt(math.fsum(p * p for p in u) * math.fsum(q * q for q in v))
            if length > 0:
                out[i, j] = max(0.0, 1.0 - dot / length)
    return out


def least_cost(cost: Array) -> float:
    """The value of the transport problem without entropy, by HiGHS."""
    n, m = cost.shape
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    found = linprog(
        cost.ravel(),
        A_eq=np.vstack([rows, columns]),
        b_eq=np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)]),
        bounds=(0, None),
        method="highs",
    )
    assert found.status == 0, found.message
    return float(found.fun)


def scaled(cost: Array, *, reg: float, iterations: int) -> Array:
    """Scale rows, then columns, of exp(-C/reg) in turn, entry after entry."""
    n, m = cost.shape
    kernel = [[math.exp(-cost[i, j] / reg) for j in range(m)] for i in range(n)]
    a, b = [1.0] * n, [1.0] * m
    for _ in range(iterations):
        for i in range(n):
            a[i] = (1 / n) / sum(kernel[i][j] * b[j] for j in range(m))
        for j in range(m):
            b[j] = (1 / m) / sum(kernel[i][j] * a[i] for i in range(n))
    return np.array([[a[i] * kernel[i][j] * b[j] for j in range(m)] for i in range(n)])


def authors(cost: Array, *, reg: float, most: int) -> tuple[Array, int]:
    """The plan by potentials with log(sum exp + 1e-6), and how many iterations it took."""
    n, m = cost.shape
    u, v, taken = [0.0] * n, [0.0] * m, 0

    def entry(i: int, j: int) -> float:
        return math.exp((u[i] + v[j] - cost[i, j]) / reg)

    for _ in range(most):
        taken += 1
        old = list(u)
        sums = [sum(entry(i, j) for j in range(m)) for i in range(n)]
        u = [u[i] + reg * (math.log(1 / n) - math.log(sums[i] + 1e-6)) for i in range(n)]
        sums = [sum(entry(i, j) for i in range(n)) for j in range(m)]
        v = [v[j] + reg * (math.log(1 / m) - math.log(sums[j] + 1e-6)) for j in range(m)]
        if sum(abs(p - q) for p, q in zip(u, old, strict=True)) < 0.1:
            break
    return np.array([[entry(i, j) for j in range(m)] for i in range(n)]), taken
