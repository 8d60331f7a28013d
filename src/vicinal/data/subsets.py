"""Fixed subsets of a split: the class-balanced one of the small scale, and the first n.

Both are functions of the split (and a seed of their own), never of a global generator, so that two
cells of a table that name the same subset have seen the same images.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from vicinal._checks import InputError, count
from vicinal.data.folder_set import FileSplit
from vicinal.data.image_set import Split

__all__ = ["balanced_rows", "balanced_subset", "even_rows", "first"]

_Part = TypeVar("_Part", Split, FileSplit, Split | FileSplit)
"""A split, in memory or in files: a subset of it is of the same kind."""


def first(split: _Part, n: int) -> _Part:
    """Return the first n images of a split.

    Args:
        split: The split.
        n: How many, 1..len(split).

    Returns:
        The subset; it shares memory with the split.

    Raises:
        InputError: If the split has fewer images.

    Example:
        >>> part = Split(x=torch.zeros(4, 1, 8, 8, dtype=torch.uint8), y=torch.arange(4))
        >>> first(part, 3).y
        tensor([0, 1, 2])
    """
    _at_most(split, n)
    return split[:n]


def balanced_subset(split: _Part, n: int, *, seed: int = 0) -> _Part:
    """Return a fixed random subset with as many images of one class as of another.

    Every class that occurs gets n // K images; the n % K left over go one each to classes drawn
    among those with room. With one seed a larger subset contains every smaller one.

    Args:
        split: The split.
        n: How many images.
        seed: Seed of the draw, which has a generator of its own, on the CPU.

    Returns:
        The subset, in the split's order.

    Raises:
        InputError: If the split, or one of its classes, has too few images.

    Example:
        >>> part = Split(x=torch.zeros(6, 1, 8, 8, dtype=torch.uint8), y=torch.arange(6) % 2)
        >>> balanced_subset(part, 4).y.bincount()
        tensor([2, 2])
    """
    return split[balanced_rows(split, n, seed=seed).to(split.y.device)]


def balanced_rows(split: Split | FileSplit, n: int, *, seed: int = 0) -> Tensor:
    """Name the images of `balanced_subset` by their places in the split.

    Args:
        split: The split.
        n: How many images.
        seed: Seed of the draw.

    Returns:
        Indices (n,), int64, ascending, on the CPU.
    """
    _at_most(split, n)
    y = split.y.cpu()
    classes = y.bincount().nonzero().flatten()
    _enough_of_each(n, classes, y.bincount()[classes])
    rng = torch.Generator().manual_seed(seed)
    share, left_over = divmod(n, len(classes))
    shuffled = [_shuffled((y == label).nonzero().flatten(), rng) for label in classes]
    order = torch.randperm(len(classes), generator=rng).tolist()
    lucky = [k for k in order if len(shuffled[k]) > share][:left_over]
    kept = [rows[: share + (k in lucky)] for k, rows in enumerate(shuffled)]
    return torch.cat(kept).sort().values


def even_rows(y: Tensor, n: int, *, rng: torch.Generator) -> Tensor:
    """Draw n images as evenly over the classes as these have room; a small class gives all it has.

    Args:
        y: Classes (N,), int64.
        n: How many, 1..N.
        rng: Generator on the CPU.

    Returns:
        Indices (n,), int64, ascending, on the CPU.

    Raises:
        InputError: If there are fewer images.

    Example:
        >>> y = torch.tensor([0, 0, 0, 0, 1, 2, 2])
        >>> y[even_rows(y, 5, rng=torch.Generator().manual_seed(0))].bincount()
        tensor([2, 1, 2])
    """
    if count("n", n) > len(y):
        raise InputError(f"`n` must be at most the {len(y)} images there are; got {n}.")
    y = y.cpu()
    found = [_shuffled((y == label).nonzero().flatten(), rng) for label in y.bincount().nonzero()]
    # The first image of every class, then the second of every class that has one, and so on.
    order = torch.randperm(len(found), generator=rng).tolist()
    turns = [
        torch.arange(len(rows)) * len(found) + place
        for place, rows in zip(order, found, strict=True)
    ]
    return torch.cat(found)[torch.cat(turns).argsort()[:n]].sort().values


def _shuffled(rows: Tensor, rng: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=rng)]


def _at_most(split: Split | FileSplit, n: int) -> None:
    if count("n", n) > len(split):
        raise InputError(f"`n` must be at most the split's {len(split)} images; got {n}.")


def _enough_of_each(n: int, classes: Tensor, sizes: Tensor) -> None:
    least = int(sizes.min())
    most = least * len(classes) + int((sizes > least).sum())
    if n > most:
        label = int(classes[sizes.argmin()])
        raise InputError(
            f"`n` of a class-balanced subset must be at most {most} here, since class {label} has "
            f"only {least} of the split's {int(sizes.sum())} images; got {n}."
        )
