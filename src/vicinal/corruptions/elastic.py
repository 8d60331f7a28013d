r"""Elastic transform: a random affine map, then a smooth random displacement of every pixel.

As ImageNet-C was made (Hendrycks & Dietterich 2019, with the OpenCV 3 and SciPy 1.0 of 2018):
coordinates of the affine map are rounded to 1/32 pixel, and what SciPy 1.0 read beyond the edge is
kept (`folded`). Later versions of both read a strip along the edges differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vicinal._checks import InputError
from vicinal.corruptions import severities
from vicinal.corruptions.corruption import Corruption
from vicinal.corruptions.draw import Draw
from vicinal.corruptions.filters import edge_indices, gaussian_filter, gaussian_weights
from vicinal.corruptions.keys import Streams

__all__ = ["Bend", "ElasticTransform", "affine_places", "folded", "read"]

_BITS = 1024
_STEPS = 32
_TRUNCATE = 3.0
_MATRIX_GAIN = 16


@dataclass(frozen=True, kw_only=True)
class Bend(Draw):
    """Where three points of each picture go, and the noise that displaces its pixels."""

    corners: Tensor
    """Displacements (right, down) in pixels of the three points, shape (N, 3, 2)."""
    noise: Tensor
    """Uniform in [-1, 1), for columns, then for rows, shape (N, 2, H, W)."""
    strength: tuple[float, ...]
    """Amplitude and sigma of the displacement, reach of the three points; in pixels."""


@dataclass(frozen=True, kw_only=True)
class ElasticTransform(Corruption[tuple[float, ...], Bend]):
    r"""Move three points at random and the plane with them, then every pixel by a smooth field.

    With k half and q a third of the shorter side, (k+q, k+q), (k+q, k-q) and (k-q, k-q) each go up
    to `reach` pixels away along either axis. Then the pixel at p is read at p + d,

    .. math:: d = a\,(G_\sigma * u),\qquad u \sim U[-1, 1)^2

    linearly, G reaching three sigmas. Severities are not in order: 2 is the worst at 224 pixels.
    Sides of at least 3 pixels; any number of channels.

    Example:
        >>> x = torch.full((1, 3, 32, 32), 0.2)
        >>> torch.equal(ElasticTransform()(x, severity=3, keys=torch.tensor([7])), x)
        True

    Differs from the original: nothing but the random stream; where a side is not the other, the
    centre is that of the picture (the original exchanged the axes).
    Cost: two uniform draws per pixel, 4 matrix products, two readings of the picture.
    """

    name: ClassVar[str] = "elastic_transform"
    constants: ClassVar = severities.ELASTIC_TRANSFORM
    slack: ClassVar[float] = 2.0**-8

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, ...]
    ) -> Bend:
        reach = constant[2]
        if min(shape[1:]) < 3:
            raise InputError(
                f"elastic_transform needs sides of at least 3 pixels; got {shape[1]} x {shape[2]}."
            )
        corners = streams.uniform(3, 2, low=-reach, high=reach)
        # An amplitude of 0, severity 1 of small pictures, moves no single pixel.
        sides = shape[1:] if constant[0] else (0, 0)
        noise = streams.uniform(2, *sides, low=-1.0, high=1.0)
        return Bend(corners=corners, noise=noise, strength=constant)

    def _corrupt(self, x: Tensor, draw: Bend) -> Tensor:
        height, width = x.shape[2:]
        columns, rows = affine_places(draw.corners, height, width)
        warped = read(x, rows.to(x.dtype), columns.to(x.dtype))
        amplitude, sigma, _ = draw.strength
        if amplitude == 0:
            return warped
        field = _smoothed(draw.noise, sigma).mul_(amplitude)
        columns = field[:, 0].add_(torch.arange(width, device=x.device))
        rows = field[:, 1].add_(torch.arange(height, device=x.device)[:, None])
        return read(warped, folded(rows, height), folded(columns, width))


def affine_places(corners: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Say where every pixel comes from when three points go elsewhere; OpenCV's fixed point.

    Args:
        corners: Displacements (right, down) of the three points, shape (N, 3, 2).
        height: Rows of the pictures.
        width: Columns of the pictures.

    Returns:
        Columns and rows, in pixels and whole 32nds of them, shape (N, H, W) each.

    Example:
        >>> columns, rows = affine_places(torch.zeros(1, 3, 2), 3, 3)
        >>> columns[0, 0], rows[0, 0]
        (tensor([0., 1., 2.]), tensor([0., 0., 0.]))
    """
    inverse = _inverse_map(corners, height, width)
    across = torch.arange(width, device=corners.device, dtype=inverse.dtype)
    down = torch.arange(height, device=corners.device, dtype=inverse.dtype)
    places = []
    for row in (0, 1):
        along, against, offset = (inverse[:, row, k, None] for k in range(3))
        step = (along * across * _BITS).round()
        start = ((against * down + offset) * _BITS).round() + _BITS // _STEPS // 2
        fixed = step[:, None, :].float() + start[:, :, None].float()
        places.append((fixed * (_STEPS / _BITS)).floor_().div_(_STEPS))
    return places[0], places[1]


