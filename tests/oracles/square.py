"""Square as Andriushchenko et al. 2020 (algorithms 1 to 3) write it: one image, pixel by pixel.

The random numbers come in as a list, one row per query, so that both sides see the same draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["bump", "propose_l2", "propose_linf", "search_linf", "side_at"]

Image = NDArray[Any]
"""Shape (C, H, W)."""


def side_at(query: int, queries: int, p: float, height: int, width: int) -> int:
    """Look the share up in the paper's table for 10,000 queries."""
    i = int(query / queries * 10_000)
    table = [(10, 1), (50, 2), (200, 4), (500, 8), (1000, 16), (2000, 32)]
    table += [(4000, 64), (6000, 128), (8000, 256)]
    share = p / 512
    for end, part in table:
        if i <= end:
            share = p / part
            break
    return max(min(round(math.sqrt(share * height * width)), height, width), 1)


def _place(u: float, length: int, side: int) -> int:
    return min(int(u * (length - side + 1)), length - side)


def propose_linf(x: Image, best: Image, draw: Sequence[float], *, side: int, eps: float) -> Image:
    """Set one window of every channel to x + eps or x - eps."""
    channels, height, width = x.shape
    top, left = _place(draw[channels], height, side), _place(draw[channels + 1], width, side)
    new = best.copy()
    for c in range(channels):
        sign = -1.0 if draw[c] < 0.5 else 1.0
        for r in range(top, top + side):
            for s in range(left, left + side):
                new[c, r, s] = min(max(x[c, r, s] + sign * eps, 0.0), 1.0)
    return new


def search_linf(
    score: Callable[[Image], float],
    x: Image,
    draws: Sequence[Sequence[float]],
    start: Sequence[Sequence[float]],
    *,
    eps: float,
    p: float,
) -> tuple[Image, int]:
    """Accept what raises the score, stop at a positive one; also tell how many queries it took."""
    best = x.copy()
    for c in range(x.shape[0]):
        for s in range(x.shape[2]):
            sign = -1.0 if start[c][s] < 0.5 else 1.0
            best[c, :, s] = np.clip(x[c, :, s] + sign * eps, 0.0, 1.0)
    top, asked = score(best), 1
    for query, draw in enumerate(draws):
        if top > 0:
            break
        side = side_at(query, len(draws), p, x.shape[1], x.shape[2])
        new = propose_linf(x, best, draw, side=side, eps=eps)
        asked += 1
        value = score(new)
        if value > top:
            best, top = new, value
    return best, asked


def bump(side: int) -> Image:
    """Sum concentric rectangles of weight 1/k^2 in both halves, of opposite signs; unit length."""
    parts = []
    for sign, rows in ((1.0, side // 2), (-1.0, side - side // 2)):
        part = np.zeros((rows, side))
        for k in range(1, max(rows // 2, side // 2) + 2):
            for r in range(rows):
                for s in range(side):
                    if abs(r - rows // 2) < k and abs(s - side // 2) < k:
                        part[r, s] += 1.0 / k**2
        length = math.sqrt(float((part**2).sum()))
        parts.append(sign * part / length if length > 0 else part)
    whole = np.concatenate(parts)
    return np.asarray(whole / np.sqrt((whole**2).sum()))


def propose_l2(x: Image, best: Image, draw: Sequence[float], *, side: int, eps: float) -> Image:
    """Algorithm 3: the budget of a second window, and what is unused, go to a bump in the first."""
    channels, height, width = x.shape
    delta = best - x
    unused = max(eps**2 - float((delta**2).sum()), 0.0)
    places = draw[channels + 1 : channels + 5]
    top, left = _place(places[0], height, side), _place(places[2], width, side)
    other = _place(places[1], height, side), _place(places[3], width, side)
    one = np.zeros((height, width), dtype=bool)
    two = np.zeros((height, width), dtype=bool)
    one[top : top + side, left : left + side] = True
    two[other[0] : other[0] + side, other[1] : other[1] + side] = True
    window = bump(side).T if draw[channels] > 0.5 else bump(side)
    new = delta.copy()
    for c in range(channels):
        sign = -1.0 if draw[c] < 0.5 else 1.0
        old = delta[c][one].reshape(side, side)
        length = math.sqrt(float((old**2).sum()))
        fresh = sign * window + (old / length if length > 0 else 0.0)
        available = math.sqrt(float((delta[c][one | two] ** 2).sum()) + unused / channels)
        new[c][two] = 0.0
        new[c][one] = (fresh / math.sqrt(float((fresh**2).sum())) * available).ravel()
    total = math.sqrt(float((new**2).sum()))
    return np.asarray(np.clip(x + new * eps / total, 0.0, 1.0))
