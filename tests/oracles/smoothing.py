"""Label smoothing in both conventions by loops, and as a vicinal risk by enumeration."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from oracles.losses import cross_entropy

Array = NDArray[np.float64]


def smoothed(y: list[int], num_classes: int, eps: float) -> Array:
    """1 - eps on the class, eps/(K-1) on each of the others (ALPS, below eq. 8)."""
    q = np.empty((len(y), num_classes))
    for i, own in enumerate(y):
        for k in range(num_classes):
            q[i, k] = 1 - eps if k == own else eps / (num_classes - 1)
    return q


def smoothed_uniform(y: list[int], num_classes: int, eps: float) -> Array:
    """(1 - eps) e_y + eps/K on every class (Szegedy et al. 2016; torch)."""
    q = np.empty((len(y), num_classes))
    for i, own in enumerate(y):
        for k in range(num_classes):
            q[i, k] = (1 - eps) * (k == own) + eps / num_classes
    return q


def extended(soft: Array, eps: float) -> Array:
    """T(q) = sum_c q_c T(e_c), with T the smoothing of a class (design, conventions)."""
    n, num_classes = soft.shape
    out = np.zeros((n, num_classes))
    for c in range(num_classes):
        out += soft[:, [c]] * smoothed([c] * n, num_classes, eps)
    return out


def vicinal_risk(z: Array, y: list[int], eps: float) -> float:
    """The risk of eq. 4 under eq. 7: the loss of every label, weighted as pi_y of eq. 6 draws it.

    pi_y draws y with probability 1 - eps and each other class with probability eps/(K-1).
    """
    num_classes = z.shape[1]
    terms = []
    for i, own in enumerate(y):
        for drawn in range(num_classes):
            probability = 1 - eps if drawn == own else eps / (num_classes - 1)
            point_mass = np.zeros((1, num_classes))
            point_mass[0, drawn] = 1.0
            terms.append(probability * float(cross_entropy(z[[i]], point_mass)[0]))
    return math.fsum(terms) / len(y)
