"""One evaluation out of the parts that several processes made of it, image by image."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vicinal.evaluation.results import Results, Verdicts

__all__ = ["merged"]


def merged(parts: Sequence[Results], rows: Sequence[Sequence[slice]]) -> Results:
    """Put the verdicts of several evaluations where their images stand in the whole.

    Args:
        parts: One evaluation per process, of the same attacks.
        rows: The rows of the whole that each of them judged, batch by batch, in their order.

    Returns:
        The evaluation of all images: passes are added up, seconds are the slowest part's.

    Example:
        >>> def part(*right):
        ...     verdicts = Verdicts(
        ...         correct=torch.tensor(right),
        ...         norms=torch.zeros(len(right)),
        ...         forward=len(right),
        ...         backward=0,
        ...         seconds=1.0,
        ...     )
        ...     return Results(verdicts={"clean": verdicts})
        >>> whole = merged(
        ...     [part(True, False), part(False)], [[slice(0, 1), slice(2, 3)], [slice(1, 2)]]
        ... )
        >>> whole.verdicts["clean"].correct
        tensor([ True, False, False])
    """
    places = torch.cat([_indices(part) for part in rows])
    verdicts = {name: _joined([part.verdicts[name] for part in parts], places) for name in parts[0]}
    return Results(verdicts=verdicts, threat=parts[0].threat)


def _indices(rows: Sequence[slice]) -> Tensor:
    return torch.cat([torch.arange(part.start, part.stop) for part in rows])


def _joined(parts: Sequence[Verdicts], places: Tensor) -> Verdicts:
    fields = [field.name for field in dataclasses.fields(Verdicts)]
    found = {name: _field([getattr(part, name) for part in parts], places) for name in fields}
    return Verdicts(**{**found, "seconds": max(part.seconds for part in parts)})


def _field(values: Sequence[Any], places: Tensor) -> Any:  # ruff: ignore[any-type] — of any type
    """Join a field: a number per image goes to its image, counts add up, all else is alike."""
    first = values[0]
    if isinstance(first, Tensor):
        joined = torch.cat(list(values))
        return torch.empty_like(joined).index_copy_(0, places, joined)
    if isinstance(first, Mapping):
        return dict(sum((Counter(value) for value in values), Counter[str]()))
    return sum(values) if isinstance(first, (int, float)) else first
