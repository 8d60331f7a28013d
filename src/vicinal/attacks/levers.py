"""Levers: what makes a search fast without making it another search.

A model is searched in bfloat16, in channels-last, with its BatchNorm folded into convolutions; what
the search finds is judged by the model itself. Nothing here changes the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vicinal._checks import InputError, choice
from vicinal._typing import Model
from vicinal.attacks.folding import folded

__all__ = ["Levers", "Lowered"]


class Lowered(nn.Module):
    """A model as a search sees it: the same weights, other arithmetic.

    Args:
        model: The model.
        precision: "fp32" leaves the arithmetic alone, "bf16" runs it under autocast.
        channels_last: Hand the images over in channels-last.

    Example:
        >>> z = Lowered(nn.Flatten(), precision="bf16", channels_last=True)(torch.rand(2, 3, 2, 2))
        >>> z.shape
        torch.Size([2, 12])
    """

    def __init__(self, model: Model, *, precision: str, channels_last: bool) -> None:
        super().__init__()
        self.model, self._channels_last = model, channels_last
        self._half = precision == "bf16"

    def forward(self, x: Tensor) -> Tensor:
        """Run the model."""
        if self._channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self._half):
            z: Tensor = self.model(x)
        return z


@dataclass(frozen=True, kw_only=True)
class Levers:
    """Which levers a search pulls.

    Args:
        precision: "fp32" or "bf16".
        channels_last: Whether images are handed over in channels-last.
        folded: Whether BatchNorm is folded into the convolution before it, where there is one.
    """

    precision: str = "fp32"
    channels_last: bool = False
    folded: bool = False

    def __post_init__(self) -> None:
        choice("precision", self.precision, ("fp32", "bf16"))
        for name in ("channels_last", "folded"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise InputError(f"`{name}` must be True or False; got {value!r}.")

    @property
    def used(self) -> bool:
        """Whether any lever is pulled, so that the model itself must judge what is found."""
        return self.precision != "fp32" or self.channels_last or self.folded

    def lower(self, model: Model) -> Model:
        """Give the model that is searched.

        Args:
            model: The model; not changed.

        Returns:
            The model itself where no lever is pulled.
        """
        if not self.used:
            return model
        net = folded(model) if self.folded else model
        return Lowered(net, precision=self.precision, channels_last=self.channels_last)
