r"""Spatter: drops of water or mud on the lens, one of the four extra corruptions.

A smoothed normal field makes the liquid. Water is shaded by the distance to the edges of the drops
(Canny's edges, a chamfer distance, an equalised histogram, an emboss filter); mud is brown and
hides what is behind it. The steps are OpenCV's by their definitions, batched, without OpenCV.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vicinal.corruptions import severities
from vicinal.corruptions.corruption import SLACK, Corruption
from vicinal.corruptions.draw import Draw
from vicinal.corruptions.filters import gaussian_filter
from vicinal.corruptions.keys import Streams
from vicinal.corruptions.weather import luma

__all__ = ["Liquid", "Spatter", "distances", "edges", "equalised"]

_WATER = (175.0, 238.0, 238.0)
_MUD = (63.0, 42.0, 20.0)
_LOW, _HIGH = 50.0, 150.0
_FARTHEST = 20.0
# OpenCV's lengths of a step, of a diagonal one and of a knight's move.
_STEPS = ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 1.4), (1, -1, 1.4))
_KNIGHTS = ((1, 2, 2.1969), (1, -2, 2.1969), (2, 1, 2.1969), (2, -1, 2.1969))
_EMBOSS = ((-2.0, -1.0, 0.0), (-1.0, 1.0, 1.0), (0.0, 1.0, 2.0))


@dataclass(frozen=True, kw_only=True)
class Liquid(Draw):
    """The field that makes the drops."""

    noise: Tensor
    """Standard normal, shape (N, 1, H, W)."""
    strength: tuple[float, ...]
    """Mean, deviation, sigma, threshold; strength of water or sigma of mud; 0 for water, 1 mud."""


@dataclass(frozen=True, kw_only=True)
class Spatter(Corruption[tuple[float, ...], Liquid]):
    r"""Spatter the lens with water (severities 1 to 3) or mud (4 and 5).

    With L the liquid where it is thick enough, water adds :math:`m\,c` with m the shaded L scaled
    to a largest value of `strength`; mud is a mask M, smoothed and cut off below 0.8, and
    :math:`x' = (1 - M)\,x + M c`. Grey pictures or RGB.

    Example:
        >>> x = torch.zeros(1, 3, 32, 32)
        >>> bad = Spatter()(x, severity=5, preset=224, keys=torch.tensor([7]))
        >>> bool((bad[:, 0] >= bad[:, 2]).all())
        True

    Differs from the original: smoothing, edges and distances are computed in single precision, and
    the chamfer distance takes its shortest way where OpenCV's two sweeps may miss it.
    Cost: a normal draw per pixel; about 700 passes over one channel for water, ten for mud.
    """

    name: ClassVar[str] = "spatter"
    constants: ClassVar = severities.SPATTER
    channels: ClassVar[tuple[int, ...] | None] = (1, 3)

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, ...]
    ) -> Liquid:
        return Liquid(noise=streams.normal(1, *shape[1:]), strength=constant)

    def _corrupt(self, x: Tensor, draw: Liquid) -> Tensor:
        mean, deviation, sigma, threshold, amount, mud = draw.strength
        layer = gaussian_filter(draw.noise * deviation + mean, sigma)
        layer = layer.masked_fill(layer < threshold, 0.0)
        if mud:
            mask = gaussian_filter((layer > threshold).to(x.dtype), amount)
            mask = mask.masked_fill(mask < 0.8, 0.0)
            return x * (1.0 - mask) + mask * _colour(_MUD, x)
        water = _shaded(layer)
        water = water / water.amax(dim=(1, 2, 3), keepdim=True).clamp_(min=1e-12)
        return x + water * amount * _colour(_WATER, x)


def _colour(levels: Sequence[float], x: Tensor) -> Tensor:
    colour = torch.tensor(levels, dtype=x.dtype, device=x.device).view(1, 3, 1, 1) / 255.0
    return luma(colour) if x.shape[1] == 1 else colour


def _shaded(layer: Tensor) -> Tensor:
    """Weigh a layer (N, 1, H, W) by the embossed distance to the edges of its drops."""
    levels = (layer * 255.0).add_(SLACK).floor_().clamp_(0.0, 255.0)
    far = distances(edges(levels)).clamp_(max=_FARTHEST)
    far = equalised(_box_mean(far).floor_())
    kernel = torch.tensor(_EMBOSS, dtype=far.dtype, device=far.device).view(1, 1, 3, 3)
    embossed = F.conv2d(_mirrored(far), kernel).round_().clamp_(0.0, 255.0)
    return levels * _box_mean(embossed).round_()


def _mirrored(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), mode="reflect" if min(x.shape[-2:]) > 1 else "replicate")


def _box_mean(x: Tensor) -> Tensor:
    return F.avg_pool2d(_mirrored(x), 3, stride=1)


def edges(levels: Tensor) -> Tensor:
    """Find Canny's edges of grey levels, with OpenCV's thresholds 50 and 150 and 3 x 3 Sobel.

    Args:
        levels: Grey levels 0..255, shape (N, 1, H, W).

    Returns:
        Shape (N, 1, H, W), bool.

    Example:
        >>> step = torch.zeros(1, 1, 4, 6)
        >>> step[..., 3:] = 255
        >>> edges(step)[0, 0, 1].int().tolist()
        [0, 0, 1, 0, 0, 0]
    """
    wide = F.pad(levels, (1, 1, 1, 1), mode="replicate")
    smooth = wide[..., :-2, :] + 2 * wide[..., 1:-1, :] + wide[..., 2:, :]
    across = smooth[..., 2:] - smooth[..., :-2]
    smooth = wide[..., :-2] + 2 * wide[..., 1:-1] + wide[..., 2:]
    down = smooth[..., 2:, :] - smooth[..., :-2, :]
    size = across.abs() + down.abs()
    thin = _is_crest(size, across, down) & (size > _LOW)
    return _connected(thin & (size > _HIGH), thin)


def _is_crest(size: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Tell where a gradient is the largest of three along its own direction."""
    wide = F.pad(size, (1, 1, 1, 1))

    def at(row: int, column: int) -> Tensor:
        height, width = size.shape[-2:]
        return wide[..., 1 + row : 1 + row + height, 1 + column : 1 + column + width]

    flat = down.abs() < across.abs() * 0.41421356
    steep = down.abs() > across.abs() * 2.41421356
    rising = (across < 0) ^ (down < 0)
    level = (size > at(0, -1)) & (size >= at(0, 1))
    upright = (size > at(-1, 0)) & (size >= at(1, 0))
    falling_crest = (size > at(-1, -1)) & (size > at(1, 1))
    rising_crest = (size > at(-1, 1)) & (size > at(1, -1))
    slanted = torch.where(rising, rising_crest, falling_crest)
    return torch.where(flat, level, torch.where(steep, upright, slanted))


