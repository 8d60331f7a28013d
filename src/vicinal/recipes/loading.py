"""The data of a recipe: opened, told to its model, and turned into batches to train on.

What is *not* here: reading files (`vicinal.data`) and where the folder lies (`folder`).
"""

from __future__ import annotations

from pathlib import Path

import torch

from vicinal import data
from vicinal._checks import InputError
from vicinal.recipes.schema import Part, Recipe

__all__ = ["open_images", "training_loader", "with_data"]


def open_images(recipe: Recipe, data_dir: Path | None) -> data.ImageSet:
    """Open the data set that a recipe names.

    Args:
        recipe: The recipe.
        data_dir: Where the data sets lie.

    Returns:
        Its two splits.
    """
    return data.load(recipe.dataset, data_dir=data_dir)


def with_data(recipe: Recipe, images: data.ImageSet) -> Recipe:
    """Write into the recipe what its model must know of the data.

    Args:
        recipe: The recipe.
        images: Its data set.

    Returns:
        The recipe with num_classes, in_channels, mean and std of its model.
    """
    mean, std = data.channel_statistics(images.train.x)
    known = {
        "num_classes": images.num_classes,
        "in_channels": images.train.x.shape[1],
        "mean": [float(value) for value in mean],
        # A channel that is the same everywhere has nothing to be divided by.
        "std": [float(value) or 1.0 for value in std],
    }
    part = Part(**{**recipe.model.model_dump(), **known})
    return recipe.model_copy(update={"model": part})


def training_loader(recipe: Recipe, images: data.ImageSet, device: torch.device) -> data.Loader:
    """Make the batches to train on.

    Args:
        recipe: The recipe.
        images: Its data set.
        device: Where the batches shall lie.

    Returns:
        The loader.
    """
    split = _subset(images.train, recipe.train_subset)
    return data.Loader(
        split=split,
        batch_size=recipe.batch_size,
        pad=recipe.augment.pad,
        flip=recipe.augment.flip,
        shuffle=True,
        drop_last=len(split.y) % recipe.batch_size == 1,
        device=device,
        channels_last=recipe.channels_last,
    )


def _subset(split: data.Split, n: int | None) -> data.Split:
    if n is None:
        return split
    try:
        return data.balanced_subset(split, n)
    except InputError as error:
        raise InputError(str(error).replace("`n`", "`train_subset`")) from None
