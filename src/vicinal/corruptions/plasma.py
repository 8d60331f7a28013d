r"""Fog: a plasma fractal of bright haze over a picture (Hendrycks & Dietterich 2019).

The fractal is the diamond-square algorithm on a torus; every picture has its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from vicinal.corruptions import severities
from vicinal.corruptions.corruption import Corruption
from vicinal.corruptions.draw import Draw
from vicinal.corruptions.keys import Streams

__all__ = ["Fog", "Haze", "plasma"]

_WIBBLE = 100.0


def plasma(noise: Tensor, *, side: int, decay: float) -> Tensor:
    r"""Build plasma fractals by diamonds and squares, scaled to [0, 1].

    Begins with one corner of height 0 on a torus. Every round puts a point into the middle of each
    square of four neighbours, then one between each two of either axis; each is the mean of its
    four neighbours plus noise of amplitude :math:`w^2`, w = 100 at first and divided by `decay`
    after every round.

    Args:
        noise: Uniform in [-1, 1), shape (N, side^2 - 1): for every round the middles, the points
            to the right of old ones, the points below them, each row by row.
        side: Side of the map, a power of two.
        decay: What divides w.

    Returns:
        Maps, shape (N, side, side), of which each has a 0 and a 1.

    Example:
        >>> import torch
        >>> plasma(torch.tensor([[0.5, 0.0, 0.25]]), side=2, decay=2.0)
        tensor([[[0.0000, 0.5000],
                 [1.0000, 1.0000]]])
    """
    n = noise.shape[0]
    heights = noise.new_zeros(n, 1, 1)
    wibble, start = _WIBBLE, 0
    while heights.shape[-1] < side:
        count = heights.shape[-1] ** 2
        part = noise[:, start : start + 3 * count] * (wibble * wibble)
        heights = _refined(heights, part.view(n, 3, *heights.shape[1:]))
        start, wibble = start + 3 * count, wibble / decay
    heights = heights - heights.amin(dim=(1, 2), keepdim=True)
    # A map without noise is flat; its largest height is then 0 too.
    return heights / heights.amax(dim=(1, 2), keepdim=True).clamp_(min=1e-12)


def _refined(old: Tensor, noise: Tensor) -> Tensor:
    """Double the side of maps (N, k, k), by noise (N, 3, k, k)."""
    right, below = _added(old, -1, dim=2), _added(old, -1, dim=1)
    middles = _added(right, -1, dim=1).mul_(0.25).add_(noise[:, 0])
    rights = right.add_(_added(middles, 1, dim=1)).mul_(0.25).add_(noise[:, 1])
    belows = below.add_(_added(middles, 1, dim=2)).mul_(0.25).add_(noise[:, 2])
    n, k, _ = old.shape
    new = old.new_empty(n, k, 2, k, 2)
    for place, part in enumerate((old, rights, belows, middles)):
        new[:, :, place // 2, :, place % 2] = part
    return new.view(n, 2 * k, 2 * k)


def _added(x: Tensor, shift: int, *, dim: int) -> Tensor:
    """Add to every point its neighbour on the torus."""
    return x.roll(shift, dims=dim).add_(x)


@dataclass(frozen=True, kw_only=True)
class Haze(Draw):
    """What the fractal of each picture is made of."""

    noise: Tensor
    """Uniform in [-1, 1), shape (N, side^2 - 1)."""
    side: int
    """Side of the map: the smallest power of two that holds the picture."""
    strength: tuple[float, float]
    """How much haze, and the decay of its wibble."""


@dataclass(frozen=True, kw_only=True)
class Fog(Corruption[tuple[float, float], Haze]):
    r"""Add a plasma fractal P to all channels, and keep the largest value m of the picture.

    .. math:: x' = (x + a P)\, m / (m + a)

    The map is the smallest power of two that holds the picture (256 at 224 pixels), of which the
    upper left corner is used. Any number of channels.

    Example:
        >>> import torch
        >>> x = torch.rand(1, 3, 32, 32)
        >>> bool(Fog()(x, severity=3, keys=torch.tensor([7])).max() <= x.max())
        True

    Differs from the original: nothing but the random stream.
    Cost: a uniform draw per point of the map, about ten passes over the map, four over the picture.
    """

    name: ClassVar[str] = "fog"
    constants: ClassVar = severities.FOG

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, float]
    ) -> Haze:
        side = max(2, 1 << (max(shape[1:]) - 1).bit_length())
        noise = streams.uniform(side * side - 1, low=-1.0, high=1.0)
        return Haze(noise=noise, side=side, strength=constant)

    def _corrupt(self, x: Tensor, draw: Haze) -> Tensor:
        amount, decay = draw.strength
        haze = plasma(draw.noise, side=draw.side, decay=decay)
        haze = haze[:, None, : x.shape[2], : x.shape[3]]
        most = x.amax(dim=(1, 2, 3), keepdim=True)
        return (x + haze * amount) * (most / (most + amount))
