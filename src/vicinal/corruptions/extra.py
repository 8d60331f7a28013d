r"""Saturation: one of the four extra corruptions, held out for validation (CIFAR-10-C's files).

Speckle noise and Gaussian blur stand with their kin (`noise`, `blur`), spatter in its own file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from vicinal.corruptions import severities
from vicinal.corruptions.corruption import Corruption
from vicinal.corruptions.draw import Draw
from vicinal.corruptions.keys import Streams

__all__ = ["Saturate", "Saturation"]


@dataclass(frozen=True, kw_only=True)
class Saturation(Draw):
    """Nothing drawn: the factor and the term of the saturation."""

    strength: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Saturate(Corruption[tuple[float, float], Saturation]):
    r"""Change the saturation of HSV, :math:`S' = \min(c_0 S + c_1, 1)`, and keep hue and value.

    With V the largest and m the smallest channel, each channel becomes
    :math:`V - V S' (V - x) / (V - m)`. Grey pixels count as red, so a term c1 colours them: that
    is what the original does. RGB only.

    Example:
        >>> import torch
        >>> x = torch.full((1, 3, 1, 1), 0.5)
        >>> Saturate()(x, severity=5, preset=224, quantize=False).flatten()
        tensor([0.5000, 0.4000, 0.4000])

    Differs from the original: it never leaves RGB, which changes single values by one level.
    Cost: no draw; about ten passes over the picture.
    """

    name: ClassVar[str] = "saturate"
    constants: ClassVar = severities.SATURATE
    channels: ClassVar[tuple[int, ...] | None] = (3,)

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, float]
    ) -> Saturation:
        del streams, shape
        return Saturation(strength=constant)

    def _corrupt(self, x: Tensor, draw: Saturation) -> Tensor:
        factor, term = draw.strength
        low, value = x.amin(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)
        chroma = value - low
        grey = chroma == 0
        black = value == 0
        saturation = chroma / value.masked_fill(black, 1.0)
        depth = (saturation * factor).add_(term).clamp_(0.0, 1.0).mul_(value)
        share = (value - x) / chroma.masked_fill(grey, 1.0)
        share[:, 1:].masked_fill_(grey, 1.0)
        return value - depth * share
