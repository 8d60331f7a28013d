"""Numbers only: the published constants of every corruption, by image size and severity.

Hendrycks & Dietterich 2019, from the scripts that made ImageNet-C (224 pixels), Tiny-ImageNet-C
(64) and CIFAR-10-C (32). Severity s is entry s - 1. Lengths are in pixels.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["Scalars", "Table"]

Scalars: TypeAlias = dict[int, tuple[float, ...]]
"""One number per severity."""

Table: TypeAlias = dict[int, tuple[tuple[float, ...], ...]]
"""Several numbers per severity."""

GAUSSIAN_NOISE: Scalars = {  # standard deviation
    224: (0.08, 0.12, 0.18, 0.26, 0.38),
    64: (0.04, 0.08, 0.12, 0.15, 0.18),
    32: (0.04, 0.06, 0.08, 0.09, 0.10),
}
SHOT_NOISE: Scalars = {  # photons of a white pixel
    224: (60.0, 25.0, 12.0, 5.0, 3.0),
    64: (250.0, 100.0, 50.0, 30.0, 15.0),
    32: (500.0, 250.0, 100.0, 75.0, 50.0),
}
IMPULSE_NOISE: Scalars = {  # share of values replaced
    224: (0.03, 0.06, 0.09, 0.17, 0.27),
    64: (0.01, 0.02, 0.05, 0.08, 0.14),
    32: (0.01, 0.02, 0.03, 0.05, 0.07),
}
SPECKLE_NOISE: Scalars = {  # standard deviation, relative to the value
    224: (0.15, 0.2, 0.35, 0.45, 0.6),
    64: (0.15, 0.2, 0.25, 0.3, 0.35),
    32: (0.06, 0.1, 0.12, 0.16, 0.2),
}
DEFOCUS_BLUR: Table = {  # radius of the disk, sigma that smooths it
    224: ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    64: ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
    32: ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
}
GLASS_BLUR: dict[int, tuple[tuple[float, int, int], ...]] = {  # sigma, reach, rounds
    224: ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    64: ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
    32: ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
}
MOTION_BLUR: Table = {  # radius, sigma
    224: ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    64: ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
    32: ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
}
_SMALL_ZOOMS = ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01))
ZOOM_BLUR: Table = {  # zooms from 1 to below the first number, in steps of the second
    224: ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    64: _SMALL_ZOOMS,
    32: _SMALL_ZOOMS,
}
GAUSSIAN_BLUR: Scalars = {  # sigma
    224: (1.0, 2.0, 3.0, 4.0, 6.0),
    64: (0.5, 0.75, 1.0, 1.25, 1.5),
    32: (0.4, 0.6, 0.7, 0.8, 1.0),
}
SNOW: Table = {  # mean, deviation, zoom, threshold of the flakes; radius, sigma of motion; mix
    224: (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    64: (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.8),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.8),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
    ),
    32: (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
}
FROST: Table = {  # weight of the picture, weight of the texture, scale of the texture
    224: ((1, 0.4, 1), (0.8, 0.6, 1), (0.7, 0.7, 1), (0.65, 0.7, 1), (0.6, 0.75, 1)),
    64: ((1, 0.3, 0.3), (0.9, 0.4, 0.3), (0.8, 0.45, 0.3), (0.75, 0.5, 0.3), (0.7, 0.55, 0.3)),
    32: ((1, 0.2, 0.2), (1, 0.3, 0.2), (0.9, 0.4, 0.2), (0.85, 0.4, 0.2), (0.75, 0.45, 0.2)),
}
FOG: Table = {  # strength, decay of the wibble
    224: ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    64: ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)),
    32: ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
}
BRIGHTNESS: Scalars = {  # added to the value of HSV
    224: (0.1, 0.2, 0.3, 0.4, 0.5),
    64: (0.1, 0.2, 0.3, 0.4, 0.5),
    32: (0.05, 0.1, 0.15, 0.2, 0.3),
}
CONTRAST: Scalars = {  # share of the distance to the mean that is left
    224: (0.4, 0.3, 0.2, 0.1, 0.05),
    64: (0.4, 0.3, 0.2, 0.1, 0.05),
    32: (0.75, 0.5, 0.4, 0.3, 0.15),
}
_ELASTIC = {  # the same in sides of the picture
    224: (
        (2, 0.7, 0.1),
        (2, 0.08, 0.2),
        (0.05, 0.01, 0.02),
        (0.07, 0.01, 0.02),
        (0.12, 0.01, 0.02),
    ),
    64: ((0, 0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02)),
    32: ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
}
ELASTIC_TRANSFORM: Table = {  # amplitude, sigma, reach of the corners; 244 is the originals' own
    size: tuple(
        tuple((244 if size == 224 else size) * share for share in shares) for shares in rows
    )
    for size, rows in _ELASTIC.items()
}
PIXELATE: Scalars = {  # share of the side that is left
    224: (0.6, 0.5, 0.4, 0.3, 0.25),
    64: (0.9, 0.8, 0.7, 0.6, 0.5),
    32: (0.95, 0.9, 0.85, 0.75, 0.65),
}
JPEG_COMPRESSION: dict[int, tuple[int, ...]] = {  # quality
    224: (25, 18, 15, 10, 7),
    64: (65, 58, 50, 40, 25),
    32: (80, 65, 58, 50, 40),
}
SATURATE: Table = {  # factor, then term of the saturation of HSV
    224: ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
    64: ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (30, 0.2)),
    32: ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
}
SPATTER: Table = {  # mean, deviation, sigma, threshold of the drops; strength or sigma; 0 water
    224: (
        (0.65, 0.3, 4, 0.69, 0.6, 0),
        (0.65, 0.3, 3, 0.68, 0.6, 0),
        (0.65, 0.3, 2, 0.68, 0.5, 0),
        (0.65, 0.3, 1, 0.65, 1.5, 1),
        (0.67, 0.4, 1, 0.65, 1.5, 1),
    ),
    64: (
        (0.62, 0.1, 0.7, 0.7, 0.6, 0),
        (0.65, 0.1, 0.8, 0.7, 0.6, 0),
        (0.65, 0.3, 1, 0.69, 0.6, 0),
        (0.65, 0.1, 0.7, 0.68, 0.6, 1),
        (0.65, 0.1, 0.5, 0.67, 0.6, 1),
    ),
    32: (
        (0.62, 0.1, 0.7, 0.7, 0.5, 0),
        (0.65, 0.1, 0.8, 0.7, 0.5, 0),
        (0.65, 0.3, 1, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1),
        (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ),
}
