"""The nets, batches and steps that are timed: made once, the same memory for every candidate."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from benchmarks.settings import Settings
from benchmarks.timing import Work
from vicinal import models
from vicinal._typing import Batch, Objective
from vicinal.data import Loader, Split
from vicinal.engine import Precision, autocast

__all__ = [
    "batch_of",
    "image_set",
    "loader_of",
    "preactresnet18",
    "steps_per_epoch",
    "still_sgd",
    "training_step",
    "wide_resnet",
]

CLASSES = 10
TRAINING_IMAGES = 50_000


def preactresnet18(settings: Settings, *, width: int | None = None) -> nn.Module:
    """Build the papers' net, in train mode, from a fixed seed.

    Args:
        settings: Device and width.
        width: Another width.

    Returns:
        The net.
    """
    torch.manual_seed(0)
    net = models.preactresnet18(num_classes=CLASSES, width=width or settings.width)
    return net.to(settings.device).train()


def wide_resnet(settings: Settings, depth: int, width: int) -> nn.Module:
    """Build a wide net, in train mode, from a fixed seed.

    Args:
        settings: The device.
        depth: Its depth.
        width: Its widening factor.

    Returns:
        The net.
    """
    torch.manual_seed(0)
    return models.wide_resnet(depth, width, num_classes=CLASSES).to(settings.device).train()


def batch_of(settings: Settings) -> Batch:
    """Draw one batch that stays on the device.

    Args:
        settings: Device and sizes.

    Returns:
        Images (N, 3, H, W) in [0, 1] and classes (N,).
    """
    rng = torch.Generator().manual_seed(1)
    x = torch.rand(settings.batch, 3, settings.side, settings.side, generator=rng)
    y = torch.randint(CLASSES, (settings.batch,), generator=rng)
    return x.to(settings.device), y.to(settings.device)


def image_set(images: int, *, side: int) -> Split:
    """Draw a set of bytes: what an image shows changes no time.

    Args:
        images: How many.
        side: Their height and width.

    Returns:
        The split, on the CPU.
    """
    rng = torch.Generator().manual_seed(2)
    x = torch.randint(256, (images, 3, side, side), generator=rng, dtype=torch.uint8)
    return Split(x=x, y=torch.randint(CLASSES, (images,), generator=rng))


def loader_of(settings: Settings, *, images: int, channels_last: bool = False) -> Loader:
    """Make the loader of the recipes: random crops of 4 black pixels, and flips.

    Args:
        settings: Device and sizes.
        images: How many the set holds.
        channels_last: The layout of its batches.

    Returns:
        The loader, its set on the device.
    """
    split = image_set(images, side=settings.side)
    return Loader(
        split,
        batch_size=settings.batch,
        pad=4,
        flip=True,
        channels_last=channels_last,
        device=settings.device,
    )


def training_step(
    called: nn.Module,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    batch: tuple[Tensor, Tensor],
    *,
    repeats: int,
    precision: Precision = "fp32",
) -> Work:
    """Make the work of a training step, as a hand-written loop has it.

    Args:
        called: What the objective calls: the net, or its compiled form.
        optimizer: Over the net's parameters.
        objective: The loss.
        batch: Images and classes, on the device.
        repeats: Steps in one run.
        precision: Of convolutions.

    Returns:
        The work.
    """
    x, y = batch

    def work() -> None:
        for _ in range(repeats):
            optimizer.zero_grad(set_to_none=True)
            with autocast(precision, x.device):
                loss = objective(called, x, y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return work


def still_sgd(net: nn.Module) -> torch.optim.Optimizer:
    """Make an optimizer that does all of its arithmetic and moves nothing.

    The same batch thousands of times would be learnt by heart, and denormal gradients are slow.

    Args:
        net: The net.

    Returns:
        SGD with momentum and weight decay at a rate of 0.
    """
    return torch.optim.SGD(net.parameters(), lr=0.0, momentum=0.9, weight_decay=5e-4)


def steps_per_epoch(batch: int) -> int:
    """Count the steps of a CIFAR-10 epoch.

    Args:
        batch: Images per batch.

    Returns:
        The number of steps, the incomplete last one included.
    """
    return math.ceil(TRAINING_IMAGES / batch)
