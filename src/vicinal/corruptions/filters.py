"""Filters that several corruptions share: padding, Gaussian, kernels, one-sided motion, zoom.

Everything is a sum of shifted images where the kernel is small, since such a sum gives an image the
same bits in any batch, and costs less than a general convolution of a few channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "MAGICK_SLACK",
    "Border",
    "Kernel",
    "clipped_zoom",
    "convolve",
    "edge_indices",
    "gaussian_filter",
    "gaussian_weights",
    "motion_filter",
    "motion_taps",
    "padded",
]

Border: TypeAlias = Literal["nearest", "reflect", "mirror"]
"""SciPy's names: aaa|abc|ccc, cba|abc|cba and cb|abc|ba; OpenCV calls the last reflect-101."""

Kernel: TypeAlias = tuple[tuple[float, ...], ...]
"""Rows of weights."""

MAGICK_SLACK = 1 / 514
"""ImageMagick rounds to 16 bits before it truncates to 8: less than half of 1/257 is forgiven."""

_WIDEST_SUM = 32
_WIDEST_TAPS = 3


def edge_indices(n: int, before: int, after: int, border: Border) -> Tensor:
    """Say which pixel of a row stands at every place of the padded row, folded as often as needed.

    Args:
        n: Length of the row.
        before: Places before it.
        after: Places after it.
        border: What stands beyond the ends.

    Returns:
        Source indices, shape (before + n + after,), int64.

    Example:
        >>> edge_indices(3, 2, 2, "mirror")
        tensor([2, 1, 0, 1, 2, 1, 0])
    """
    places = torch.arange(-before, n + after)
    if border == "nearest" or n == 1:
        return places.clamp(0, n - 1)
    if border == "reflect":
        folded = places.remainder(2 * n)
        return torch.minimum(folded, 2 * n - 1 - folded)
    folded = places.remainder(2 * n - 2)
    return torch.minimum(folded, 2 * n - 2 - folded)


def padded(x: Tensor, rows: Sequence[int], columns: Sequence[int], border: Border) -> Tensor:
    """Extend images beyond their edges.

    Args:
        x: Images, shape (N, C, H, W).
        rows: How many rows to add above and below.
        columns: How many columns to add left and right.
        border: What stands there.

    Returns:
        Shape (N, C, above + H + below, left + W + right).

    Example:
        >>> padded(torch.eye(2)[None, None], (0, 0), (1, 1), "nearest")[0, 0]
        tensor([[1., 1., 0., 0.],
                [0., 0., 1., 1.]])
    """
    height, width = x.shape[-2:]
    if border == "nearest":
        return F.pad(x, (*columns, *rows), mode="replicate")
    if border == "mirror" and max(rows) < height and max(columns) < width:
        return F.pad(x, (*columns, *rows), mode="reflect")
    if border == "reflect" and max(rows) <= height and max(columns) <= width:
        return _reflected(_reflected(x, *rows, dim=-2), *columns, dim=-1)
    x = x.index_select(-2, edge_indices(height, rows[0], rows[1], border).to(x.device))
    return x.index_select(-1, edge_indices(width, columns[0], columns[1], border).to(x.device))


def _reflected(x: Tensor, before: int, after: int, *, dim: int) -> Tensor:
    """Extend images along an axis by their own ends, turned round: cba|abc|cba."""
    if before == after == 0:
        return x
    first, last = x.narrow(dim, 0, before), x.narrow(dim, x.shape[dim] - after, after)
    return torch.cat((first.flip(dim), x, last.flip(dim)), dim=dim)


@lru_cache(maxsize=64)
def gaussian_weights(sigma: float, radius: int) -> tuple[float, ...]:
    """Compute the weights of a Gaussian kernel from its middle outwards; all of it sums to one.

    Args:
        sigma: Standard deviation in pixels, positive.
        radius: How far it reaches.

    Returns:
        radius + 1 weights, for the distances 0, 1, ..., radius.

    Example:
        >>> [round(weight, 3) for weight in gaussian_weights(1.0, 2)]
        [0.403, 0.244, 0.054]
    """
    raw = [math.exp(-0.5 * (distance / sigma) ** 2) for distance in range(radius + 1)]
    total = 2 * sum(raw) - raw[0]
    return tuple(weight / total for weight in raw)


