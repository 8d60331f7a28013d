r"""Data sets as bytes on the device, and the batches that training and evaluation take from them.

A set is read once, from a layout that the field already has on its disks, into an `ImageSet`: two
`Split`s of uint8 images (N, C, H, W) and int64 classes (N,). `load` reads one by name; the digits
come with scikit-learn, so the first lines below need no download:

>>> from vicinal import data
>>> digits = data.load("digits")
>>> digits.train, digits.test, digits.num_classes
(Split(1297 images of 1x8x8 on cpu), Split(500 images of 1x8x8 on cpu), 10)

A `Loader` keeps a split on the device and gives it out as floats in [0, 1]. `epoch` shuffles,
crops and mirrors as its generator says, so an epoch is a function of a seed; iterating the loader
itself gives every image once, in order and untouched, as an evaluation needs it:

>>> import torch
>>> loader = data.Loader(digits.train, batch_size=128, pad=1, drop_last=True)
>>> len(loader), sum(len(y) for x, y in loader.epoch(torch.Generator().manual_seed(0)))
(10, 1280)
>>> sum(len(y) for x, y in loader)
1297

Smaller sets and the numbers that a model normalises with:

>>> small = data.balanced_subset(digits.train, 1000)
>>> small.y.bincount().tolist()
[100, 100, 100, 100, 100, 100, 100, 100, 100, 100]
>>> mean, std = data.channel_statistics(small.x)

A set that is not at hand raises `MissingData`, one that is damaged a plain `InputError`; neither
runs code that a file carries. Every other public name is in the file of its concept.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vicinal._checks import choice
from vicinal.data.augment import Crops, apply_crops, draw_crops, random_crop_flip
from vicinal.data.cifar import find_layout, read_cifar10, read_cifar100
from vicinal.data.digits import read_digits
from vicinal.data.image_set import ImageSet, Split, channel_statistics
from vicinal.data.loader import Loader
from vicinal.data.missing import MissingData
from vicinal.data.npz import read_npz
from vicinal.data.subsets import balanced_subset, first

__all__ = [
    "DATASETS",
    "Crops",
    "ImageSet",
    "Loader",
    "MissingData",
    "Split",
    "apply_crops",
    "balanced_subset",
    "channel_statistics",
    "draw_crops",
    "find_layout",
    "first",
    "load",
    "random_crop_flip",
    "read_cifar10",
    "read_cifar100",
    "read_digits",
    "read_npz",
]

DATASETS: dict[str, Callable[[Path | None], ImageSet]] = {
    "digits": read_digits,
    "cifar10": read_cifar10,
    "cifar100": read_cifar100,
    "npz": read_npz,
}
"""Every data set that a recipe or a command line may name."""


def load(name: str, data_dir: Path | None = None) -> ImageSet:
    """Read a data set by its name.

    Args:
        name: A key of `DATASETS`.
        data_dir: The folder that holds it (for npz also the file itself); the digits need none.

    Returns:
        The set, on the CPU.

    Example:
        >>> load("cifar1O")
        Traceback (most recent call last):
        vicinal._errors.InputError: `dataset` must be digits | cifar10 | cifar100 | npz; got
        'cifar1O'. Did you mean cifar10?
    """
    return DATASETS[choice("dataset", name, DATASETS)](data_dir)