def _connected(strong: Tensor, weak: Tensor) -> Tensor:
    """Keep the weak pixels that a chain of weak neighbours joins to a strong one."""
    # The longest chain is unknown; looking once in eight rounds seldom makes a device wait.
    while True:
        before = strong
        for _ in range(8):
            grown = F.max_pool2d(strong.float(), 3, stride=1, padding=1) > 0
            strong = grown & weak
        if torch.equal(strong, before):
            return strong


def distances(goals: Tensor) -> Tensor:
    """Measure the way to the nearest goal by steps of 1, 1.4 and 2.1969 pixels, up to 20.

    Args:
        goals: Shape (N, 1, H, W), bool.

    Returns:
        Shape (N, 1, H, W), at most 20 exactly, or more.

    Example:
        >>> distances(torch.eye(3, dtype=torch.bool)[None, None])[0, 0, 0]
        tensor([0.0000, 1.0000, 1.4000])
    """
    height, width = goals.shape[-2:]
    far = torch.where(goals, 0.0, 2 * _FARTHEST)
    for _ in range(int(_FARTHEST)):
        wide = F.pad(far, (2, 2, 2, 2), value=2 * _FARTHEST)
        for down, right, length in (*_STEPS, *_KNIGHTS):
            for sign in (1, -1):
                top, left = 2 + sign * down, 2 + sign * right
                near = wide[..., top : top + height, left : left + width] + length
                far = torch.minimum(far, near)
    return far


def equalised(levels: Tensor) -> Tensor:
    """Spread grey levels so that each is as likely as any other, as OpenCV's `equalizeHist`.

    Args:
        levels: Grey levels 0..255, shape (N, 1, H, W).

    Returns:
        Grey levels, shape (N, 1, H, W); a picture of one level stays as it is.

    Example:
        >>> equalised(torch.tensor([3.0, 3.0, 5.0, 7.0]).view(1, 1, 2, 2)).flatten()
        tensor([  0.,   0., 128., 255.])
    """
    n = levels.shape[0]
    places = levels.long().flatten(1)
    counts = torch.zeros(n, 256, dtype=torch.int64, device=levels.device)
    counts.scatter_add_(1, places, torch.ones_like(places))
    upto = counts.cumsum(dim=1)
    first = counts.gather(1, places.amin(dim=1, keepdim=True))
    rest = (places.shape[1] - first).to(levels.dtype)
    table = ((upto - first) * (255.0 / rest.clamp(min=1.0))).round_().clamp_(min=0.0)
    spread = table.gather(1, places).view_as(levels)
    return torch.where((rest == 0).view(-1, 1, 1, 1), levels, spread)