def gaussian_filter(
    x: Tensor, sigma: float, *, truncate: float = 4.0, border: Border = "nearest"
) -> Tensor:
    """Blur images by a Gaussian, as `scipy.ndimage.gaussian_filter` does.

    Args:
        x: Images, shape (N, C, H, W).
        sigma: Standard deviation in pixels; 0 changes nothing.
        truncate: Where the kernel ends, in standard deviations, rounded to a pixel.
        border: What stands beyond the edges.

    Returns:
        A new tensor of the same shape. Cost: 4 passes over the images per pixel of the radius; for
        a radius above 32 two matrix products.
    """
    radius = int(truncate * sigma + 0.5)
    if radius == 0:
        return x.clone()
    weights = gaussian_weights(sigma, radius)
    if radius > _WIDEST_SUM:
        rows, columns = (_matrix(n, weights, border).to(x.dtype).to(x.device) for n in x.shape[-2:])
        return (columns @ (rows @ x).mT).mT.contiguous()
    x = _correlate(padded(x, (radius, radius), (0, 0), border), weights, dim=-2)
    return _correlate(padded(x, (0, 0), (radius, radius), border), weights, dim=-1)


def _correlate(x: Tensor, weights: Sequence[float], *, dim: int) -> Tensor:
    """Apply a symmetric kernel along one axis of padded images."""
    radius = len(weights) - 1
    n = x.shape[dim] - 2 * radius
    out = x.narrow(dim, radius, n) * weights[0]
    for distance, weight in enumerate(weights[1:], 1):
        pair = x.narrow(dim, radius - distance, n) + x.narrow(dim, radius + distance, n)
        out.add_(pair, alpha=weight)
    return out


@lru_cache(maxsize=16)
def _matrix(n: int, weights: tuple[float, ...], border: Border) -> Tensor:
    """Write a symmetric kernel and its border as an (n, n) matrix."""
    radius = len(weights) - 1
    matrix = torch.zeros(n, n, dtype=torch.float64)
    sources = edge_indices(n, radius, radius, border)
    for place in range(2 * radius + 1):
        row = torch.arange(n)
        weight = torch.full((n,), weights[abs(place - radius)], dtype=torch.float64)
        matrix.index_put_((row, sources[place : place + n]), weight, accumulate=True)
    return matrix


def convolve(x: Tensor, kernel: Kernel) -> Tensor:
    """Filter every channel by a kernel that is symmetric in both axes, mirrored at the border.

    Args:
        x: Images, shape (N, C, H, W).
        kernel: 2R+1 rows of 2R+1 weights, equal to its mirror images; it is not normalised.

    Returns:
        A new tensor of the same shape. Cost: 2 (R+1)^2 passes over the images for R up to 3, else
        one Fourier transform there and back.
    """
    radius = len(kernel) // 2
    wide = padded(x, (radius, radius), (radius, radius), "mirror")
    if radius > _WIDEST_TAPS:
        return _convolve_fourier(wide, kernel)
    height, width = x.shape[-2:]
    quarter = [row[radius:] for row in kernel[radius:]]
    out = torch.zeros_like(x)
    for right in range(radius + 1):
        pair = _pair(wide, right, dim=-1, radius=radius, n=width)
        for down in range(radius + 1):
            if quarter[down][right]:
                part = _pair(pair, down, dim=-2, radius=radius, n=height)
                out.add_(part, alpha=quarter[down][right])
    return out


def _pair(x: Tensor, distance: int, *, dim: int, radius: int, n: int) -> Tensor:
    """Add the two neighbours at a distance along an axis; at distance 0 there is one."""
    if distance == 0:
        return x.narrow(dim, radius, n)
    return x.narrow(dim, radius - distance, n) + x.narrow(dim, radius + distance, n)


def _convolve_fourier(wide: Tensor, kernel: Kernel) -> Tensor:
    reach = len(kernel) - 1
    height, width = (n - reach for n in wide.shape[-2:])
    # A multiple of 16 has small factors; what wraps around falls outside the part that is kept.
    rows, columns = (16 * math.ceil(n / 16) for n in wide.shape[-2:])
    spectrum = torch.fft.rfft2(wide, s=(rows, columns))
    spectrum *= _spectrum(kernel, rows, columns, wide.dtype, wide.device)
    full: Tensor = torch.fft.irfft2(spectrum, s=(rows, columns))
    return full[..., reach : reach + height, reach : reach + width]


