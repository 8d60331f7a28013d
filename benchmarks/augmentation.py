"""Images per second, cropped and flipped: batches of bytes against picture by picture.

All three take the same set of 32-pixel images, in a random order, and give float batches in [0, 1]
after a random crop of the image padded by 4 black pixels and a flip with probability 1/2:

* `data.Loader`, the set as bytes on the device;
* torch's DataLoader with worker processes, every image a Pillow picture (crop, flip, to a tensor);
* kornia, where it is installed, on the device: a batch gathered, made float, cropped and flipped.

Target: a pass of the Pillow DataLoader takes at least 5 times as long as one of the loader.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.nets import image_set, loader_of
from benchmarks.progress import Bar
from benchmarks.settings import Settings
from benchmarks.timing import Comparison, Figure, Work, compare, interleave
from vicinal.data import Split

__all__ = ["Pictures", "kornia_pass", "measure"]

TARGET = 5.0
PAD = 4


def measure(settings: Settings, bar: Bar) -> list[Comparison | Figure]:
    """Time passes over the set in pairs with the loader's.

    Args:
        settings: The sizes.
        bar: Where progress is shown.

    Returns:
        How many times as long the others take, and the images per second of each.
    """
    pillow = f"Pillow DataLoader, {settings.workers} workers"
    split = image_set(settings.images, side=settings.side)
    loader = loader_of(settings, images=settings.images)
    works = {pillow: _pillow_pass(split, settings)}
    with_kornia = kornia_pass(split, settings)
    if with_kornia is None:
        bar.say("kornia is not installed; pip install 'vicinal[bench]' measures it too")
    else:
        works["kornia"] = with_kornia
    bar.begin("augmentation", runs=4 * settings.pairs)
    samples = interleave(
        lambda: _drain(loader.epoch()),
        works,
        pairs=settings.pairs,
        device=settings.device,
        warmup=settings.warmup,
        tick=bar.tick,
    )
    found = [
        compare(samples, name, against="data.Loader", at_least=TARGET if name == pillow else None)
        for name in works
    ]
    own = [("data.Loader", found[0].base_seconds), *((row.name, row.seconds) for row in found)]
    return [*found, *(_speed(name, spent, settings) for name, spent in own)]


def _speed(name: str, spent: float, settings: Settings) -> Figure:
    how = f"a pass over {settings.images} images of {settings.side} px, median of {settings.pairs}"
    return Figure(name=name, value=settings.images / spent, unit="images/s", how=how)


def _drain(batches: Iterable[Any]) -> None:
    for _ in batches:
        pass


class Pictures(Dataset[tuple[Tensor, int]]):
    """Every image a Pillow picture: padded, cut, mirrored, made a tensor.

    Args:
        split: The images.
    """

    def __init__(self, split: Split) -> None:
        self._pixels: npt.NDArray[np.uint8] = split.x.permute(0, 2, 3, 1).contiguous().numpy()
        self._labels: list[int] = split.y.tolist()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one augmented image (3, H, W) in [0, 1], and its class."""
        picture = ImageOps.expand(Image.fromarray(self._pixels[index]), border=PAD)
        width, height = picture.size
        left, top = random.randint(0, 2 * PAD), random.randint(0, 2 * PAD)
        box = (left, top, left + width - 2 * PAD, top + height - 2 * PAD)
        picture = picture.crop(box)
        if random.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        return pixels.contiguous().to(torch.float32).div_(255), self._labels[index]


def _pillow_pass(split: Split, settings: Settings) -> Work:
    batches: DataLoader[tuple[Tensor, int]] = DataLoader(
        Pictures(split),
        batch_size=settings.batch,
        shuffle=True,
        num_workers=settings.workers,
        persistent_workers=settings.workers > 0,
        pin_memory=settings.device.type == "cuda",
    )

    def work() -> None:
        for x, y in batches:
            x.to(settings.device, non_blocking=True)
            y.to(settings.device, non_blocking=True)

    return work


def kornia_pass(split: Split, settings: Settings) -> Work | None:
    """Make the work of a pass with kornia's augmentations on the device.

    Args:
        split: The images.
        settings: Device and batch.

    Returns:
        The work, or None where kornia cannot be imported.
    """
    augment = _kornia_augmentation(settings.side)
    if augment is None:
        return None
    resident = split.to(settings.device)

    def work() -> None:
        order = torch.randperm(len(resident), device=settings.device)
        for start in range(0, len(resident), settings.batch):
            index = order[start : start + settings.batch]
            augment(resident.x[index].to(torch.float32).div_(255))

    return work


def _kornia_augmentation(side: int) -> Callable[[Tensor], Tensor] | None:
    with suppress(ImportError, RuntimeError):
        kornia = importlib.import_module("kornia.augmentation")
        crop = kornia.RandomCrop((side, side), padding=PAD)
        return torch.nn.Sequential(crop, kornia.RandomHorizontalFlip(p=0.5))
    return None
