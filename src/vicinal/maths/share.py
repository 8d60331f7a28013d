"""Rows of a batch that several processes work on together, and the generator that knows of it.

Process r of W owns the contiguous rows r B // W to (r + 1) B // W of every batch of B. Each holds
the same generator and draws what the whole batch needs, then keeps its own rows. So what is drawn
does not depend on the number of processes, and nothing has to be sent for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from vicinal._checks import InputError, choice, count

__all__ = ["Gather", "Scope", "Share", "own_rows", "partners_from", "row_counts", "too_small"]

Scope: TypeAlias = Literal["local", "global"]
"""Where a mixing method looks for partners: among the own rows, or in the whole batch."""

Gather: TypeAlias = Callable[[Tensor, Sequence[int]], Tensor]
"""The own rows, and how many rows every process has, to the rows of all in the order of ranks."""


def own_rows(rows: int, *, rank: int, world: int) -> slice:
    """Say which rows of a batch a process owns.

    Args:
        rows: Rows of the whole batch.
        rank: The process, from 0.
        world: How many processes there are.

    Returns:
        Its rows; their numbers differ by one at most from process to process.

    Example:
        >>> [own_rows(7, rank=rank, world=2) for rank in (0, 1)]
        [slice(0, 3, None), slice(3, 7, None)]
    """
    return slice(rank * rows // world, (rank + 1) * rows // world)


def row_counts(rows: int, world: int) -> tuple[int, ...]:
    """Count the rows of a batch that every process owns.

    Args:
        rows: Rows of the whole batch.
        world: How many processes there are.

    Returns:
        One number per process.

    Example:
        >>> row_counts(7, world=2)
        (3, 4)
    """
    spans = [own_rows(rows, rank=rank, world=world) for rank in range(world)]
    return tuple(span.stop - span.start for span in spans)


def too_small(rows: int, world: int) -> bool:
    """Say whether a batch leaves a process fewer than two rows: a partner, batch statistics.

    Args:
        rows: Rows of the whole batch.
        world: How many processes there are.

    Returns:
        Whether it must not be cut in training; never where a process is alone.

    Example:
        >>> too_small(3, world=2), too_small(4, world=2)
        (True, False)
    """
    return world > 1 and rows < 2 * world


class Share(torch.Generator):
    """A generator that is one of several, alike in every process that works on a batch.

    The functions of `maths.randomness` draw from it for the whole batch and return the own rows. It
    must be seeded alike everywhere, and the processes must make the same draws in the same order. A
    draw for another number of rows than the own ones (an attack that goes on with some of the
    images) comes from a second generator of this process alone, which leaves the common one where
    it was.

    Args:
        device: Where it draws.
        rank: This process, from 0.
        world: How many processes there are.
        scope: "local" takes partners from the own rows, "global" from the whole batch.
        gather: How rows reach the other processes; needed for "global".

    Raises:
        InputError: If an argument is off.

    Example:
        >>> from vicinal.maths.randomness import integers
        >>> like = torch.zeros(1)
        >>> whole = integers(4, high=9, like=like, rng=torch.Generator().manual_seed(0))
        >>> halves = [Share(rank=rank, world=2).manual_seed(0) for rank in (0, 1)]
        >>> found = [integers(2, high=9, like=like, rng=rng) for rng in halves]
        >>> bool((torch.cat(found) == whole).all())
        True
    """

    counts: Sequence[int] | None
    """Rows of every process, set before each step; None where all have as many as this one."""

    whole: bool = False
    """Whether every process has the whole batch, one too small to be cut: no draw is cut then."""

    def __new__(
        cls,
        device: torch.device | str = "cpu",
        *,
        rank: int,
        world: int,
        scope: Scope = "local",
        gather: Gather | None = None,
    ) -> Share:
        """Make the generator itself; torch's own constructor takes nothing but a device."""
        del rank, world, scope, gather
        return super().__new__(cls, device)  # type: ignore[call-arg]

    def __init__(
        self,
        device: torch.device | str = "cpu",
        *,
        rank: int,
        world: int,
        scope: Scope = "local",
        gather: Gather | None = None,
    ) -> None:
        del device
        self.world = count("world", world)
        self.rank = count("rank", rank, low=0)
        self.scope = choice("scope", scope, ("local", "global"))
        self.counts = None
        if rank >= world:
            raise InputError(f"`rank` must be below `world`; got {rank} of {world}.")
        if scope == "global" and gather is None:
            raise InputError(
                "`gather` must be given for scope 'global', which fetches partners from other "
                "processes; got none. Did you mean engine.shared_generator(..., scope='global')?"
            )
        self._gather = gather
        self._alone: torch.Generator | None = None

    def sizes(self, n: int) -> list[int] | None:
        """Say how many rows every process draws for.

        Args:
            n: Rows that this process draws for.

        Returns:
            One number per process; None where the draw is not for all the own rows.
        """
        found = [n] * self.world if self.counts is None else list(self.counts)
        return found if found[self.rank] == n else None

    @property
    def alone(self) -> torch.Generator:
        """The second generator, of this process alone."""
        if self._alone is None:
            seed = (self.initial_seed() + 0x9E3779B97F4A7C15 * (self.rank + 1)) % 2**63
            self._alone = torch.Generator(self.device).manual_seed(seed)
        return self._alone

    def everyone(self, n: int) -> Callable[[Tensor], Tensor] | None:
        """Give the way to the rows among which the partners of the own ones lie.

        Args:
            n: The own rows.

        Returns:
            The own rows to those of all processes; None where partners are local, or all are own.
        """
        sizes, gather = self.sizes(n), self._gather
        if self.whole or self.scope == "local" or sizes is None or gather is None:
            return None
        return partial(_fetch, gather, sizes)


def _fetch(gather: Gather, sizes: Sequence[int], s: Tensor) -> Tensor:
    return gather(s, sizes)


def partners_from(rng: torch.Generator | None, n: int) -> Callable[[Tensor], Tensor] | None:
    """Say where the rows lie that a permutation of n rows points to.

    Args:
        rng: The generator that drew the permutation.
        n: The own rows.

    Returns:
        The own rows to those pointed to; None where they are the same.
    """
    return rng.everyone(n) if isinstance(rng, Share) else None
