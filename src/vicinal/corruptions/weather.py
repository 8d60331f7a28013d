r"""Weather on a picture: snow and brightness (Hendrycks & Dietterich 2019).

    snow         flakes, blurred by their fall, on a picture turned pale
    brightness   the value of HSV, raised

Frost and fog, the other two of this group, have their own files: each makes a texture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vicinal.corruptions import severities
from vicinal.corruptions.corruption import Corruption, truncated
from vicinal.corruptions.draw import Draw
from vicinal.corruptions.filters import MAGICK_SLACK, clipped_zoom, motion_filter
from vicinal.corruptions.keys import Streams

__all__ = ["Brightness", "Glare", "Snow", "SnowFall", "luma"]

_LUMA = (0.299, 0.587, 0.114)


def luma(x: Tensor) -> Tensor:
    """Weigh red, green and blue by what the eye sees of them; a grey picture is its own luma.

    Args:
        x: Images, shape (N, C, H, W), C being 1 or 3.

    Returns:
        Shape (N, 1, H, W).

    Example:
        >>> luma(torch.ones(1, 3, 1, 1)).item()
        1.0
    """
    if x.shape[1] == 1:
        return x
    red, green, blue = x[:, :1], x[:, 1:2], x[:, 2:]
    return (red * _LUMA[0]).add(green, alpha=_LUMA[1]).add(blue, alpha=_LUMA[2])


@dataclass(frozen=True, kw_only=True)
class SnowFall(Draw):
    """A field of flakes before it is enlarged, and the way that they fall."""

    noise: Tensor
    """Standard normal, shape (N, 1, H, W)."""
    angles: Tensor
    """Degrees, in [-135, -45), shape (N,)."""
    strength: tuple[float, ...]
    """Mean, deviation, zoom and threshold of flakes; radius and sigma of their blur; mix."""


@dataclass(frozen=True, kw_only=True)
class Snow(Corruption[tuple[float, ...], SnowFall]):
    r"""Let it snow: pale colours, and two layers of flakes that are turned against each other.

    A normal field is enlarged from its centre, cut off below a threshold, brought to 8 bits and
    blurred along one ray (the layer L). Then, with g the luma of x,

    .. math:: x' = m\,x + (1 - m)\max(x,\; 1.5\,g + 0.5) + L + \mathrm{rot}_{180}(L)

    Grey pictures or RGB.

    Example:
        >>> x = torch.zeros(1, 3, 32, 32)
        >>> bad = Snow()(x, severity=3, keys=torch.tensor([7]))
        >>> torch.equal(bad, bad.rot90(2, dims=(2, 3)))
        True

    Differs from the original: nothing but the random stream.
    Cost: a normal draw per pixel and a pass over one channel per pixel of the fall, 25 at most 29.
    """

    name: ClassVar[str] = "snow"
    constants: ClassVar = severities.SNOW
    channels: ClassVar[tuple[int, ...] | None] = (1, 3)

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, ...]
    ) -> SnowFall:
        noise = streams.normal(1, *shape[1:])
        angles = streams.uniform(1, low=-135.0, high=-45.0)[:, 0]
        return SnowFall(noise=noise, angles=angles, strength=constant)

    def _corrupt(self, x: Tensor, draw: SnowFall) -> Tensor:
        mix = draw.strength[-1]
        layer = _flakes(draw)
        pale = luma(x).mul(1.5).add_(0.5)
        out = torch.maximum(x, pale).mul_(1.0 - mix).add_(x, alpha=mix)
        return out.add_(layer.add_(layer.flip((2, 3))))


def _flakes(draw: SnowFall) -> Tensor:
    """Make the layer of flakes (N, 1, H, W) out of its noise."""
    mean, deviation, zoom, threshold, radius, sigma, _ = draw.strength
    layer = clipped_zoom(draw.noise * deviation + mean, zoom)
    layer = truncated(layer.masked_fill(layer < threshold, 0.0))
    return truncated(motion_filter(layer, radius, sigma, draw.angles), slack=MAGICK_SLACK)


@dataclass(frozen=True, kw_only=True)
class Glare(Draw):
    """Nothing drawn: what brightness adds."""

    strength: float


@dataclass(frozen=True, kw_only=True)
class Brightness(Corruption[float, Glare]):
    r"""Raise the value of HSV, the largest channel V, and keep hue and saturation.

    .. math:: x' = x\, V' / V,\qquad V' = \min(V + c,\, 1)

    Black has no hue and becomes the grey V'. Any number of channels; a grey picture gets x + c.

    Example:
        >>> x = torch.tensor([0.4, 0.2, 0.0]).view(1, 3, 1, 1)
        >>> Brightness()(x, severity=4, preset=224, quantize=False).flatten()
        tensor([0.8000, 0.4000, 0.0000])

    Differs from the original: it never leaves RGB, which changes single values by one level.
    Cost: no draw; four passes over the picture.
    """

    name: ClassVar[str] = "brightness"
    constants: ClassVar = severities.BRIGHTNESS

    def _draw(self, streams: Streams, shape: tuple[int, int, int], constant: float) -> Glare:
        del streams, shape
        return Glare(strength=constant)

    def _corrupt(self, x: Tensor, draw: Glare) -> Tensor:
        value = x.amax(dim=1, keepdim=True)
        raised = (value + draw.strength).clamp_(max=1.0)
        black = value == 0
        factor = raised / value.masked_fill(black, 1.0)
        return x * factor + raised * black
