"""Lay a scale over a recipe: what a smaller run keeps of the paper's, and what follows from it.

Four things follow. A width is a number of channels, a sixteenth of it a factor. What a recipe fixes
of its data set does not hold for the scale's. A row that its paper trains longer than the others
stays so in proportion. And where a scale attacks harder, because its images have few grey levels,
the budgets in training grow by the same factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vicinal.recipes.budgets import moved
from vicinal.recipes.numerals import read_number, read_numbers
from vicinal.recipes.overlay import BY_FACTOR, overlay
from vicinal.recipes.resolve import OF_THE_DATA, accepts, explicit

__all__ = ["scaled"]

Fields = dict[str, Any]

_DIGITS = 12
"""Decimals of a budget that was multiplied: 8/255 times 3.1875 shall be 0.1."""


def scaled(
    below: Mapping[str, Any],
    scale: Mapping[str, Any],
    *,
    user: Mapping[str, Any],
    epochs: object = None,
) -> Fields:
    """Lay a scale over a recipe.

    Args:
        below: The recipe's fields so far.
        scale: The scale's fields.
        user: The user's, of which the net's name counts here.
        epochs: How long the file trains its rows that say nothing else.

    Returns:
        The fields.
    """
    fields = dict(below)
    model = dict(scale.get("model", {}))
    if "name" not in model:
        # The net must be known before its width is given.
        net = {key: value for key, value in _part(user, "model").items() if key == "name"}
        fields = overlay(fields, {"model": net} if net else {}, accepts=accepts)
    if "width" in model and _part(fields, "model").get("name") in BY_FACTOR:
        model["width"] = max(1, model["width"] // 16)
    if scale.get("dataset", fields.get("dataset")) != fields.get("dataset"):
        old = _part(fields, "model").items()
        fields["model"] = {k: v for k, v in old if k not in OF_THE_DATA}
    above = {**scale, **({"model": model} if model else {})}
    above |= _longer(fields, scale, epochs) | _harder(fields, scale)
    return overlay(fields, above, accepts=accepts)


def _longer(fields: Mapping[str, Any], scale: Mapping[str, Any], epochs: object) -> Fields:
    """Keep a row longer than its file's others by as much as the paper has it."""
    own, all_ = fields.get("epochs"), scale.get("epochs")
    if not (isinstance(own, int) and isinstance(all_, int) and isinstance(epochs, int)):
        return {}
    return {"epochs": round(all_ * own / epochs)} if own > epochs > 0 else {}


def _harder(fields: Mapping[str, Any], scale: Mapping[str, Any]) -> Fields:
    """Let training attacks follow when a scale changes the budget of the evaluation."""
    old, new = (_eps(part) for part in (fields, scale))
    if not old or not new or old == new:
        return {}
    part = read_numbers(explicit("objective", _part(fields, "objective")))
    budgets = moved(part, eps=lambda eps: round(eps * new / old, _DIGITS))
    return {"objective": budgets} if budgets else {}


def _eps(fields: Mapping[str, Any]) -> float | None:
    """Read the budget of an evaluation, where there is one."""
    eps = _part(fields, "evaluation").get("eps")
    value = read_number(eps) if isinstance(eps, str) else eps
    return float(value) if isinstance(value, (int, float)) else None


def _part(fields: Mapping[str, Any], name: str) -> Fields:
    part = fields.get(name, {})
    return dict(part) if isinstance(part, Mapping) else {"name": part}
