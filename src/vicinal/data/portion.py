"""The rows of every batch that one of several processes reads."""

from __future__ import annotations

from vicinal._checks import InputError, count
from vicinal.maths.share import own_rows, too_small

__all__ = ["batch_sizes", "check_portion", "portions"]


def check_portion(batch_size: int, *, rank: int, world: int) -> None:
    """Check that every process gets its part of a batch: at least two rows, a partner for each.

    Args:
        batch_size: Rows of the whole batch.
        rank: This process, from 0.
        world: How many processes there are.

    Raises:
        InputError: If there is no such process, or the batch is too small for all.
    """
    count("world", world)
    if count("rank", rank, low=0) >= world:
        raise InputError(f"`rank` must be below `world`; got {rank} of {world}.")
    if world > 1 and batch_size < 2 * world:
        raise InputError(
            f"`batch_size` must be at least 2 for each of the {world} processes that share a "
            f"batch, so {2 * world}; got {batch_size}. Fewer processes?"
        )


def batch_sizes(n: int, *, batch_size: int, drop_last: bool = False) -> list[int]:
    """Give the number of rows of every batch of n images, over all processes.

    Args:
        n: How many images.
        batch_size: Rows of a complete batch.
        drop_last: Whether an incomplete last batch is left out.

    Returns:
        One number per batch.

    Example:
        >>> batch_sizes(10, batch_size=4), batch_sizes(10, batch_size=4, drop_last=True)
        ([4, 4, 2], [4, 4])
    """
    whole, rest = divmod(n, batch_size)
    return [batch_size] * whole + [rest] * (rest > 0 and not drop_last)


def portions(
    n: int, *, batch_size: int, rank: int = 0, world: int = 1, whole_small: bool = False
) -> list[slice]:
    """Give the rows of every batch of n images that one process owns; the last may be none.

    Args:
        n: How many images.
        batch_size: Rows of a complete batch.
        rank: The process, from 0.
        world: How many processes there are.
        whole_small: Whether a batch of fewer than two rows for each goes to every process whole.

    Returns:
        One slice of 0..n-1 per batch.

    Example:
        >>> [(rows.start, rows.stop) for rows in portions(10, batch_size=4, rank=1, world=2)]
        [(2, 4), (6, 8), (9, 10)]
    """
    found = []
    for step, rows in enumerate(batch_sizes(n, batch_size=batch_size)):
        whole, start = whole_small and too_small(rows, world), step * batch_size
        own = slice(0, rows) if whole else own_rows(rows, rank=rank, world=world)
        found.append(slice(start + own.start, start + own.stop))
    return found
