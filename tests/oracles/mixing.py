"""Mixtures by loops (ALPS, eq. 9-12), and the Beta distributions that draw their weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]


def mixed(s: Array, partner: list[int], weight: list[float]) -> Array:
    """M(s, s'; lam) = lam s + (1 - lam) s', one example after the other."""
    out = np.empty_like(s, dtype=np.float64)
    for i, (j, lam) in enumerate(zip(partner, weight, strict=True)):
        out[i] = lam * s[i] + (1 - lam) * s[j]
    return out


def beta_with_mode(mode: float, concentration: float) -> stats.rv_continuous:
    """The Beta(a, b) with (a-1)/(a+b-2) = mode and a + b = concentration, by solving for a."""
    a = mode * (concentration - 2) + 1
    return stats.beta(a, concentration - a)


def mode_by_search(distribution: stats.rv_continuous) -> float:
    """Where the density is largest, found on a fine grid."""
    grid = np.linspace(0, 1, 200_001)
    return float(grid[np.argmax(distribution.pdf(grid))])
