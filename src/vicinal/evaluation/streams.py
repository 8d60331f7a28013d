"""Every attack draws from a stream of its own, all cut from one generator.

Each stream begins where the generator stands when an evaluation begins and goes on from batch to
batch, so what an attack draws does not depend on what stands beside it: an attack that is added
changes no number of the others, a single one draws as if it were called by hand, and attacks are
compared on the same random starts. Without a generator the global one is drawn from in turn.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import starmap

import torch
from torch import Tensor

from vicinal._checks import InputError
from vicinal.maths.share import Share

__all__ = ["States", "Streams", "generators"]

States = list[Tensor]
"""Where a generator stands."""


class Streams:
    """One generator, standing for every attack where that attack left it.

    Args:
        rng: The generator; None for the global one, which is left alone.

    Example:
        >>> rng = torch.Generator().manual_seed(0)
        >>> streams = Streams(rng)
        >>> with streams.of("pgd"):
        ...     first = torch.rand(2, generator=rng)
        >>> with streams.of("apgd"):
        ...     again = torch.rand(2, generator=rng)
        >>> bool((first == again).all())
        True
    """

    def __init__(self, rng: torch.Generator | None) -> None:
        self._generators = generators(rng)
        self._start = self.states()
        self._at: dict[str, States] = {}

    @contextmanager
    def of(self, name: str) -> Generator[None]:
        """Let one attack draw.

        Args:
            name: The attack's name.

        Yields:
            Nothing.
        """
        self.put(self._at.get(name, self._start))
        try:
            yield
        finally:
            self._at[name] = self.states()

    def __len__(self) -> int:
        """Count the generators; none for the global one."""
        return len(self._generators)

    def states(self) -> States:
        """Tell where the generator stands.

        Returns:
            Its states; none for the global one.
        """
        return [generator.get_state() for generator in self._generators]

    def put(self, states: Sequence[Tensor]) -> None:
        """Put the generator somewhere.

        Args:
            states: What `states` gave.

        Raises:
            InputError: If they are not of a generator like this one.
        """
        if len(states) != len(self._generators):
            kinds = {0: "the global one", 1: "a generator of its own"}
            held, own = (kinds.get(k, "one that is shared") for k in (len(states), len(self)))
            raise InputError(
                f"`rng` must be as it was when the ledger was begun: it drew from {held}, this "
                f"call from {own}. Give the same, or another folder?"
            )
        for generator, state in zip(self._generators, states, strict=True):
            generator.set_state(state)

    def close(self) -> None:
        """Leave the generator where the last attack that drew has left it."""
        ends = [at for at in self._at.values() if not _alike(at, self._start)]
        if ends:
            self.put(ends[-1])


def generators(rng: torch.Generator | None) -> tuple[torch.Generator, ...]:
    """List what draws behind a generator: of a share, also what draws for this process alone.

    Args:
        rng: The generator; None for the global one.

    Returns:
        The generators; none for the global one.
    """
    if rng is None:
        return ()
    return (rng, rng.alone) if isinstance(rng, Share) else (rng,)


def _alike(states: States, others: States) -> bool:
    return all(starmap(torch.equal, zip(states, others, strict=True)))
