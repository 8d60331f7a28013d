r"""Noise on every value: Gaussian, shot, impulse, speckle (Hendrycks & Dietterich 2019).

    gaussian   x + N(0, sigma^2)                    of the electronics, in poor light
    shot       Poisson(c x) / c                     of the light itself
    impulse    0 or 1 in a share of the values      of single bits
    speckle    x + x N(0, sigma^2)                  the brighter, the stronger; held out

Channels are independent throughout, impulse noise included: it hits values, not pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from vicinal.corruptions import severities
from vicinal.corruptions.corruption import SLACK, Corruption
from vicinal.corruptions.draw import Draw
from vicinal.corruptions.keys import Streams

__all__ = ["Field", "GaussianNoise", "ImpulseNoise", "ShotNoise", "SpeckleNoise", "poisson"]

_CELLS = 1024


@dataclass(frozen=True, kw_only=True)
class Field(Draw):
    """A number drawn for every value of a picture, and the strength of what it decides."""

    of_channels: ClassVar[bool] = True
    noise: Tensor
    """Standard normal, or uniform in [0, 1) for shot and impulse noise; shape (N, C, H, W)."""
    strength: float


@dataclass(frozen=True, kw_only=True)
class GaussianNoise(Corruption[float, Field]):
    r"""Add white noise to every value: :math:`x' = x + \mathcal{N}(0, \sigma^2)`.

    Sigma is 0.08 to 0.38 at 224 pixels, 0.04 to 0.10 at 32. Any number of channels.

    Example:
        >>> x = torch.full((1, 1, 2, 2), 0.5)
        >>> GaussianNoise()(x, severity=3, keys=torch.tensor([7])).shape
        torch.Size([1, 1, 2, 2])

    Differs from the original: nothing but the random stream.
    Cost: a normal draw per value, which takes most of the time; two passes over the picture.
    """

    name: ClassVar[str] = "gaussian_noise"
    constants: ClassVar = severities.GAUSSIAN_NOISE

    def _draw(self, streams: Streams, shape: tuple[int, int, int], constant: float) -> Field:
        return Field(noise=streams.normal(*shape), strength=constant)

    def _corrupt(self, x: Tensor, draw: Field) -> Tensor:
        return x.add(draw.noise, alpha=draw.strength)


@dataclass(frozen=True, kw_only=True)
class SpeckleNoise(Corruption[float, Field]):
    r"""Multiply by white noise around one: :math:`x' = x + x\,\mathcal{N}(0, \sigma^2)`.

    One of the four extra corruptions, for validation. Black stays black. Any number of channels.

    Example:
        >>> x = torch.zeros(1, 1, 2, 2)
        >>> bool(SpeckleNoise()(x, severity=5, keys=torch.tensor([7])).any())
        False

    Differs from the original: nothing but the random stream.
    Cost: a normal draw per value, which takes most of the time; two passes over the picture.
    """

    name: ClassVar[str] = "speckle_noise"
    constants: ClassVar = severities.SPECKLE_NOISE

    def _draw(self, streams: Streams, shape: tuple[int, int, int], constant: float) -> Field:
        return Field(noise=streams.normal(*shape), strength=constant)

    def _corrupt(self, x: Tensor, draw: Field) -> Tensor:
        return torch.addcmul(x, x, draw.noise, value=draw.strength)


@dataclass(frozen=True, kw_only=True)
class ImpulseNoise(Corruption[float, Field]):
    """Set a share c of the values to 0 or 1, as often to one as to the other (salt and pepper).

    It hits single values, not pixels: a pixel may lose one channel only. Any number of channels.

    Example:
        >>> x = torch.full((1, 3, 32, 32), 0.5)
        >>> bad = ImpulseNoise()(x, severity=5, preset=224, keys=torch.tensor([7]))
        >>> round(float((bad == 0).float().mean()), 1), round(float((bad == 1).float().mean()), 1)
        (0.1, 0.1)

    Differs from the original: one uniform number u per value serves both of its draws, which value
    and which kind: u < c hits, u < c/2 is salt.
    Cost: a uniform draw per value, which takes most of the time; three passes over the picture.
    """

    name: ClassVar[str] = "impulse_noise"
    constants: ClassVar = severities.IMPULSE_NOISE

    def _draw(self, streams: Streams, shape: tuple[int, int, int], constant: float) -> Field:
        return Field(noise=streams.uniform(*shape), strength=constant)

    def _corrupt(self, x: Tensor, draw: Field) -> Tensor:
        # Comparisons into numbers, and a product, take a quarter of the time of two masks.
        kept = torch.ge(draw.noise, draw.strength, out=torch.empty_like(draw.noise))
        salt = torch.lt(draw.noise, draw.strength / 2, out=torch.empty_like(draw.noise))
        return torch.addcmul(salt, x, kept)


@dataclass(frozen=True, kw_only=True)
class ShotNoise(Corruption[float, Field]):
    r"""Count photons: :math:`x' = \mathrm{Poisson}(c\,x) / c`, where white sends c of them.

    The rate c is 60 to 3 at 224 pixels, 500 to 50 at 32. Black stays black, and every value is a
    multiple of 1/c before truncation. Any number of channels.

    Example:
        >>> x = torch.full((1, 1, 1, 4), 0.5)
        >>> bad = ShotNoise()(x, severity=5, preset=224, quantize=False, keys=torch.tensor([7]))
        >>> torch.allclose(bad * 3, (bad * 3).round())
        True

    Differs from the original: the count is the quantile of one uniform number (`poisson`), equal
    in distribution, so that draw and image stay apart.
    Cost: a uniform draw per value, and two look-ups in tables of 256 laws.
    """

    name: ClassVar[str] = "shot_noise"
    constants: ClassVar = severities.SHOT_NOISE

    def _draw(self, streams: Streams, shape: tuple[int, int, int], constant: float) -> Field:
        return Field(noise=streams.uniform(*shape), strength=constant)

    def _corrupt(self, x: Tensor, draw: Field) -> Tensor:
        return poisson(x, draw.noise, rate=draw.strength).div_(draw.strength)


def poisson(x: Tensor, u: Tensor, *, rate: float) -> Tensor:
    r"""Turn uniform numbers into Poisson counts: the quantile u of the law of mean rate * x.

    Exact for pictures of 256 levels, by a table of their laws. A value between two levels adds a
    second count of the mean that is left over, from what the first left of u: given the count,
    :math:`(u - P(K < k)) / P(K = k)` is uniform again.

    Args:
        x: Values in [0, 1], any shape.
        u: Uniform in [0, 1), same shape and dtype.
        rate: Mean count at x = 1, positive.

    Returns:
        Counts, same shape and dtype as x.

    Example:
        >>> poisson(torch.tensor([0.0, 1.0]), torch.tensor([0.9, 0.5]), rate=10.0)
        tensor([ 0., 10.])
    """
    upto, guide = (table.to(x.device) for table in _poisson_tables(rate))
    level = (x * 255.0).add_(SLACK).floor_().clamp_(0.0, 255.0)
    row = level.int().flatten()
    cell = (u * _CELLS).int().flatten().add_(row, alpha=_CELLS)
    row *= upto.shape[1]
    laws = upto.view(-1).to(u.dtype)
    place = _climb(laws, u.flatten(), guide.view(-1).index_select(0, cell).add_(row))
    counts = torch.sub(place, row).to(x.dtype).view_as(x)
    rest = (x * 255.0).sub_(level)
    if float(rest.detach().max()) > SLACK:
        left = _left_over(laws, u, place.view_as(u), counts)
        counts += _small_poisson(rest.clamp_(min=0.0) * (rate / 255.0), left, most=rate / 255.0)
    return counts


@lru_cache(maxsize=8)
def _poisson_tables(rate: float) -> tuple[Tensor, Tensor]:
    """Tabulate the 256 laws: P(K <= k), and the count at the start of each of 1024 cells of u."""
    means = torch.arange(256, dtype=torch.float64)[:, None] * (rate / 255.0)
    counts = torch.arange(int(rate + 8 * rate**0.5 + 16), dtype=torch.float64)
    logs = torch.special.xlogy(counts, means) - means - torch.lgamma(counts + 1)
    upto = logs.exp().cumsum(dim=1).float()
    # Numbers u come in steps of 2^-24: what is rarer at either end has no step of its own.
    upto[upto < 2.0**-25] = 0.0
    upto[:, -1] = 2.0
    cells = (torch.arange(_CELLS, dtype=torch.float32) / _CELLS).expand(256, _CELLS).contiguous()
    return upto, torch.searchsorted(upto, cells, right=True).int()


def _climb(upto: Tensor, u: Tensor, place: Tensor) -> Tensor:
    """Move every place on in its row of P(K <= k) until u lies below; most stand right already."""
    rest = (u >= upto.index_select(0, place)).nonzero().flatten()
    while rest.numel():
        moved = place.index_select(0, rest) + 1
        place[rest] = moved
        rest = rest[u.index_select(0, rest) >= upto.index_select(0, moved)]
    return place


def _left_over(upto: Tensor, u: Tensor, place: Tensor, counts: Tensor) -> Tensor:
    """Stretch what u has above P(K < k) to [0, 1), by P(K = k)."""
    place = place.long()
    below = torch.where(counts > 0, upto[(place - 1).clamp_(min=0)], torch.zeros_like(u))
    return ((u - below) / (upto[place] - below)).clamp_(0.0, 1.0)


def _small_poisson(mean: Tensor, u: Tensor, *, most: float) -> Tensor:
    """Turn uniform numbers into counts of small means, by adding up probabilities one by one."""
    counts, term = torch.zeros_like(mean), torch.exp(-mean)
    upto = term.clone()
    for count in range(1, _highest_count(most) + 1):
        counts += u >= upto
        term *= mean / count
        upto += term
    return counts


def _highest_count(mean: float) -> int:
    """Find the count that a float32 in [0, 1) can still tell from the ones above it."""
    count, term = 0, math.exp(-mean)
    left = 1.0 - term
    while left > 2.0**-25:
        count += 1
        term *= mean / count
        left -= term
    return count
