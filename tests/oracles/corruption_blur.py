"""Blur of ImageNet-C from its description, by SciPy and loops; pictures are (H, W, C) in [0, 1]."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
Bytes = NDArray[np.uint8]


def levels(x: Array) -> Bytes:
    """Clip, scale and truncate; sums that miss a level by rounding alone are that level."""
    return (np.clip(x, 0, 1) * 255 + 1e-9).astype(np.uint8)


def gaussian(x: Array, sigma: float) -> Array:
    out: Array = ndimage.gaussian_filter(x, (sigma, sigma, 0), mode="nearest", truncate=4.0)
    return out


def gaussian_kernel(taps: int, sigma: float) -> Array:
    middle = taps // 2
    row = np.array([math.exp(-((i - middle) ** 2) / (2 * sigma**2)) for i in range(taps)])
    weights: Array = row / row.sum()
    return weights


def disk(radius: float, sigma: float) -> Array:
    """A disk on its grid, smoothed there by a small Gaussian, mirrored, the edge not repeated."""
    reach, taps = (8, 3) if radius <= 8 else (int(radius), 5)
    side = range(-reach, reach + 1)
    inside = np.array([[float(x * x + y * y <= radius**2) for x in side] for y in side])
    inside /= inside.sum()
    row = gaussian_kernel(taps, sigma)
    smooth: Array = ndimage.correlate(inside, np.outer(row, row), mode="mirror")
    return smooth


def defocus(x: Array, radius: float, sigma: float) -> Bytes:
    kernel = disk(radius, sigma)[:, :, None]
    return levels(ndimage.correlate(x, kernel, mode="mirror"))


def glass_loop(pixels: NDArray[np.int64], down: Array, right: Array, reach: int) -> None:
    """One round of copies in place; the offsets of pixel (h, w) stand at [h, w]."""
    height, width = pixels.shape[:2]
    for h in range(height - reach, reach, -1):
        for w in range(width - reach, reach, -1):
            pixels[h, w] = pixels[h + int(down[h, w]), w + int(right[h, w])]


def glass(x: Array, down: Array, right: Array, sigma: float, reach: int) -> Bytes:
    """Offsets (rounds, H, W)."""
    pixels = levels(gaussian(x, sigma)).astype(np.int64)
    for d, r in zip(down, right, strict=True):
        glass_loop(pixels, d, r, reach)
    return levels(gaussian(pixels / 255.0, sigma))


def motion(x: Array, radius: float, sigma: float, angle: float) -> Bytes:
    """ImageMagick, 16 bits inside: rounded there, truncated to 8 bits on the way out."""
    width = 2 * math.ceil(radius) + 1
    weights = np.array([math.exp(-(i**2) / (2 * sigma**2)) for i in range(width)])
    weights /= weights.sum()
    rows, columns = np.indices(x.shape[:2])
    total = np.zeros_like(x)
    for i, weight in enumerate(weights):
        oy = math.ceil(i * math.sin(math.radians(angle)) - 0.5)
        ox = math.ceil(i * math.cos(math.radians(angle)) - 0.5)
        row = np.clip(rows + oy, 0, x.shape[0] - 1)
        column = np.clip(columns + ox, 0, x.shape[1] - 1)
        total += weight * x[row, column] * 255
    return np.floor(np.rint(257 * total) / 257).astype(np.uint8)


def enlarged(x: Array, zoom: float) -> Array:
    """Centre crop, SciPy's zoom of order 1, centre cut (a square picture)."""
    side = x.shape[0]
    crop = math.ceil(side / zoom)
    top = (side - crop) // 2
    inner = x[top : top + crop, top : top + crop]
    large: Array = ndimage.zoom(inner, (zoom, zoom, 1), order=1)
    trim = (large.shape[0] - side) // 2
    return large[trim : trim + side, trim : trim + side]


def zoom_blur(x: Array, stop: float, step: float) -> Bytes:
    factors = np.arange(1, stop, step)
    total = sum((enlarged(x, factor) for factor in factors), start=np.zeros_like(x))
    return levels((x + total) / (len(factors) + 1))
