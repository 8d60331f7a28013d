"""Digital corruptions and M-TLAT's four from their descriptions, by NumPy, SciPy and Pillow.

A picture is (H, W, C) in [0, 1]; draws are handed in.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Array = NDArray[np.float64]
Levels = NDArray[np.uint8]


def levels(x: Array) -> Levels:
    """Clip, scale and truncate; the rounding of single precision is no level lost."""
    return np.floor(np.clip(x, 0, 1) * 255 + 1e-6).astype(np.uint8)


def picture(x: Array) -> Image.Image:
    pixels = np.round(x * 255).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def contrast(x: Array, share: float) -> Levels:
    mean = x.mean(axis=(0, 1), keepdims=True)
    return levels((x - mean) * share + mean)


def pixelate(x: Array, share: float) -> Levels:
    height, width = x.shape[:2]
    small = picture(x).resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BOX)).reshape(x.shape)


def jpeg(x: Array, quality: int) -> Levels:
    buffer = io.BytesIO()
    picture(x).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).reshape(x.shape)


def affine_map(shape: Sequence[int], corners: Array) -> Array:
    """Solve the six equations of three points, and invert: from new (x, y, 1) to old (x, y)."""
    height, width = shape
    k, q = np.array([width // 2, height // 2]), min(height, width) // 3
    signs = np.array([[1, 1], [1, -1], [-1, -1]])
    old = (k + q * signs).astype(np.float32)
    new = (old + corners.astype(np.float32)).astype(np.float64)
    system = np.column_stack([old.astype(np.float64), np.ones(3)])
    forward = np.vstack([np.linalg.solve(system, new).T, [0, 0, 1]])
    inverse: Array = np.linalg.inv(forward)[:2]
    return inverse


def bilinear(x: Array, row: float, column: float) -> Array:
    """Read between four pixels, of which those beyond an edge are mirrored (cb|abc|ba)."""

    def mirrored(place: int, n: int) -> int:
        place %= 2 * n - 2
        return min(place, 2 * n - 2 - place)

    total = np.zeros(x.shape[2])
    for y, b in ((math.floor(row), 1 - row % 1), (math.floor(row) + 1, row % 1)):
        for a, c in ((math.floor(column), 1 - column % 1), (math.floor(column) + 1, column % 1)):
            total += b * c * x[mirrored(y, x.shape[0]), mirrored(a, x.shape[1])]
    return total


def warped(x: Array, corners: Array) -> Array:
    """Apply OpenCV 3's warpAffine: ten bits of fixed point, then whole 32nds of a pixel."""
    height, width = x.shape[:2]
    inverse = affine_map((height, width), corners)
    out = np.zeros_like(x)
    for v in range(height):
        for u in range(width):
            place = []
            for a, b, c in inverse:
                fixed = round((b * v + c) * 1024) + 16 + round(a * u * 1024)
                place.append((fixed >> 5) / 32)
            out[v, u] = bilinear(x, place[1], place[0])
    return out


def reflected(place: float, n: int) -> float:
    """Fold as SciPy 1.0 did: about the pixels' outer edge, and only where that leads inside."""
    if place < 0:
        while place < -2 * n:
            place += 2 * n
        return place + 2 * n if place < -n else -place - 1
    while place >= 2 * n:
        place -= 2 * n
    return 2 * n - place - 1 if place >= n else place


def displacement(noise: Array, amplitude: float, sigma: float) -> Array:
    field: Array = ndimage.gaussian_filter(noise, sigma, mode="reflect", truncate=3.0)
    return amplitude * field


def elastic(x: Array, corners: Array, noise: Array, constants: Sequence[float]) -> Levels:
    height, width = x.shape[:2]
    moved = warped(x, corners)
    if constants[0] == 0:
        return levels(moved)
    across, down = (displacement(noise[k], *constants[:2]) for k in (0, 1))
    out = np.zeros_like(x)
    for v in range(height):
        for u in range(width):
            row = reflected(v + float(down[v, u]), height)
            out[v, u] = bilinear(moved, row, reflected(u + float(across[v, u]), width))
    return levels(out)


def rotation(x: Array, degrees: float) -> Array:
    """Turn counter-clockwise about the centre, by SciPy; black beyond the edge."""
    turn = math.radians(degrees)
    matrix = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    centre = (np.array(x.shape[:2]) - 1) / 2
    planes = [
        ndimage.affine_transform(
            plane, matrix, centre - matrix @ centre, order=1, mode="grid-constant"
        )
        for plane in np.moveaxis(x, 2, 0)
    ]
    return np.stack(planes, axis=2)


def translation(x: Array, down: int, right: int) -> Array:
    out = np.zeros_like(x)
    height, width = x.shape[:2]
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                out[row, column] = x[row - down, column - right]
    return out
