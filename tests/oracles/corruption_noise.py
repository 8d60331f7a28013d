"""Noise of ImageNet-C from its description: one picture (H, W, C) in [0, 1] and its draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]


def levels(x: Array) -> NDArray[np.uint8]:
    """Clip, scale and truncate, as the scripts hand a picture on."""
    return (np.clip(x, 0, 1) * 255).astype(np.uint8)


def gaussian(x: Array, noise: Array, std: float) -> NDArray[np.uint8]:
    return levels(x + std * noise)


def speckle(x: Array, noise: Array, std: float) -> NDArray[np.uint8]:
    return levels(x + x * (std * noise))


def impulse(x: Array, u: Array, amount: float) -> NDArray[np.uint8]:
    """Two fields: which values are hit, and which of those are salt (u given that it hits)."""
    hit = u < amount
    salt = u / amount < 0.5
    out = x.copy()
    out[hit & salt] = 1.0
    out[hit & ~salt] = 0.0
    return levels(out)


def shot(x: Array, u: Array, rate: float) -> NDArray[np.uint8]:
    """Poisson counts by SciPy's quantile function."""
    return levels(stats.poisson.ppf(np.maximum(u, 1e-12), rate * x) / rate)
