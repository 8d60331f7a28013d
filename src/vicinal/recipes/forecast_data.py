"""How large a recipe's data set is, without reading it, and made-up images of its shape.

Sets that were published once have the sizes of their papers. Only a set of somebody's own is opened
to be counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from vicinal import data, engine
from vicinal.recipes import resolve
from vicinal.recipes.schema import Part, Recipe

__all__ = ["Sizes", "absence", "images_of", "made_up", "sizes_of", "untrained"]

_PUBLISHED: dict[str, tuple[int, int, int, int, int]] = {
    "cifar10": (3, 32, 10, 50_000, 10_000),
    "cifar100": (3, 32, 100, 50_000, 10_000),
    "svhn": (3, 32, 10, 73_257, 26_032),
    "mnist": (1, 28, 10, 60_000, 10_000),
    "fashion-mnist": (1, 28, 10, 60_000, 10_000),
    "tiny-imagenet": (3, 64, 200, 100_000, 10_000),
    "tiny-imagenet-30": (3, 64, 30, 15_000, 1_500),
    "imagenet": (3, 224, 1000, 1_281_167, 50_000),
    "imagenet-100": (3, 224, 100, 126_689, 5_000),
}
"""Channels, side, classes, training and test images."""

_IDX = "*[-.]idx[13]-ubyte*"
_MARKS: dict[str, tuple[str, ...]] = {
    "cifar10": ("cifar-10-batches-py", "cifar-10-batches-bin", "cifar10.npz"),
    "cifar100": ("cifar-100-python", "cifar-100-binary", "cifar100.npz"),
    "svhn": ("t*_32x32.mat", "svhn/t*_32x32.mat"),
    "mnist": (_IDX, f"mnist/{_IDX}", f"MNIST/raw/{_IDX}"),
    "fashion-mnist": (_IDX, f"fashion-mnist/{_IDX}", f"FashionMNIST/raw/{_IDX}"),
    "tiny-imagenet": ("tiny-imagenet-200",),
    "tiny-imagenet-30": ("tiny_imagenet_30",),
    "imagenet": ("train", "imagenet/train"),
    "imagenet-100": ("train", "imagenet-100/train", "imagenet/train"),
}
"""What a folder that holds the set has, one of these at least."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The size of a data set.

    Args:
        shape: (C, H, W) of an image as the model sees it.
        num_classes: K.
        train: Training images.
        test: Test images.
        streams: Whether the images stay in their files while a model is trained.
        source: Where the numbers come from, in words.
    """

    shape: tuple[int, int, int]
    num_classes: int
    train: int
    test: int
    streams: bool
    source: str


def sizes_of(recipe: Recipe, data_dir: Path | None = None) -> Sizes:
    """Find the size of a recipe's data set, as published where it is a published one.

    Args:
        recipe: The recipe.
        data_dir: Where the data sets lie; looked at only for a set of one's own.

    Returns:
        Its size.

    Example:
        >>> from vicinal.recipes import files
        >>> sizes_of(files.recipe("alps/cifar10-vgg16")).train
        50000
    """
    name = recipe.dataset
    streams = name in data.FOLDERS
    if name in _PUBLISHED:
        channels, side, classes, train, test = _PUBLISHED[name]
        side = recipe.augment.size or side
        shape, source = (channels, side, side), "as published, not looked for"
    else:
        opened = data.load_folder(name, data_dir) if streams else data.load(name, data_dir)
        side = recipe.augment.size or opened.shape[1]
        shape = (opened.shape[0], side, side) if streams else opened.shape
        classes, train, test = opened.num_classes, len(opened.train), len(opened.test)
        source = "counted"
    return Sizes(
        shape=shape, num_classes=classes, train=train, test=test, streams=streams, source=source
    )


def absence(recipe: Recipe, data_dir: Path) -> str | None:
    """Tell that a folder lacks a recipe's data set, by names alone; nothing is read.

    Args:
        recipe: The recipe.
        data_dir: The folder.

    Returns:
        One sentence; None where the set seems to be there, or is one that `sizes_of` opens.

    Example:
        >>> from vicinal.recipes import files
        >>> absence(files.recipe("alps/cifar10-vgg16"), Path("nowhere"))
        '`data_dir` must hold cifar10; nowhere does not exist.'
    """
    marks = _MARKS.get(recipe.dataset)
    if marks is None or any(True for mark in marks for _ in data_dir.glob(mark)):
        return None
    state = "is a file" if data_dir.is_file() else "does not exist"
    state = "does not" if data_dir.is_dir() else state
    return f"`data_dir` must hold {recipe.dataset}; {data_dir} {state}."


def images_of(recipe: Recipe, sizes: Sizes) -> int:
    """Count the images that a recipe trains on in an epoch.

    Args:
        recipe: The recipe.
        sizes: Of its data set.

    Returns:
        The number, before an incomplete last batch is dropped.
    """
    held_out = recipe.validation or 0
    return min(recipe.train_subset or sizes.train, sizes.train - held_out)


def made_up(sizes: Sizes, n: int) -> data.ImageSet:
    """Make noise in the shape of a data set; no generator of the caller's is drawn from.

    Args:
        sizes: Of the data set.
        n: How many images.

    Returns:
        A set of n training images and one test image.
    """
    rng = engine.generator(0, "made-up images")
    x = torch.randint(0, 256, (n, *sizes.shape), generator=rng, dtype=torch.uint8)
    y = torch.randint(0, sizes.num_classes, (n,), generator=rng)
    return data.ImageSet(
        name="made-up images",
        train=data.Split(x=x, y=y),
        test=data.Split(x=x[:1], y=y[:1]),
        num_classes=sizes.num_classes,
    )


def untrained(recipe: Recipe, sizes: Sizes, device: torch.device) -> tuple[Recipe, nn.Module]:
    """Build the net of a recipe for made-up images; torch's global generators stay as they were.

    Args:
        recipe: The recipe.
        sizes: Of its data set.
        device: Where the net shall lie.

    Returns:
        The recipe with what its model must know of the data, and the net.
    """
    known = {"num_classes": sizes.num_classes, "in_channels": sizes.shape[0]}
    neutral = {"mean": [0.5] * sizes.shape[0], "std": [0.25] * sizes.shape[0]}
    part = Part(**{**neutral, **recipe.model.model_dump(), **known})
    told = recipe.model_copy(update={"model": part})
    with engine.isolated(recipe.seed, "forecast"):
        model = resolve.model(told).to(device)
    if recipe.channels_last:
        engine.to_channels_last(model)
    return told, model