@lru_cache(maxsize=8)
def _spectrum(
    kernel: Kernel, rows: int, columns: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    weights = torch.tensor(kernel, dtype=dtype, device=device)
    spectrum: Tensor = torch.fft.rfft2(weights, s=(rows, columns))
    return spectrum


def motion_taps(radius: float, sigma: float, angle: float) -> tuple[tuple[int, int, float], ...]:
    """List what ImageMagick's motion blur adds up: half a Gaussian along a ray.

    Args:
        radius: Reach in pixels, of which the ray has 2 ceil(radius) + 1.
        sigma: Standard deviation in pixels.
        angle: Degrees; 0 looks to the right, 90 down.

    Returns:
        Offsets (down, right) and their weights, which sum to one; steps that fall on one pixel are
        one tap, weights below a part in 2^28 are none.

    Example:
        >>> [(down, right) for down, right, _ in motion_taps(1.0, 1.0, 0.0)]
        [(0, 0), (0, 1), (0, 2)]
    """
    steps = range(2 * math.ceil(radius) + 1)
    raw = [math.exp(-0.5 * (step / sigma) ** 2) for step in steps]
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    taps: dict[tuple[int, int], float] = {}
    for step, weight in zip(steps, raw, strict=True):
        place = math.ceil(step * sine - 0.5), math.ceil(step * cosine - 0.5)
        taps[place] = taps.get(place, 0.0) + weight / sum(raw)
    return tuple((*place, weight) for place, weight in taps.items() if weight > 2**-28)


def motion_filter(x: Tensor, radius: float, sigma: float, angles: Tensor) -> Tensor:
    """Blur every image along its own ray, as ImageMagick's MotionBlurImage; edges are repeated.

    The original's result passes through 16 and 8 bits: `truncated(result, slack=MAGICK_SLACK)`.

    Args:
        x: Images, shape (N, C, H, W).
        radius: Reach in pixels.
        sigma: Standard deviation in pixels.
        angles: Degrees, shape (N,).

    Returns:
        A new tensor of the same shape. Cost: a pass over an image per tap, at most
        2 ceil(radius) + 1.
    """
    out = torch.empty_like(x)
    for row, angle in enumerate(angles.tolist()):
        _add_taps(x[row], motion_taps(radius, sigma, angle), out[row])
    return out


def _add_taps(image: Tensor, taps: Sequence[tuple[int, int, float]], out: Tensor) -> None:
    """Add up shifted copies of one image (C, H, W)."""
    height, width = image.shape[-2:]
    downs, rights = [tap[0] for tap in taps], [tap[1] for tap in taps]
    top, left = max(0, -min(downs)), max(0, -min(rights))
    rows, columns = (top, max(0, *downs)), (left, max(0, *rights))
    wide = padded(image[None], rows, columns, "nearest")[0]
    out.zero_()
    for down, right, weight in taps:
        shifted = wide[:, top + down : top + down + height, left + right : left + right + width]
        out.add_(shifted, alpha=weight)


def clipped_zoom(x: Tensor, zoom: float) -> Tensor:
    """Enlarge the centre of images, and cut the result to the size that they had.

    Args:
        x: Images, shape (N, C, H, W).
        zoom: The factor, at least 1.

    Returns:
        Same shape, interpolated linearly between corners that stay corners (SciPy, order 1).
    """
    shape = x.shape[-2:]
    crops = [math.ceil(n / zoom) for n in shape]
    tops = [(n - crop) // 2 for n, crop in zip(shape, crops, strict=True)]
    inner = x[..., tops[0] : tops[0] + crops[0], tops[1] : tops[1] + crops[1]]
    sizes = [max(n, round(crop * zoom)) for n, crop in zip(shape, crops, strict=True)]
    large = F.interpolate(inner, size=sizes, mode="bilinear", align_corners=True)
    trims = [(size - n) // 2 for size, n in zip(sizes, shape, strict=True)]
    return large[..., trims[0] : trims[0] + shape[0], trims[1] : trims[1] + shape[1]]
