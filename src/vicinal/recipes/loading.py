"""The data of a recipe: opened, told to its model, split, and turned into batches.

A set that fits in memory and one that streams from its files go the same way; what differs is the
loader. What is *not* here: reading files (`vicinal.data`) and where the folder lies (`folder`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch

from vicinal import data, engine
from vicinal._checks import InputError
from vicinal.recipes import files
from vicinal.recipes.schema import Augment, Part, Recipe

__all__ = [
    "Images",
    "Loader",
    "Piece",
    "batches",
    "judged_on",
    "open_images",
    "open_named",
    "splits",
    "training_loader",
    "validation_batches",
    "with_data",
]

Images: TypeAlias = data.ImageSet | data.FolderSet
"""A data set, in memory or in files."""

Piece: TypeAlias = data.Split | data.FileSplit
"""A part of one."""

Loader: TypeAlias = data.Loader | data.FileLoader
"""Its batches."""


def open_images(recipe: Recipe, data_dir: Path | None) -> Images:
    """Open the data set that a recipe names; of a streamed one nothing is decoded.

    Args:
        recipe: The recipe.
        data_dir: Where the data sets lie.

    Returns:
        Its two splits.

    Example:
        >>> from vicinal.recipes import files
        >>> open_images(files.recipe("alps/cifar10-vgg16", scale="smoke"), None).shape
        (1, 8, 8)
    """
    return open_named(recipe.dataset, recipe.augment, data_dir)


def open_named(dataset: str, augment: Augment, data_dir: Path | None) -> Images:
    """Open a data set by its name.

    Args:
        dataset: The name.
        augment: Of a streamed set, how its pictures are seen.
        data_dir: Where the data sets lie.

    Returns:
        Its two splits.
    """
    if dataset not in data.FOLDERS:
        return data.load(dataset, data_dir=data_dir)
    found = data.load_folder(dataset, data_dir=data_dir)
    return found.seen(size=augment.size, view=augment.view)


def with_data(recipe: Recipe, images: Images) -> Recipe:
    """Write into the recipe what its model must know of the data.

    A mean or a deviation that the recipe has already stays: a paper may have fixed it.

    Args:
        recipe: The recipe.
        images: Its data set.

    Returns:
        The recipe with num_classes, in_channels, mean and std of its model.
    """
    given = recipe.model.arguments
    known = {"num_classes": images.num_classes, "in_channels": images.shape[0]}
    part = Part(**{**recipe.model.model_dump(), **known, **_statistics(given, images)})
    return recipe.model_copy(update={"model": part})


def _statistics(given: Mapping[str, Any], images: Images) -> dict[str, list[float]]:
    names = ("mean", "std")
    fixed = {name: [float(value) for value in given[name]] for name in names if name in given}
    if len(fixed) == len(names):
        return fixed
    mean, std = images.statistics()
    found = {
        "mean": [float(value) for value in mean],
        # A channel that is the same everywhere has nothing to be divided by.
        "std": [float(value) or 1.0 for value in std],
    }
    return {**found, **fixed}


def splits(recipe: Recipe, images: Images) -> tuple[Piece, Piece | None]:
    """Choose the images to train on, and those held out for validation.

    The training images are the class-balanced `train_subset`, the same for every seed, or all. The
    `validation` images are drawn by the recipe's seed, as evenly over the classes as these have
    room: of the images that are not trained on, and where these are too few also of the others,
    which then miss them.

    Args:
        recipe: The recipe.
        images: Its data set.

    Returns:
        The training split, and the validation split or None where the recipe holds none out.

    Raises:
        InputError: If there are fewer images than the recipe asks for.

    Example:
        >>> from vicinal.recipes import files
        >>> few = {"train_subset": 1000, "validation": 200}
        >>> recipe = files.recipe("alps/cifar10-vgg16", scale="smoke", overrides=few)
        >>> [len(part) for part in splits(recipe, open_images(recipe, None))]
        [1000, 200]
    """
    whole, n = images.train, recipe.validation
    if n is None and recipe.train_subset is None:
        return whole, None
    rows = _trained_on(whole, recipe)
    if n is None:
        return _rows(whole, rows), None
    if n >= len(whole):
        raise InputError(
            f"`validation` must leave something of the {len(whole)} training images to train on; "
            f"got {n}."
        )
    held = _held_out(whole.y.cpu(), rows, n, seed=recipe.seed)
    kept = rows[~torch.isin(rows, held)]
    return _rows(whole, kept), _rows(whole, held)


def _trained_on(split: Piece, recipe: Recipe) -> torch.Tensor:
    n = recipe.train_subset
    if n is None:
        return torch.arange(len(split))
    try:
        return data.balanced_rows(split, n)
    except InputError as error:
        wrong = str(error).replace("`n`", "`train_subset`")
        usual = files.scale_fields(recipe.scale).get("train_subset")
        hint = f" {n} is what scale {recipe.scale} has: give another, or none for all images."
        raise InputError(wrong + (hint if n == usual else "")) from None


def _held_out(y: torch.Tensor, trained: torch.Tensor, n: int, *, seed: int) -> torch.Tensor:
    rng = engine.generator(seed, "validation")
    free = torch.ones(len(y), dtype=torch.bool)
    free[trained] = False
    others = free.nonzero().flatten()
    if n <= len(others):
        return others[data.even_rows(y[others], n, rng=rng)]
    more = trained[data.even_rows(y[trained], n - len(others), rng=rng)]
    return torch.cat([others, more]).sort().values


def _rows(split: Piece, rows: torch.Tensor) -> Piece:
    return split[rows.to(split.y.device)]


def training_loader(
    recipe: Recipe, images: Images, device: torch.device, *, rank: int = 0, world: int = 1
) -> Loader:
    """Make the batches to train on.

    Args:
        recipe: The recipe.
        images: Its data set.
        device: Where the batches shall lie.
        rank: Which of the processes that share every batch this one is.
        world: How many they are.

    Returns:
        The loader.
    """
    split, _ = splits(recipe, images)
    shared: dict[str, Any] = {
        "batch_size": recipe.batch_size,
        "flip": recipe.augment.flip,
        "shuffle": True,
        # One image has no partner and no batch statistics.
        "drop_last": len(split) % recipe.batch_size == 1,
        "device": device,
        "channels_last": recipe.channels_last,
        "rank": rank,
        "world": world,
    }
    if isinstance(split, data.FileSplit):
        return data.FileLoader(split, workers=recipe.workers, **shared)
    return data.Loader(split, pad=recipe.augment.pad, **shared)


def validation_batches(
    recipe: Recipe, images: Images, device: torch.device, *, rank: int = 0, world: int = 1
) -> Loader:
    """Make the batches of the images held out: in order, as they are evaluated.

    Args:
        recipe: The recipe.
        images: Its data set.
        device: Where the batches shall lie.
        rank: Which of the processes that share every batch this one is.
        world: How many they are.

    Returns:
        The loader, to be iterated as often as needed.

    Raises:
        InputError: If the recipe holds no images out.
    """
    return batches(recipe, _held(recipe, images), device=device, rank=rank, world=world)


def _held(recipe: Recipe, images: Images) -> Piece:
    _, held = splits(recipe, images)
    if held is None:
        raise InputError("`validation` must say how many images are held out; got none.")
    return held


def judged_on(recipe: Recipe, images: Images) -> Piece:
    """Choose the images that a recipe is judged on, by its `evaluation.split`.

    Args:
        recipe: The recipe.
        images: Its data set.

    Returns:
        The test images, or those held out for validation.

    Raises:
        InputError: If the recipe is to be judged on held-out images and holds none out.
    """
    return images.test if recipe.evaluation.split == "test" else _held(recipe, images)


def batches(
    recipe: Recipe,
    split: Piece,
    *,
    batch_size: int | None = None,
    device: torch.device | None = None,
    rank: int = 0,
    world: int = 1,
) -> Loader:
    """Make batches to evaluate on: every image once, in order.

    Args:
        recipe: The recipe.
        split: The images.
        batch_size: Images at a time; the recipe's when not given.
        device: Where the batches shall lie; the CPU when not given.
        rank: Which of the processes that share every batch this one is.
        world: How many they are.

    Returns:
        The loader.
    """
    shared: dict[str, Any] = {
        "batch_size": recipe.evaluation.batch_size if batch_size is None else batch_size,
        "device": device,
        "channels_last": recipe.channels_last,
        "rank": rank,
        "world": world,
    }
    if isinstance(split, data.FileSplit):
        return data.FileLoader(split, workers=recipe.workers, **shared)
    return data.Loader(split, **shared)
