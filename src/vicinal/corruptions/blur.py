r"""Blur: defocus, glass, motion, zoom and Gaussian (Hendrycks & Dietterich 2019).

Each keeps the quirks of the scripts that made the published sets, which its docstring names. They
work for any number of channels and any size; lengths are pixels and do not scale with the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from vicinal.corruptions import severities
from vicinal.corruptions.corruption import Corruption, truncated
from vicinal.corruptions.draw import Draw
from vicinal.corruptions.filters import (
    MAGICK_SLACK,
    Kernel,
    clipped_zoom,
    convolve,
    gaussian_filter,
    gaussian_weights,
    motion_filter,
)
from vicinal.corruptions.glass import glass_sources
from vicinal.corruptions.keys import Streams

__all__ = [
    "DefocusBlur",
    "GaussianBlur",
    "Glass",
    "GlassBlur",
    "MotionBlur",
    "Optics",
    "Ray",
    "ZoomBlur",
    "disk",
    "zooms",
]


@dataclass(frozen=True, kw_only=True)
class Optics(Draw):
    """No draw at all: the constants of a blur without chance."""

    numbers: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class GaussianBlur(Corruption[float, Optics]):
    """Convolve with a Gaussian of 1 to 6 pixels (0.4 to 1 at 32), edges repeated.

    One of the four extra corruptions, for validation. The kernel ends at 4 standard deviations.

    Example:
        >>> x = torch.full((1, 1, 8, 8), 0.4)
        >>> torch.allclose(GaussianBlur()(x, severity=1), x)
        True

    Differs from the original: nothing. Cost: 4 passes over the picture per pixel of the radius.
    """

    name: ClassVar[str] = "gaussian_blur"
    constants: ClassVar = severities.GAUSSIAN_BLUR

    def _draw(self, streams: Streams, shape: tuple[int, int, int], constant: float) -> Optics:
        return Optics(numbers=(constant,))

    def _corrupt(self, x: Tensor, draw: Optics) -> Tensor:
        return gaussian_filter(x, draw.numbers[0])


@lru_cache(maxsize=32)
def disk(radius: float, sigma: float) -> Kernel:
    """Build the kernel of a lens out of focus: a disk of even weight whose rim is smoothed.

    The disk lies on a grid of 17 x 17 pixels, or as wide as itself if it is larger, and a Gaussian
    of 3 taps (5 on the larger grid) smooths it there, mirrored at the border of the grid. Nothing
    normalises the result, and where the disk touches the border the mirror adds weight: at radius 8
    and 10 (severities 4 and 5 at 224 pixels) the kernel sums to 1.013 and 1.011.

    Args:
        radius: Of the disk, in pixels; below 1 it is a single pixel.
        sigma: Of the Gaussian, in pixels.

    Returns:
        Rows of weights, square and of odd side, rows and columns of zeros left out.

    Example:
        >>> round(sum(map(sum, disk(8, 0.5))), 5), round(sum(map(sum, disk(3, 0.1))), 5)
        (1.01298, 1.0)
    """
    reach, taps = (8, 1) if radius <= 8 else (int(radius), 2)
    line = torch.arange(-reach, reach + 1, dtype=torch.float64)
    inside = (line[:, None] ** 2 + line[None] ** 2 <= radius**2).double()
    kernel = (inside / inside.sum())[None, None]
    weights = gaussian_weights(sigma, taps)
    row = (*weights[:0:-1], *weights)
    square = tuple(tuple(down * right for right in row) for down in row)
    smooth = convolve(kernel, square)[0, 0]
    used = int((smooth.max(dim=0).values > 1e-12).nonzero().max()) - reach
    cut = smooth[reach - used : reach + used + 1, reach - used : reach + used + 1]
    return tuple(tuple(weight) for weight in cut.tolist())


@dataclass(frozen=True, kw_only=True)
class DefocusBlur(Corruption[tuple[float, float], Optics]):
    """Put the lens out of focus: convolve with a disk of 3 to 10 pixels (0.3 to 1.5 at 32).

    Mirrored at the edges. The kernel (`disk`) is not normalised: at 224 pixels, severities 4 and 5
    make a picture 1 % brighter, as in the published sets.

    Example:
        >>> x = torch.full((1, 1, 24, 24), 0.5)
        >>> bright = DefocusBlur()(x, severity=4, preset=224, quantize=False)
        >>> round(float(bright.mean()) / 0.5, 3)
        1.013

    Differs from the original: nothing.
    Cost: 2 (R+1)^2 passes over the picture for a kernel of radius R up to 3, else a Fourier
    transform there and back.
    """

    name: ClassVar[str] = "defocus_blur"
    constants: ClassVar = severities.DEFOCUS_BLUR

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, float]
    ) -> Optics:
        return Optics(numbers=constant)

    def _corrupt(self, x: Tensor, draw: Optics) -> Tensor:
        radius, sigma = draw.numbers
        return convolve(x, disk(radius, sigma))


@dataclass(frozen=True, kw_only=True)
class Glass(Draw):
    """Where every pixel looks, round by round, and the constants."""

    places: Tensor
    """Offsets in -reach..reach-1 as (down + reach) * 2 reach + right + reach, (N, rounds, h, w)."""
    sigma: float
    reach: int


@dataclass(frozen=True, kw_only=True)
class GlassBlur(Corruption[tuple[float, int, int], Glass]):
    """Look through frosted glass: blur, let pixels copy a near one, blur.

    Between the two Gaussian blurs (the first truncated to 8 bits), in every round each pixel but
    those near the edges copies one at an offset of -reach to reach - 1. The offsets are
    not symmetric, so the picture drifts; and what the script calls a swap is a copy: its two
    pixels are views of one array. Pixels are done from the last to the first, so some copy what
    has been copied already: `glass_sources` finds all origins at once.

    Example:
        >>> x = torch.rand(2, 3, 32, 32)
        >>> GlassBlur()(x, severity=3, keys=torch.tensor([1, 2])).shape
        torch.Size([2, 3, 32, 32])

    Differs from the original: nothing but the random stream. The step to 8 bits between the blurs
    stays with `quantize=False`, and no gradient passes it.
    Cost: an integer draw and a few look-ups per pixel and round, 1 to 3 rounds; two Gaussian blurs.
    """

    name: ClassVar[str] = "glass_blur"
    constants: ClassVar = severities.GLASS_BLUR

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, int, int]
    ) -> Glass:
        sigma, reach, rounds = constant
        rows, columns = (max(0, n - 2 * reach) for n in shape[1:])
        places = streams.integers(
            rounds, rows, columns, low=0, high=4 * reach**2, dtype=torch.uint8
        )
        return Glass(places=places, sigma=sigma, reach=reach)

    def _corrupt(self, x: Tensor, draw: Glass) -> Tensor:
        blurred = truncated(gaussian_filter(x.detach(), draw.sigma))
        height, width = x.shape[-2:]
        sources = glass_sources(draw.places, reach=draw.reach, height=height, width=width)
        index = sources.view(len(x), 1, -1).expand(-1, x.shape[1], -1)
        moved = blurred.flatten(2).gather(2, index).view_as(x)
        return gaussian_filter(moved, draw.sigma)


@dataclass(frozen=True, kw_only=True)
class Ray(Draw):
    """The direction of every picture's motion, and how far it goes."""

    angle: Tensor
    """Degrees, shape (N,); 0 looks to the right, 90 down."""
    radius: float
    sigma: float


