"""The budgets of an objective that attacks while it trains, found by their fields, and moved.

Whatever has a `batchnorm` or a `step_size` attacks, at any depth: an objective, its input move, or
the objective within another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["attacks", "moved"]

Fields = dict[str, Any]


def attacks(part: Mapping[str, Any]) -> bool:
    """Tell whether a part of a recipe attacks, or one within it.

    Args:
        part: An objective's fields, its defaults written down.

    Returns:
        True if it does.

    Example:
        >>> attacks({"name": "ERM"}), attacks({"name": "TLAT", "batchnorm": "eval"})
        (False, True)
    """
    inner = (value for value in part.values() if isinstance(value, Mapping))
    return _is_attack(part) or any(attacks(value) for value in inner)


def _is_attack(part: Mapping[str, Any]) -> bool:
    return not {"batchnorm", "step_size"}.isdisjoint(part)


def moved(
    part: Mapping[str, Any],
    *,
    eps: Callable[[float], float],
    common: Mapping[str, Any] | None = None,
) -> Fields:
    """Make the fields that move every budget of a part; steps go along in proportion.

    Args:
        part: An objective's fields, its defaults written down and numbers read.
        eps: The new radius of an old one. Radii in the l2 norm, of 0, and one per channel stay.
        common: Further fields for every part that attacks and has them.

    Returns:
        Fields, nested; none where nothing attacks.

    Example:
        >>> moved({"name": "TRADES", "eps": 0.5, "step_size": 0.125}, eps=lambda eps: eps / 2)
        {'eps': 0.25, 'step_size': 0.0625}
    """
    inner = {
        word: moved(value, eps=eps, common=common)
        for word, value in part.items()
        if isinstance(value, Mapping)
    }
    own = _own(part, eps, common or {}) if _is_attack(part) else {}
    return own | {word: fields for word, fields in inner.items() if fields}


def _own(
    part: Mapping[str, Any], eps: Callable[[float], float], common: Mapping[str, Any]
) -> Fields:
    found = {word: value for word, value in common.items() if word in part}
    name = "eps_max" if "eps_max" in part else "eps"
    old = part.get(name)
    if part.get("norm", "linf") != "linf" or not isinstance(old, float) or old <= 0:
        return found
    found[name] = eps(old)
    if isinstance(part.get("step_size"), float):
        found["step_size"] = part["step_size"] * found[name] / old
    return found
