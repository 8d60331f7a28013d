"""What a classifier can be judged by beside single attacks, as rows of words."""

from __future__ import annotations

from typing import Any

from vicinal.corruptions import CORRUPTIONS, SETS
from vicinal.corruptions.corruption import SEVERITIES, Corruption
from vicinal.corruptions.shifts import Shift
from vicinal.evaluation import SUITES, suite

__all__ = ["corruptions", "suites"]

Row = dict[str, str]

_EPS = 8 / 255
"""The radius that suites are shown at."""


def corruptions() -> list[Row]:
    """List the corruptions: which sets hold each, and what its five constants for 32 pixels are.

    Those of M-TLAT's four are strengths in the paper's unit (pixels of 224), whatever the size.

    Returns:
        One row per corruption: name, sets, channels, whether it is comparable, constants.

    Example:
        >>> rows = corruptions()
        >>> len(rows), rows[0]["corruption"], rows[0]["sets"]
        (23, 'gaussian_noise', 'common, all')
    """
    return [
        {
            "corruption": name,
            "sets": ", ".join(known for known, names in SETS.items() if name in names),
            "images": "colour" if one.channels == (3,) else "any",
            "comparable": "yes" if getattr(one, "comparable", True) else "with its textures",
            "severities 1 to 5, at 32 pixels": "; ".join(map(_constant, _five(one))),
        }
        for name, one in CORRUPTIONS.items()
    ]


def _five(one: Corruption[Any, Any]) -> list[object]:
    """Give the five constants; of M-TLAT's four, which are ranges of one point, that point."""
    found = [one.constant(severity, (3, 32, 32)) for severity in SEVERITIES]
    return [each[0] if isinstance(one, Shift) else each for each in found]


def _constant(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_constant, value))})"
    return str(value)


def suites() -> list[Row]:
    """List the attacks of the suites, in the order in which they are worth their time.

    Returns:
        One row per attack: the suites that hold it, name, threat model at eps 8/255, passes of an
        image that nothing breaks, with ten classes.

    Example:
        >>> next(row["attack"] for row in suites() if "standard" in row["suite"])
        'apgd-t'
    """
    members: dict[tuple[str, ...], list[str]] = {}
    for name in SUITES:
        for entry in suite(name, eps=None if name == "papers" else _EPS).entries:
            threat = "none" if entry.threat is None else str(entry.threat)
            members.setdefault((entry.name, threat, str(entry.passes)), []).append(name)
    return [
        {"suite": ", ".join(names), "attack": attack, "threat model": threat, "passes": passes}
        for (attack, threat, passes), names in members.items()
    ]
