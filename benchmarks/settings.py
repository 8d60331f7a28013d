"""How large a measurement is: one frozen value that every benchmark reads."""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["Settings", "quick", "usual"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Sizes and places.

    Args:
        device: Where the nets compute.
        pairs: Interleaved pairs per comparison.
        warmup: Runs of everything before the first pair.
        batch: Images per batch.
        side: Their height and width.
        width: Of PreActResNet18, in channels of the first stage.
        small_width: Of the PreActResNet18 of the engine's epoch; the scale `small` has 16.
        epoch_steps: Steps of a whole engine epoch that stands in a pair.
        subset_steps: Steps of the epoch from which seconds per CIFAR-10 epoch are reckoned.
        pgd_steps: Steps of the attack.
        images: Images per pass of the augmentation.
        workers: Worker processes of the Pillow DataLoader.
        wide: Depth and width of the wide net whose ceiling is measured too, or None.
        repeats: Steps in one timed run of a step; an accelerator is filled before it is timed.
        compiled: Whether torch.compile is measured.
    """

    device: torch.device
    pairs: int = 30
    warmup: int = 2
    batch: int = 128
    side: int = 32
    width: int = 64
    small_width: int = 16
    epoch_steps: int = 8
    subset_steps: int = 12
    pgd_steps: int = 10
    images: int = 20_000
    workers: int = 2
    wide: tuple[int, int] | None = None
    repeats: int = 1
    compiled: bool = True


def usual(device: torch.device) -> Settings:
    """Give the sizes of a measurement: at least 30 pairs, the papers' net at batch 128.

    Args:
        device: Where the nets compute. An accelerator also measures WRN-28-10, ten steps at a time.

    Returns:
        The settings.
    """
    if device.type == "cpu":
        return Settings(device=device)
    return Settings(
        device=device, warmup=5, wide=(28, 10), repeats=10, epoch_steps=40, subset_steps=98
    )


def quick(device: torch.device) -> Settings:
    """Give the sizes of a smoke run: it shows that everything works, and measures nothing.

    Args:
        device: Where the nets compute.

    Returns:
        The settings.
    """
    return Settings(
        device=device,
        pairs=3,
        warmup=1,
        batch=8,
        width=4,
        small_width=4,
        epoch_steps=2,
        subset_steps=2,
        pgd_steps=2,
        images=256,
        wide=None if device.type == "cpu" else (10, 1),
        compiled=False,
    )
