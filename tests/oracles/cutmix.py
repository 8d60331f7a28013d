"""CutMix by loops over pixels (Yun et al. 2019, eq. 1-2, and the authors' clipped box)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Box = tuple[int, int, int, int]
"""First row, row after the last, first column, column after the last."""


def box(height: int, width: int, *, lam: float, row: int, column: int) -> Box:
    """r_h = H sqrt(1 - lam) and r_w = W sqrt(1 - lam) around the centre, clipped at the border."""
    ratio = math.sqrt(1 - lam)
    half_height, half_width = int(height * ratio) // 2, int(width * ratio) // 2
    return (
        max(row - half_height, 0),
        min(row + half_height, height),
        max(column - half_width, 0),
        min(column + half_width, width),
    )


def mask(height: int, width: int, box: Box) -> NDArray[np.bool_]:
    """M of eq. 1: true where the image keeps its own pixel."""
    kept = np.ones((height, width), dtype=bool)
    for row in range(box[0], box[1]):
        for column in range(box[2], box[3]):
            kept[row, column] = False
    return kept


def kept(height: int, width: int, box: Box) -> float:
    """The share of its own pixels that an image keeps, counted one by one."""
    own = sum(bool(pixel) for line in mask(height, width, box) for pixel in line)
    return own / (height * width)


def pasted(x: Array, partner: list[int], boxes: list[Box]) -> Array:
    """x~ = M x + (1 - M) x', pixel after pixel."""
    out = x.copy()
    for i, j in enumerate(partner):
        own = mask(x.shape[2], x.shape[3], boxes[i])
        for channel in range(x.shape[1]):
            for row in range(x.shape[2]):
                for column in range(x.shape[3]):
                    if not own[row, column]:
                        out[i, channel, row, column] = x[j, channel, row, column]
    return out


def mean_kept(height: int, width: int, weights: list[float]) -> float:
    """The mean share kept over the weights given and every centre, all equally likely."""
    total = 0.0
    for lam in weights:
        for row in range(height):
            for column in range(width):
                cut = box(height, width, lam=lam, row=row, column=column)
                total += 1 - (cut[1] - cut[0]) * (cut[3] - cut[2]) / (height * width)
    return total / (len(weights) * height * width)
