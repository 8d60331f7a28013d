"""What `augment` may say of a data set: padded crops of images in memory, views of streamed files.

The two do not mix. What is left out of a streamed set's view is the set's own, and is written down.
"""

from __future__ import annotations

import inspect

from vicinal._checks import InputError, choice
from vicinal.data import DATASETS, FOLDERS
from vicinal.recipes.schema import Augment, Recipe

__all__ = ["augment_of"]

_VIEW = ("size", "view")


def augment_of(recipe: Recipe) -> Augment:
    """Check the augmentation of a recipe against its data set.

    Args:
        recipe: The recipe.

    Returns:
        The augmentation; that of a streamed set with its size and view, and without padding.

    Raises:
        InputError: If there is no such set, or it takes no such augmentation.
    """
    choice("dataset", recipe.dataset, {**DATASETS, **FOLDERS})
    return _streamed(recipe) if recipe.dataset in FOLDERS else _in_memory(recipe)


def _in_memory(recipe: Recipe) -> Augment:
    for word in _VIEW:
        value = getattr(recipe.augment, word)
        if value is not None:
            raise InputError(
                f"`augment.{word}` must be left out for {recipe.dataset}, whose images have a size "
                f"of their own; got {value}. Only {', '.join(FOLDERS)} take it."
            )
    return recipe.augment


def _streamed(recipe: Recipe) -> Augment:
    augment, name = recipe.augment, recipe.dataset
    if augment.pad and "pad" in augment.model_fields_set:
        raise InputError(
            f"`augment.pad` must be 0 for {name}, whose images are not padded but seen anew from "
            f"their files; got {augment.pad}. Did you mean augment.view = cropped?"
        )
    reader = inspect.signature(FOLDERS[name]).parameters
    own = {word: reader[word].default for word in _VIEW if getattr(augment, word) is None}
    return augment.model_copy(update={"pad": 0, **own})
