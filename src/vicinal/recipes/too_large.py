"""A batch that does not fit in memory: what to try, in one sentence, instead of a traceback.

Nothing is retried with other micro-batches: they change what BatchNorm sees, which partners are
mixed and which draws are made, so that is for the user to say.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager

import torch

from vicinal._checks import InputError
from vicinal.recipes.forecast_memory import fitting_accumulate
from vicinal.recipes.schema import Recipe

__all__ = ["TooLarge", "in_one_sentence"]


class TooLarge(InputError):
    """A training step does not fit in memory; the sentence names the `accumulate` to try."""


@contextmanager
def in_one_sentence(recipe: Recipe) -> Generator[None]:
    """Turn torch's out-of-memory error into a sentence.

    Args:
        recipe: What is trained inside.

    Yields:
        Nothing.

    Raises:
        TooLarge: If memory runs out.

    Example:
        >>> from vicinal.recipes import files
        >>> with in_one_sentence(files.recipe("alps/cifar10-vgg16")):
        ...     raise torch.OutOfMemoryError
        Traceback (most recent call last):
        vicinal.recipes.too_large.TooLarge: `batch_size` 128 does not fit in memory; try
        accumulate=4: micro-batches of 32, within which BatchNorm and mixing then work.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TooLarge(_sentence(recipe)) from error


def _sentence(recipe: Recipe) -> str:
    batch = recipe.batch_size
    micro = math.ceil(batch / recipe.accumulate)
    tried = f" in {recipe.accumulate} parts" if recipe.accumulate > 1 else ""
    # A quarter of what failed, or a half where a quarter is less than two images.
    parts = (fitting_accumulate(batch, free=max(micro // k, 1), per_image=1.0) for k in (4, 2))
    more = next((found for found in parts if found is not None), None)
    if more is None:
        return f"`batch_size` {batch}{tried} does not fit in memory; try a smaller net or images."
    return (
        f"`batch_size` {batch}{tried} does not fit in memory; try accumulate={more}: micro-batches "
        f"of {math.ceil(batch / more)}, within which BatchNorm and mixing then work."
    )
