"""The inner maximum of ALPS (Guo et al. 2021, eq. 15) as a linear program, for SciPy to solve.

    max_q~  sum_k v_k q~_k    such that    ||q~ - q||_1 <= eps,  q~ >= 0,  sum_k q~_k = 1

with v_k = -log f_k(x~) the loss of class k. The optimal VALUE is what is compared: the maximiser
need not be unique.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog

Array = NDArray[np.float64]

TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
"""HiGHS otherwise lets every probability be negative by 1e-7, and so finds a little more."""


class Case(NamedTuple):
    """One program: losses v (K,), label q (K,), radius eps."""

    v: Array
    q: Array
    eps: float


def _block_diagonal(blocks: Sequence[Array | sparse.sparray | sparse.spmatrix]) -> sparse.sparray:
    return sparse.block_diag([sparse.coo_array(block) for block in blocks], format="csr")


def worst_value(case: Case) -> float:
    """Solve one program, written as in the paper: variables q~ and t >= |q~ - q|."""
    v, q, eps = case
    k = len(q)
    eye = np.eye(k)
    above = np.hstack([eye, -eye])
    below = np.hstack([-eye, -eye])
    radius = np.concatenate([np.zeros(k), np.ones(k)])
    found = linprog(
        np.concatenate([-v, np.zeros(k)]),
        A_ub=np.vstack([above, below, radius]),
        b_ub=np.concatenate([q, -q, [eps]]),
        A_eq=np.concatenate([np.ones(k), np.zeros(k)])[None],
        b_eq=[1.0],
        bounds=(0, None),
        method="highs",
        options=TIGHT,
    )
    assert found.status == 0, found.message
    return -float(found.fun)


def worst_values(cases: Sequence[Case]) -> Array:
    """Solve many programs at once, as blocks of one sparse program: they share no variable.

    Written in what is given, u >= 0, and what is taken, w >= 0: q~ = q + u - w. Given and taken
    must be equal in sum, stay within the radius, and leave no class below zero.
    """
    blocks, least, radius, offset = [], [], [], []
    for v, q, eps in cases:
        k = len(q)
        eye = sparse.identity(k, format="csr")
        blocks.append(sparse.hstack([-eye, eye], format="csr"))
        least.append(q)
        radius.append(eps)
        offset.append(float(v @ q))
    sums = [np.ones((1, 2 * len(case.q))) for case in cases]
    signs = [np.repeat([[1.0, -1.0]], len(case.q), axis=1) for case in cases]
    cost = np.concatenate([np.concatenate([-v, v]) for v, _, _ in cases])
    found = linprog(
        cost,
        A_ub=sparse.vstack([_block_diagonal(blocks), _block_diagonal(sums)], format="csr"),
        b_ub=np.concatenate([*least, radius]),
        A_eq=_block_diagonal(signs),
        b_eq=np.zeros(len(cases)),
        bounds=(0, None),
        method="highs",
        options=TIGHT,
    )
    assert found.status == 0, found.message
    gains, start = [], 0
    for case in cases:
        stop = start + 2 * len(case.q)
        gains.append(-float(cost[start:stop] @ found.x[start:stop]))
        start = stop
    return np.asarray(offset, dtype=np.float64) + np.asarray(gains, dtype=np.float64)
