"""A set of somebody's own at a scale that trains on a subset: where it is smaller, all of it.

The number of a subset comes from the scale or from whoever asks for it. What was asked for stays,
also where it cannot be had; the scale's gives way, because nobody named it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from pathlib import Path

from vicinal.recipes import files
from vicinal.recipes.forecast_data import sizes_of
from vicinal.recipes.schema import Recipe

__all__ = ["OWN", "fitted"]

_log = logging.getLogger("vicinal")

OWN = frozenset({"image-folder", "npz"})
"""Data sets that are somebody's own, of any size."""


def fitted(
    recipe: Recipe,
    *,
    given: Container[str],
    data_dir: Path | None,
    tell: Callable[[str], None] = _log.info,
) -> Recipe:
    """Let a recipe train on all images of a set of one's own that its scale's subset exceeds.

    Args:
        recipe: The resolved recipe.
        given: The names of the fields that somebody asked for, beside the scale's.
        data_dir: Where the data sets lie.
        tell: Is told in one line where it does; by default the library's log is.

    Returns:
        The recipe, without `train_subset` where that is the scale's and too large; a set of one's
        own is opened to be counted, no other.

    Example:
        >>> from vicinal.recipes import files
        >>> chosen = files.recipe("alps/cifar10-vgg16", scale="small")
        >>> fitted(chosen, given=(), data_dir=None).train_subset
        10000
    """
    n = recipe.train_subset
    if n is None or recipe.dataset not in OWN or not _of_scale(recipe, given):
        return recipe
    there = sizes_of(recipe, data_dir).train
    if n <= there:
        return recipe
    tell(
        f"{recipe.dataset} has {there} training images, fewer than the {n} of scale "
        f"{recipe.scale}, and is trained on whole"
    )
    return recipe.model_copy(update={"train_subset": None})


def _of_scale(recipe: Recipe, given: Container[str]) -> bool:
    """Tell whether the subset is the scale's; where it has none, somebody wrote the file's."""
    usual = files.scale_fields(recipe.scale).get("train_subset")
    return "train_subset" not in given and recipe.train_subset == usual
