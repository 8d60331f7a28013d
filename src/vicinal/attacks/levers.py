"""Levers: what makes a search fast without making it another search.

A model is searched in bfloat16, in channels-last, with its BatchNorm folded into convolutions; what
the search finds is judged by the model itself. Nothing here changes the model. Where a copy is
searched anyway, the one that is folded, its last layer computes in float32 under bfloat16 too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from vicinal._checks import InputError, choice
from vicinal._typing import Model
from vicinal.attacks.folding import folded, make_logits_exact

__all__ = ["Levers", "Lowered", "fast_precision", "precision_within"]

PRECISIONS = ("fp32", "bf16", "auto")
_WIDE = 4 / 255


class Lowered(nn.Module):
    """A model as a search sees it: the same weights, other arithmetic.

    Args:
        model: The model.
        precision: "fp32" leaves the arithmetic alone, "bf16" runs it under autocast.
        channels_last: Hand the images over in channels-last.

    Attributes:
        in_bf16: Whether it computes in bfloat16.
        coarse: Whether its logits may be rounded to bfloat16 too.

    Example:
        >>> z = Lowered(nn.Flatten(), precision="bf16", channels_last=True)(torch.rand(2, 3, 2, 2))
        >>> z.shape
        torch.Size([2, 12])
    """

    def __init__(self, model: Model, *, precision: str, channels_last: bool) -> None:
        super().__init__()
        self.model, self._channels_last = model, channels_last
        self.in_bf16 = self.coarse = precision == "bf16"

    def forward(self, x: Tensor) -> Tensor:
        """Run the model."""
        if self._channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.in_bf16):
            z: Tensor = self.model(x)
        return z


@dataclass(frozen=True, kw_only=True)
class Levers:
    """Which levers a search pulls.

    Args:
        precision: "fp32", "bf16", or "auto": bf16 where the processor is fast at it; attacks ask
            `precision_within` first.
        channels_last: Whether images are handed over in channels-last.
        folded: Whether BatchNorm is folded into the convolution before it, where there is one.
    """

    precision: str = "fp32"
    channels_last: bool = False
    folded: bool = False

    def __post_init__(self) -> None:
        choice("precision", self.precision, PRECISIONS)
        for name in ("channels_last", "folded"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise InputError(f"`{name}` must be True or False; got {value!r}.")

    @property
    def used(self) -> bool:
        """Whether any lever is pulled, so that the model itself must judge what is found."""
        return self.precision != "fp32" or self.channels_last or self.folded

    def on(self, device: torch.device) -> Levers:
        """Say which levers are pulled on a device.

        Args:
            device: Where the images lie.

        Returns:
            The same with "auto" decided.
        """
        if self.precision != "auto":
            return self
        return replace(self, precision=fast_precision(device))

    def lower(self, model: Model, device: torch.device) -> Model:
        """Give the model that is searched.

        Args:
            model: The model; not changed.
            device: Where the images lie.

        Returns:
            The model itself where no lever is pulled.
        """
        pulled = self.on(device)
        if not pulled.used:
            return model
        net = folded(model) if pulled.folded else model
        half = pulled.precision == "bf16"
        exact = half and net is not model and make_logits_exact(net)
        lowered = Lowered(net, precision=pulled.precision, channels_last=pulled.channels_last)
        lowered.coarse = half and not exact
        return lowered


def precision_within(precision: str, *, eps: float | Tensor, norm: str) -> str:
    """Say in which arithmetic a ball may be searched.

    bfloat16 keeps 8 bits of a number, so that it moves a pixel by up to 1/512 (half a grey level):
    little beside 8/255, half of 1/255. An l2 ball gives each pixel less than its radius.

    Args:
        precision: "fp32", "bf16" or "auto".
        eps: The ball's radius, images in [0, 1]; or one for each channel, shape (C,).
        norm: "linf" or "l2".

    Returns:
        "fp32" instead of "auto" in l2 balls, in linf balls below 4/255 and where each channel has a
        radius of its own, so that no device is asked for a tensor; else what was given.

    Example:
        >>> precision_within("auto", eps=1 / 255, norm="linf")
        'fp32'
        >>> precision_within("auto", eps=8 / 255, norm="linf")
        'auto'
    """
    narrow = norm != "linf" or isinstance(eps, Tensor) or eps < _WIDE
    return "fp32" if precision == "auto" and narrow else precision


def fast_precision(device: torch.device) -> str:
    """Say in which arithmetic a device searches fastest.

    Args:
        device: The device.

    Returns:
        "bf16" on a GPU that has it and on a CPU with instructions for it (AVX-512 BF16, AMX), else
        "fp32".

    Example:
        >>> fast_precision(torch.device("meta"))
        'fp32'
    """
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        asked = [getattr(torch.cpu, name, None) for name in tests]
        fast = device.type == "cpu" and any(test() for test in asked if test is not None)
    return "bf16" if fast else "fp32"
