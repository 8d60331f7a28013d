"""Presets: "paper" is a recipe as its paper has it, "tuned" lays over it what the field has learnt.

A preset is an overlay and names no method, so that it fits every row of every recipe; the fields
that are the same for all stand in `presets.yaml`. What concerns methods that attack is found by
their fields: whatever has a `batchnorm` or a `step_size` attacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vicinal._checks import choice
from vicinal.recipes.resolve import explicit

__all__ = ["PRESETS", "TUNED_EPS", "layer"]

PRESETS = ("paper", "tuned")
"""The papers' own settings, and the same methods in today's practice."""

TUNED_EPS = 8 / 255
"""The budget of a tuned method that attacks: the one that leaderboards compare at."""

_HELD_OUT_OF_DIGITS = 200
"""Of the 1,297 training images of the smoke scale's set."""

Fields = dict[str, Any]


def layer(
    preset: str, fields: Mapping[str, Any], *, common: Mapping[str, Any], scale: str
) -> Fields:
    """Make the fields that a preset lays over a recipe.

    Args:
        preset: "paper" or "tuned".
        fields: The recipe's fields so far, its method's among them.
        common: The preset's fields that are the same for all, by preset.
        scale: The scale that will be laid over both.

    Returns:
        Fields, nested; none for "paper".

    Raises:
        InputError: If there is no such preset.
    """
    if choice("preset", preset, PRESETS) == "paper":
        return {}
    found = dict(common[preset])
    if scale == "smoke":
        found["validation"] = _HELD_OUT_OF_DIGITS
    objective = fields.get("objective")
    if isinstance(objective, Mapping):
        found |= _attacking(explicit("objective", objective))
    return found


def _attacking(objective: Mapping[str, Any]) -> Fields:
    """Give the budget of an objective that attacks, or of a part of it that does."""
    budget = _budget(objective)
    if not budget:
        return {}
    return {
        "objective": budget,
        "evaluation": {"eps": TUNED_EPS, "step_size": TUNED_EPS / 4},
    }


def _budget(part: Mapping[str, Any]) -> Fields:
    inner = {word: _budget(value) for word, value in part.items() if isinstance(value, Mapping)}
    return _own_budget(part) | {word: budget for word, budget in inner.items() if budget}


def _own_budget(part: Mapping[str, Any]) -> Fields:
    if not {"batchnorm", "step_size"} & part.keys():
        return {}
    found: Fields = {"batchnorm": "eval"} if "batchnorm" in part else {}
    name = "eps_max" if "eps_max" in part else "eps"
    eps = part.get(name)
    if part.get("norm", "linf") != "linf" or not isinstance(eps, float) or eps <= 0:
        return found
    found[name] = TUNED_EPS
    if isinstance(part.get("step_size"), float):
        found["step_size"] = part["step_size"] * TUNED_EPS / eps
    return found