def _inverse_map(corners: Tensor, height: int, width: int) -> Tensor:
    """Solve for the affine map of the three points, and invert it: shape (N, 2, 3)."""
    exact = torch.float32 if corners.device.type == "mps" else torch.float64
    third = min(height, width) // 3
    centre = torch.tensor([width // 2, height // 2], dtype=corners.dtype, device=corners.device)
    signs = corners.new_tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    old = centre + third * signs
    new = (old + corners).to(exact)
    old = old.to(exact)
    linear = torch.stack((new[:, 1] - new[:, 2], new[:, 0] - new[:, 1]), dim=-1) / (2 * third)
    offset = new[:, 1] - (linear @ old[1, :, None])[..., 0]
    a, b, c, d = linear.flatten(1).unbind(dim=1)
    adjoint = torch.stack((torch.stack((d, -b), dim=-1), torch.stack((-c, a), dim=-1)), dim=1)
    back = adjoint / (a * d - b * c)[:, None, None]
    return torch.cat((back, -(back @ offset[..., None])), dim=-1)


def folded(places: Tensor, n: int) -> Tensor:
    """Bring places beyond the edge back onto an axis, as SciPy 1.0 did in its mode "reflect".

    A place is reflected about the edge of the outermost pixel (-1 is 0 again), but when it still
    lies between that pixel and its own reflection, the other neighbour is read as if reflected
    about the pixel's centre.

    Args:
        places: Positions along an axis, in pixels.
        n: Length of the axis.

    Returns:
        Positions in [0, n - 1].

    Example:
        >>> folded(torch.tensor([-1.25, -0.25, 1.5, 3.25, 4.25]), 4)
        tensor([0.2500, 0.7500, 1.5000, 2.7500, 2.7500])
    """
    once = places + n
    # The quotient's floor is the remainder's, at a tenth of its time.
    once.sub_((once / (2 * n)).floor_().mul_(2 * n)).sub_(n)
    once = torch.where(once < 0, (once + 1).abs_(), once)
    return torch.where(once > n - 1, 2 * (n - 1) - once, once)


def read(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Read images between their pixels, linearly; beyond the outermost centres they are mirrored.

    Args:
        x: Images, shape (N, C, H, W).
        rows: Where to read, in pixels, shape (N, H', W').
        columns: Where to read, in pixels, shape (N, H', W').

    Returns:
        Shape (N, C, H', W').

    Example:
        >>> read(torch.eye(2)[None, None], torch.tensor([[[0.5]]]), torch.tensor([[[0.0]]])).item()
        0.5
    """
    height, width = x.shape[2:]
    grid = columns.new_empty((*columns.shape, 2))
    for axis, (places, n) in enumerate(((columns, width), (rows, height))):
        torch.sub(places * (2 / (n - 1)), 1, out=grid[..., axis])
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=True)


def _smoothed(noise: Tensor, sigma: float) -> Tensor:
    radius = int(_TRUNCATE * sigma + 0.5)
    if radius * _MATRIX_GAIN <= min(noise.shape[-2:]):
        return gaussian_filter(noise, sigma, truncate=_TRUNCATE, border="reflect")
    rows, columns = (_blur_matrix(n, sigma).to(noise.device, noise.dtype) for n in noise.shape[-2:])
    return (rows @ noise) @ columns.mT


@lru_cache(maxsize=16)
def _blur_matrix(n: int, sigma: float) -> Tensor:
    """Write a Gaussian filter, reflected at the borders, as an (n, n) matrix."""
    radius = int(_TRUNCATE * sigma + 0.5)
    weights = gaussian_weights(sigma, radius)
    matrix = torch.zeros(n, n, dtype=torch.float64)
    sources = edge_indices(n, radius, radius, "reflect")
    for place in range(2 * radius + 1):
        weight = torch.full((n,), weights[abs(place - radius)], dtype=torch.float64)
        index = (torch.arange(n), sources[place : place + n])
        matrix.index_put_(index, weight, accumulate=True)
    return matrix
