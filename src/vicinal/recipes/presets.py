"""Presets: "paper" is a recipe as its paper has it, "tuned" lays over it what the field has learnt.

A preset is an overlay and names no method, so that it fits every row of every recipe; the fields
that are the same for all stand in `presets.yaml`; `budgets` finds the methods that attack.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vicinal._checks import choice
from vicinal.recipes.budgets import moved
from vicinal.recipes.numerals import read_numbers
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
        found |= _attacking(objective)
    return found


def _attacking(objective: Mapping[str, Any]) -> Fields:
    """Give the budget of an objective that attacks, or of a part of it that does."""
    part = read_numbers(explicit("objective", objective))
    budget = moved(part, eps=lambda _: TUNED_EPS, common={"batchnorm": "eval"})
    if not budget:
        return {}
    return {
        "objective": budget,
        "evaluation": {"eps": TUNED_EPS, "step_size": TUNED_EPS / 4},
    }
