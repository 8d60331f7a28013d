"""Claims of robustness that a stronger attack took away, and a line for whoever trains that method.

The data stand in `known_failures.yaml`, one entry per claim.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from vicinal.recipes.schema import Recipe

__all__ = ["KnownFailure", "failures_of", "known_failures", "warning"]


@dataclass(frozen=True, kw_only=True)
class KnownFailure:
    """One claim and what became of it.

    Args:
        method: The method and, where it was one, the model.
        kind: "failure", "expected" where no strong attack is published, "control" where it held.
        claimed: Accuracy and attack, in words.
        strong: The stronger attack and what it left, in words.
        source: Where that can be read.
        where: Fields of the objectives that train it, one mapping per alternative.
    """

    method: str
    kind: str
    claimed: str
    strong: str
    source: str
    where: tuple[Mapping[str, Any], ...]


@cache
def known_failures() -> tuple[KnownFailure, ...]:
    """Read all entries.

    Returns:
        The entries, in the order of the file.

    Example:
        >>> known_failures()[0].strong
        'AutoAttack 29.35, clean 92.80'
    """
    file = resources.files("vicinal.recipes") / "known_failures.yaml"
    entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    return tuple(KnownFailure(**{**entry, "where": tuple(entry["where"])}) for entry in entries)


def failures_of(objective: Mapping[str, Any]) -> list[KnownFailure]:
    """Find what is known of an objective, or of one within it.

    Args:
        objective: Its fields, with the defaults written down.

    Returns:
        The entries; those of controls name no objective and are never among them.

    Example:
        >>> [known.method for known in failures_of({"name": "IAT"})]
        ['IAT']
    """
    inner = objective.get("objective")
    own = dict(_flat(objective))
    found = [
        known
        for known in known_failures()
        if any(alternative.items() <= own.items() for alternative in known.where)
    ]
    return found + (failures_of(inner) if isinstance(inner, Mapping) else [])


def _flat(part: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for word, value in part.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{word}.")
        elif not isinstance(value, list):
            yield f"{prefix}{word}", value


def warning(recipe: Recipe) -> str:
    """Say in one line what is known of the method that a recipe trains.

    Args:
        recipe: The recipe, resolved.

    Returns:
        The line; empty where nothing is known.
    """
    found = failures_of(recipe.objective.model_dump())
    if not found:
        return ""
    sort = "known" if any(known.kind == "failure" for known in found) else "expected"
    each = (f"{k.method} claims {k.claimed}; stronger attacks: {k.strong}" for k in found)
    return (
        f"{sort} failure of this method, accuracy in %: {' | '.join(each)} "
        "(see `vicinal list failures`)"
    )
