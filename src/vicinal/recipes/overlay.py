"""Lay the fields of one mapping over another: base <- method <- preset <- scale <- overrides.

A part that gets a new name loses the arguments of the old one: the momentum of SGD means nothing
to Adam. The model keeps those arguments that the new net has too, so that a row with dropout stays
one when a scale changes its net.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vicinal._checks import InputError

__all__ = ["BY_FACTOR", "nest", "overlay"]

Fields = dict[str, Any]

BY_FACTOR = frozenset({"wide_resnet"})
"""Nets whose width is a factor of 16 channels; that of all others is a number of channels."""

_PARTS = ("model", "objective", "optimizer", "schedule")
_WITHIN = ("inputs", "labels", "move", "objective")
"""What a word alone names: "objective" is short for "objective.name"; within an objective, too."""


def overlay(
    below: Mapping[str, Any], above: Mapping[str, Any], *, accepts: Callable[[str, str], bool]
) -> Fields:
    """Lay one mapping of recipe fields over another.

    Args:
        below: The fields so far.
        above: The fields that win.
        accepts: Whether the model named first takes the argument named second.

    Returns:
        A new mapping; neither input is modified.
    """
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            merged[key] = _part(key, old, value, accepts)
        else:
            merged[key] = value
    return merged


def _part(
    key: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    accepts: Callable[[str, str], bool],
) -> Fields:
    renamed = "name" in new and new["name"] != old.get("name")
    if renamed and key == "model":
        kept = {word: value for word, value in old.items() if accepts(str(new["name"]), word)}
        if BY_FACTOR & {old.get("name"), new["name"]}:
            kept.pop("width", None)
        return {"name": new["name"], **kept, **new}
    if renamed:
        return dict(new)
    return overlay(old, new, accepts=accepts)


def nest(dotted: Mapping[str, Any]) -> Fields:
    """Turn dotted names into nested mappings.

    Args:
        dotted: Fields such as {"objective.eps": 0.3, "epochs": 15}; a word for a part is its name.

    Returns:
        Fields such as {"objective": {"eps": 0.3}, "epochs": 15}.

    Raises:
        InputError: If a name stands for a value and for a mapping at once.
    """
    nested: Fields = {}
    for name, value in dotted.items():
        full = f"{name}.name" if _is_part(name) and isinstance(value, str) else name
        *parents, leaf = full.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise InputError(f"`{name}` and `{parent}` cannot both be given.")
        if isinstance(place.get(leaf), dict):
            raise InputError(f"`{name}` and a field of it cannot both be given.")
        place[leaf] = value
    return nested


def _is_part(name: str) -> bool:
    whole, _, word = name.rpartition(".")
    return name in _PARTS or (whole.partition(".")[0] == "objective" and word in _WITHIN)