@dataclass(frozen=True, kw_only=True)
class MotionBlur(Corruption[tuple[float, float], Ray]):
    """Move the camera while the shutter is open, within 45 degrees of the horizontal.

    ImageMagick's motion blur: half a Gaussian along a ray, on 2 radius + 1 steps, each rounded to a
    pixel; so content moves as well, to the left at angle 0. Edges are repeated. At 32 pixels
    severities 3 and 4 are the same: their sigma of 2 makes steps beyond the radius of 6 vanish.

    Example:
        >>> x = torch.full((1, 1, 8, 8), 0.4)
        >>> torch.allclose(MotionBlur()(x, severity=1, keys=torch.tensor([3])), x)
        True

    Differs from the original: nothing, its way to 8 bits by 16 included (`MAGICK_SLACK`).
    Cost: a pass over the picture per step, 13 to 41; picture by picture.
    """

    name: ClassVar[str] = "motion_blur"
    constants: ClassVar = severities.MOTION_BLUR
    slack: ClassVar[float] = MAGICK_SLACK

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, float]
    ) -> Ray:
        radius, sigma = constant
        return Ray(angle=streams.uniform(low=-45.0, high=45.0), radius=radius, sigma=sigma)

    def _corrupt(self, x: Tensor, draw: Ray) -> Tensor:
        return motion_filter(x, draw.radius, draw.sigma, draw.angle)


def zooms(stop: float, step: float) -> tuple[float, ...]:
    """List the zooms from 1 to below a stop, as many as `numpy.arange` makes of it by rounding.

    Args:
        stop: Above the last zoom; rounding may let 1.11 end at 1.11 itself.
        step: From zoom to zoom.

    Returns:
        The factors, the first of them 1.

    Example:
        >>> [len(zooms(*end)) for end in severities.ZOOM_BLUR[224]]
        [12, 16, 11, 13, 11]
    """
    # NumPy rounds the step at 1: 25 of them then end above 1.25, and the cut depends on it.
    delta = (1.0 + step) - 1.0
    return tuple(1.0 + place * delta for place in range(math.ceil((stop - 1.0) / step)))


@dataclass(frozen=True, kw_only=True)
class ZoomBlur(Corruption[tuple[float, float], Optics]):
    """Drive towards the picture: the mean of itself and of enlargements of its centre.

    Enlargements by 1 to 1.31 (1.26 at 32 pixels); the first is the picture again, which counts
    twice. A picture that is not square is enlarged along both axes.

    Example:
        >>> x = torch.full((1, 1, 8, 8), 0.4)
        >>> torch.allclose(ZoomBlur()(x, severity=1), x)
        True

    Differs from the original: nothing on square pictures, the only ones that it takes.
    Cost: a bilinear enlargement per zoom, 7 to 26 of them.
    """

    name: ClassVar[str] = "zoom_blur"
    constants: ClassVar = severities.ZOOM_BLUR

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, float]
    ) -> Optics:
        return Optics(numbers=zooms(*constant))

    def _corrupt(self, x: Tensor, draw: Optics) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        total = x * 2.0
        for zoom in draw.numbers[1:]:
            total += clipped_zoom(x, zoom)
        return total.div_(len(draw.numbers) + 1).contiguous()
