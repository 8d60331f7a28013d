"""What training needs of a loader, and what several processes that share its batches need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import torch

from vicinal._checks import InputError
from vicinal._typing import Batch
from vicinal.maths.share import Share, row_counts, too_small

__all__ = ["Loader", "SharedLoader", "batches_of", "counted", "counted_here"]


class Loader(Protocol):
    """Training data in batches, whose order and augmentation come from a generator."""

    def __len__(self) -> int:
        """Return the number of batches of every epoch."""
        ...

    def epoch(self, rng: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch, drawing from `rng` (a CPU generator) alone."""
        ...


@runtime_checkable
class SharedLoader(Loader, Protocol):
    """Training data of one of several processes: the own rows of every batch.

    A last batch with fewer than two rows for each process comes whole in every one.
    """

    @property
    def sizes(self) -> Sequence[int]:
        """Rows of every batch of an epoch, over all processes."""
        ...


def batches_of(loader: Loader, order: torch.Generator, *, rng: torch.Generator) -> Iterator[Batch]:
    """Give one epoch's batches.

    Args:
        loader: Where they come from.
        order: What the loader draws from.
        rng: What the objective draws from; a share is told the size of every batch.

    Returns:
        The batches.

    Raises:
        InputError: If several processes train with a loader that is not made for it.
    """
    if not isinstance(rng, Share):
        return loader.epoch(order)
    if not isinstance(loader, SharedLoader):
        raise InputError(
            "`loader` must have `sizes`, the rows of every batch over all processes, where several "
            f"train together; {type(loader).__name__} has none. Hand over a data.Loader with rank "
            "and world?"
        )
    return counted(loader.epoch(order), loader.sizes, rng, whole_small=True)


def counted(
    batches: Iterable[Batch],
    sizes: Sequence[int],
    rng: torch.Generator | None,
    *,
    whole_small: bool = False,
) -> Iterator[Batch]:
    """Tell a share before every batch how many rows each process has.

    Args:
        batches: The own rows of every batch; a last one may be missing, where there is no own row.
        sizes: The rows of every batch, over all processes.
        rng: The share; nothing is told to any other generator.
        whole_small: Whether every process has the whole of a batch too small to be cut.

    Yields:
        The batches.

    Raises:
        InputError: If a batch does not hold the own rows.
    """
    for step, (x, y) in enumerate(batches):
        if isinstance(rng, Share):
            rows = sizes[step] if step < len(sizes) else 0
            rng.whole = whole_small and too_small(rows, rng.world)
            rng.counts = [rows] * rng.world if rng.whole else row_counts(rows, rng.world)
            if not rows or rng.counts[rng.rank] != len(x):
                raise InputError(
                    f"`loader` must yield the rows of process {rng.rank} of {rng.world} in batches "
                    f"of {list(sizes[:3])}, ...; got {len(x)} of batch {step + 1}. Are its `rank` "
                    "and `world` given?"
                )
        yield x, y


def counted_here(n: int, rng: torch.Generator) -> int:
    """Count the own images for the sums over all processes, so that each image counts once.

    Args:
        n: The own images of a batch.
        rng: What the objective draws from; a share knows whether all have the same images.

    Returns:
        n, or 0 where the first process counts these images for all.
    """
    return 0 if isinstance(rng, Share) and rng.whole and rng.rank > 0 else n
