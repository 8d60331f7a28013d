"""Where to compute: the device a user names, or the best there is."""

from __future__ import annotations

import torch

from vicinal._checks import InputError, choice

__all__ = ["DEVICES", "pick_device"]

DEVICES = ("auto", "cpu", "cuda", "mps")
"""What `--device` takes."""


def pick_device(name: str) -> torch.device:
    """Pick a device.

    Args:
        name: "auto" (CUDA, else Apple's MPS, else the CPU), "cpu", "cuda" or "mps".

    Returns:
        The device.

    Raises:
        InputError: If this machine has no such device.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if choice("device", name, DEVICES) == "auto":
        return torch.device(next(kind for kind, present in there.items() if present))
    if not there[name]:
        raise InputError(f"`device` is {name!r}, but torch finds none here. Use --device cpu?")
    return torch.device(name)
