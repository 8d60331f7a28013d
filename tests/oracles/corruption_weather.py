"""Weather of ImageNet-C from its description: one picture (H, W, C) in [0, 1] and its draws."""

from __future__ import annotations

import colorsys
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
Levels = NDArray[np.uint8]


def levels(x: Array) -> Levels:
    """Clip, scale and truncate; the rounding of single precision is no level lost."""
    return np.floor(np.clip(x, 0, 1) * 255 + 1e-6).astype(np.uint8)


def zoomed(layer: Array, zoom: float) -> Array:
    """Enlarge the centre by SciPy, and cut out as much as there was."""
    height, width = layer.shape
    rows, columns = math.ceil(height / zoom), math.ceil(width / zoom)
    top, left = (height - rows) // 2, (width - columns) // 2
    large: Array = ndimage.zoom(layer[top : top + rows, left : left + columns], zoom, order=1)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[top : top + height, left : left + width]


def magick(layer: Levels, radius: float, sigma: float, angle: float) -> Levels:
    """Sum pixels along a ray, round to 16 bits, truncate to 8: pixel by pixel."""
    steps = range(2 * math.ceil(radius) + 1)
    weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in steps]
    turn = math.radians(angle)
    height, width = layer.shape
    out = np.zeros_like(layer)
    for y in range(height):
        for x in range(width):
            total = 0.0
            for i in steps:
                row = y + math.ceil(i * math.sin(turn) - 0.5)
                column = x + math.ceil(i * math.cos(turn) - 0.5)
                inside = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
                total += weights[i] / sum(weights) * float(layer[inside])
            out[y, x] = math.floor(round(257 * total) / 257)
    return out


def snow(x: Array, noise: Array, angle: float, constants: Sequence[float]) -> Levels:
    mean, std, zoom, threshold, radius, sigma, mix = constants
    layer = zoomed(mean + std * noise, zoom)
    layer = np.where(layer < threshold, 0.0, layer)
    flakes = magick(levels(layer), radius, sigma, angle)[..., None] / 255
    grey = x[..., :1] if x.shape[2] == 1 else x @ np.array([0.299, 0.587, 0.114])[:, None]
    pale = mix * x + (1 - mix) * np.maximum(x, 1.5 * grey + 0.5)
    return levels(pale + flakes + np.rot90(flakes, 2))


def plasma(draws: Sequence[float], side: int, decay: float) -> Array:
    """Fill a torus point by point: middles of squares, then points to the right, then below."""
    field = np.zeros((side, side))
    left = iter(draws)
    half, wibble = side // 2, 100.0
    cross, star = ((-1, -1), (-1, 1), (1, -1), (1, 1)), ((-1, 0), (1, 0), (0, -1), (0, 1))
    while half >= 1:
        corners = list(itertools.product(range(0, side, 2 * half), repeat=2))
        for down, right, around in ((half, half, cross), (0, half, star), (half, 0, star)):
            for y, x in ((y + down, x + right) for y, x in corners):
                near = [field[(y + half * v) % side, (x + half * u) % side] for v, u in around]
                field[y, x] = sum(near) / 4 + wibble * wibble * next(left)
        half, wibble = half // 2, wibble / decay
    field -= field.min()
    scaled: Array = field / field.max()
    return scaled


def fog(x: Array, draws: Sequence[float], side: int, amount: float, decay: float) -> Levels:
    field = plasma(draws, side, decay)[: x.shape[0], : x.shape[1], None]
    most = x.max()
    return levels((x + amount * field) * most / (most + amount))


def in_hsv(x: Array, change: Callable[[float, float, float], tuple[float, float, float]]) -> Levels:
    """Change hue, saturation and value of every pixel, by the standard library."""
    pixels = [
        colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*map(float, pixel))))
        for pixel in x.reshape(-1, 3)
    ]
    return levels(np.array(pixels).reshape(x.shape))


def brightness(x: Array, amount: float) -> Levels:
    return in_hsv(x, lambda h, s, v: (h, s, min(v + amount, 1.0)))


def saturate(x: Array, factor: float, term: float) -> Levels:
    return in_hsv(x, lambda h, s, v: (h, min(max(s * factor + term, 0.0), 1.0), v))


def frost(x: Array, cut: NDArray[np.uint8], over: float, under: float) -> Levels:
    return np.clip(over * 255 * x + under * cut.astype(float) + 1e-6, 0, 255).astype(np.uint8)


def mud(x: Array, noise: Array, constants: Sequence[float]) -> Levels:
    mean, std, sigma, threshold, width, _ = constants
    layer = ndimage.gaussian_filter(mean + std * noise, sigma, mode="nearest")
    thick = np.where(layer < threshold, 0.0, layer) > threshold
    mask = ndimage.gaussian_filter(thick.astype(float), width, mode="nearest")
    mask = np.where(mask < 0.8, 0.0, mask)[..., None]
    return levels(x * (1 - mask) + mask * np.array([63, 42, 20]) / 255)
