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

What is too large for memory stays in its files: `load_folder` reads a `FolderSet`, which stands
where an `ImageSet` stands, and a `FileLoader` streams it through worker processes in the manner of
`Loader`.

Published test sets that nobody trains on have doors of their own: `load_corrupted` opens CIFAR-10-C
and ImageNet-C, one part for each corruption and severity, `load_shifted` CIFAR-10.1, ImageNet-R and
their like.

A set that is not at hand raises `MissingData`, one that is damaged a plain `InputError`; neither
runs code that a file carries. Every other public name is in the file of its concept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from vicinal._checks import InputError, choice
from vicinal.data.augment import Crops, apply_crops, draw_crops, random_crop_flip
from vicinal.data.cifar import find_layout, read_cifar10, read_cifar100
from vicinal.data.cifar_c import read_cifar10_c, read_cifar100_c, read_corrupted_arrays
from vicinal.data.corrupted_set import CorruptedSet
from vicinal.data.digits import read_digits
from vicinal.data.download import download
from vicinal.data.file_loader import FileLoader
from vicinal.data.folder_set import FileSplit, FolderSet
from vicinal.data.idx import read_fashion_mnist, read_mnist
from vicinal.data.image_folder import read_image_folder
from vicinal.data.image_set import ImageSet, Split, channel_statistics
from vicinal.data.imagenet import read_imagenet, read_imagenet_100
from vicinal.data.imagenet_c import read_corrupted_folders, read_imagenet_c, read_tiny_imagenet_c
from vicinal.data.loader import Loader
from vicinal.data.missing import MissingData
from vicinal.data.npz import read_npz
from vicinal.data.shifted import (
    ShiftedSet,
    read_cifar10_1,
    read_imagenet_variant,
    read_shifted_folders,
)
from vicinal.data.subsets import balanced_rows, balanced_subset, even_rows, first
from vicinal.data.svhn import read_svhn
from vicinal.data.tiny_imagenet import read_tiny_imagenet, read_tiny_imagenet_30

__all__ = [
    "CORRUPTED",
    "DATASETS",
    "FOLDERS",
    "SHIFTED",
    "CorruptedSet",
    "Crops",
    "FileLoader",
    "FileSplit",
    "FolderSet",
    "ImageSet",
    "Loader",
    "MissingData",
    "ShiftedSet",
    "Split",
    "apply_crops",
    "balanced_rows",
    "balanced_subset",
    "channel_statistics",
    "download",
    "draw_crops",
    "even_rows",
    "find_layout",
    "first",
    "load",
    "load_corrupted",
    "load_folder",
    "load_shifted",
    "random_crop_flip",
    "read_cifar10",
    "read_cifar100",
    "read_cifar100_c",
    "read_cifar10_1",
    "read_cifar10_c",
    "read_corrupted_arrays",
    "read_corrupted_folders",
    "read_digits",
    "read_fashion_mnist",
    "read_image_folder",
    "read_imagenet",
    "read_imagenet_100",
    "read_imagenet_c",
    "read_imagenet_variant",
    "read_mnist",
    "read_npz",
    "read_shifted_folders",
    "read_svhn",
    "read_tiny_imagenet",
    "read_tiny_imagenet_30",
    "read_tiny_imagenet_c",
]

DATASETS: dict[str, Callable[[Path | None], ImageSet]] = {
    "digits": read_digits,
    "cifar10": read_cifar10,
    "cifar100": read_cifar100,
    "svhn": read_svhn,
    "mnist": read_mnist,
    "fashion-mnist": read_fashion_mnist,
    "tiny-imagenet": read_tiny_imagenet,
    "tiny-imagenet-30": read_tiny_imagenet_30,
    "npz": read_npz,
}
"""Every data set that a recipe or a command line may name; each fits in memory."""

FOLDERS: dict[str, Callable[[Path | None], FolderSet]] = {
    "image-folder": read_image_folder,
    "imagenet": read_imagenet,
    "imagenet-100": read_imagenet_100,
}
"""Every data set that is streamed from its files."""

CORRUPTED: dict[str, Callable[[Path | None], CorruptedSet]] = {
    "cifar10-c": read_cifar10_c,
    "cifar100-c": read_cifar100_c,
    "tiny-imagenet-c": read_tiny_imagenet_c,
    "imagenet-c": read_imagenet_c,
}
"""Published corrupted test sets; none is trained on."""

SHIFTED: dict[str, Callable[[Path | None], ShiftedSet]] = {
    "cifar10.1": read_cifar10_1,
    **{
        name: partial(read_imagenet_variant, name)
        for name in ("imagenet-r", "imagenet-a", "imagenet-sketch", "imagenet-v2")
    },
}
"""Published test sets of images from elsewhere; none is trained on."""


def load(name: str, data_dir: Path | None = None) -> ImageSet:
    """Read a data set by its name.

    Args:
        name: A key of `DATASETS`.
        data_dir: The folder that holds it (for npz also the file itself); the digits need none.

    Returns:
        The set, on the CPU.

    Raises:
        InputError: If there is no such set in memory.

    Example:
        >>> load("cifar1O")
        Traceback (most recent call last):
        vicinal._errors.InputError: `dataset` must be one of 9 known names; got 'cifar1O'. Did you
        mean cifar10?
    """
    if name in FOLDERS:
        raise InputError(
            f"`dataset` must be a set that fits in memory here; {name} is streamed from its files. "
            f"Did you mean load_folder({name!r}, data_dir)?"
        )
    return DATASETS[choice("dataset", name, DATASETS)](data_dir)


def load_folder(name: str, data_dir: Path | None = None) -> FolderSet:
    """List a data set that is too large for memory, by its name; nothing is decoded.

    Args:
        name: A key of `FOLDERS`.
        data_dir: The folder that holds it.

    Returns:
        The set, its images in their files.

    Example:
        >>> load_folder("imagenet-1000")
        Traceback (most recent call last):
        vicinal._errors.InputError: `dataset` must be image-folder | imagenet | imagenet-100; got
        'imagenet-1000'. Did you mean imagenet-100?
    """
    return FOLDERS[choice("dataset", name, FOLDERS)](data_dir)


def load_corrupted(name: str, data_dir: Path | None = None) -> CorruptedSet:
    """Open a published corrupted test set by its name; nothing is decoded.

    Args:
        name: A key of `CORRUPTED`.
        data_dir: The folder that holds it.

    Returns:
        The set.

    Example:
        >>> load_corrupted("cifar10c")
        Traceback (most recent call last):
        vicinal._errors.InputError: `dataset` must be cifar10-c | cifar100-c | tiny-imagenet-c |
        imagenet-c; got 'cifar10c'. Did you mean cifar10-c?
    """
    return CORRUPTED[choice("dataset", name, CORRUPTED)](data_dir)


def load_shifted(name: str, data_dir: Path | None = None) -> ShiftedSet:
    """Open a published test set of images from elsewhere by its name.

    Args:
        name: A key of `SHIFTED`.
        data_dir: The folder that holds it.

    Returns:
        The set.

    Example:
        >>> load_shifted("imagenet-v3")
        Traceback (most recent call last):
        vicinal._errors.InputError: `dataset` must be cifar10.1 | imagenet-r | imagenet-a |
        imagenet-sketch | imagenet-v2; got 'imagenet-v3'. Did you mean imagenet-v2?
    """
    return SHIFTED[choice("dataset", name, SHIFTED)](data_dir)
