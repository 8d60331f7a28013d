"""Number formats and memory layouts of a training step: autocast, channels-last."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from vicinal._checks import choice
from vicinal.maths.randomness import moved

__all__ = ["Precision", "autocast", "on_device", "to_channels_last"]

Precision: TypeAlias = Literal["fp32", "bf16"]
"""Of matrix products and convolutions; the weights are fp32 in both."""


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Run what is inside in the given precision; "fp32" also shuts off an autocast around it.

    Args:
        precision: "fp32" or "bf16".
        device: Where the model lives.

    Returns:
        The context.

    Raises:
        InputError: If the precision is neither.

    Example:
        >>> with autocast("bf16", torch.device("cpu")):
        ...     nn.Linear(2, 2)(torch.ones(1, 2)).dtype
        torch.bfloat16
    """
    choice("precision", precision, get_args(Precision))
    if precision == "fp32" and not torch.is_autocast_enabled(device.type):
        return nullcontext()
    # Autocast's cache keeps bf16 copies of the weights, which go stale when an objective moves the
    # weights between two forwards (AWP): its second forward would silently see the first's weights.
    return torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=precision == "bf16", cache_enabled=False
    )


def to_channels_last(model: nn.Module) -> nn.Module:
    """Lay the model's convolution weights out channels-last, in place; no value changes.

    Args:
        model: The model.

    Returns:
        The same model.
    """
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def on_device(tensor: Tensor, device: torch.device, *, channels_last: bool = False) -> Tensor:
    """Move a tensor without making the host wait; images (N, C, H, W) channels-last if asked.

    Args:
        tensor: Images or labels.
        device: Where it shall be.
        channels_last: Whether a tensor of four axes is laid out channels-last.

    Returns:
        The tensor there; the same object when nothing had to be done.
    """
    there = moved(tensor, device)
    if channels_last and there.ndim == 4:
        return there.to(memory_format=torch.channels_last)
    return there
