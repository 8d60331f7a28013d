"""What one alarm of the masking verdict found, and how a figure becomes a status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vicinal._checks import choice
from vicinal.records import Record

__all__ = ["CLEAR", "FEW", "Check", "Status", "graded", "percent", "skipped"]

Status = Literal["PASS", "WARN", "FAIL", "SKIP"]
"""What a check found; SKIP where what it needs was not there."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What one alarm found.

    Args:
        name: Its name.
        status: "PASS", "WARN", "FAIL", or "SKIP" where it could not be looked at.
        sentence: What was found, with its figures.
        figures: The figures as data.

    Example:
        >>> check = Check(name="huge eps", status=graded(0.3, 0.01, 0.1), sentence="30 % right.")
        >>> check.record["status"]
        'FAIL'
    """

    name: str
    status: Status
    sentence: str
    figures: Mapping[str, float | int | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        choice("status", self.status, ("PASS", "WARN", "FAIL", "SKIP"))

    @property
    def record(self) -> Record:
        """The check as data, JSON-able."""
        said = {"name": self.name, "status": self.status, "sentence": self.sentence}
        return {**said, "figures": dict(self.figures)}


FEW, CLEAR = 2, 5
"""Images behind a WARN, and behind a FAIL: a single one proves nothing about a sample, and where
nothing is wrong five that all fall to the same side are the fewest that chance makes rare, 1/32."""


def graded(
    value: float, warn: float, fail: float, *, images: int = CLEAR, few: int = FEW
) -> Status:
    """Turn a figure, of which less is better, into a status.

    Args:
        value: The figure.
        warn: What it may be at most.
        fail: What it may be at most for a warning.
        images: How many images it rests on: below `CLEAR` it is a warning at most.
        few: How many it must rest on to count at all.

    Returns:
        "PASS", "WARN" or "FAIL".

    Example:
        >>> [graded(value, 0.2, 2.0) for value in (0.2, 2.0, 2.1)]
        ['PASS', 'WARN', 'FAIL']
    """
    if images < few or value <= warn:
        return "PASS"
    return "FAIL" if value > fail and images >= CLEAR else "WARN"


def percent(share: float) -> str:
    """Write a share in percent.

    Args:
        share: In [0, 1].

    Returns:
        Such as "12.5 %".
    """
    return f"{100 * share:.1f} %"


def skipped(name: str, why: str) -> Check:
    """Say that an alarm could not be looked at.

    Args:
        name: Its name.
        why: The reason, as a sentence.

    Returns:
        The check, SKIP.
    """
    return Check(name=name, status="SKIP", sentence=why)
