"""Several evaluations side by side, as one small table."""

from __future__ import annotations

from typing import Any, NamedTuple

from vicinal.report.tables import NOTHING, Section

__all__ = ["Remark", "comparison", "remarks"]


class Remark(NamedTuple):
    """What is to be known of one number of one model.

    Args:
        what: Such as an attack.
        model: Its name.
        words: What is to be said, without a full stop.
    """

    what: str
    model: str
    words: str

    def __str__(self) -> str:
        """Write it as a sentence."""
        return f"{self.what}, {self.model}: {self.words}."


def comparison(record: dict[str, Any]) -> tuple[Section, list[str]]:
    """Lay out a comparison.

    Args:
        record: A record of kind "comparison".

    Returns:
        A table with one row per attack, and the notes below it: what is unlike, how differences
        were tested, and what they are about.

    Example:
        >>> cell = {"accuracy": 0.5, "interval": [0.2, 0.8], "n": 8, "p": None}
        >>> other = {**cell, "p": 0.01, "test": "McNemar", "unlike": ""}
        >>> rows = [{"attack": "clean", "cells": [{**cell, "test": "", "unlike": ""}, other]}]
        >>> comparison({"names": ["a", "b"], "level": 0.05, "rows": rows})[0].rows
        (('clean', '8', '50.00 [20.0, 80.0]', '50.00 [20.0, 80.0] *', '0.01'),)
    """
    first, *others = record["names"]
    header = ["attack", "images", first]
    for name in others:
        header += [name, "p"]
    rows = tuple(_row(row) for row in _ordered(record))
    notes = [*map(str, remarks(record)), *_tests(record)]
    return Section(title="accuracy, %", header=tuple(header), rows=rows), notes


def _tests(record: dict[str, Any]) -> list[str]:
    """Say how differences were tested, or why none was, and what all of it is about."""
    first, *_ = record["names"]
    tests = {cell["test"] for row in record["rows"] for cell in row["cells"] if cell} - {""}
    how = f"Nothing here can be compared with {first}: {_why(record)}."
    if tests:
        how = (
            f"p: the chance of such a difference from {first}, by {' and '.join(sorted(tests))}'s "
            f"exact test, corrected by Holm's method; * below {record['level']:g}."
        )
    what = "p-values" if tests else "shares"
    return [
        f"{how} In brackets Wilson's 95 % interval.",
        f"One net each: {what} are about these weights, not about the methods.",
    ]


def _why(record: dict[str, Any]) -> str:
    """Say once of each reason for which attacks it keeps models from being compared."""
    found: dict[str, dict[str, None]] = {}
    for row in _ordered(record):
        for cell in row["cells"]:
            if cell and cell["unlike"]:
                found.setdefault(cell["unlike"], {})[row["attack"]] = None
    reasons = (f"{', '.join(attacks)}: {words}" for words, attacks in found.items())
    return "; ".join(reasons) or "none of its attacks was run on another model"


_ORDER = {"clean": 0, "worst case": 2}
"""Which rows stand first and last."""


def _ordered(record: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(record["rows"], key=lambda row: _ORDER.get(row["attack"], 1))


def remarks(record: dict[str, Any]) -> list[Remark]:
    """Say what is unlike, and what is to be known of a test.

    Args:
        record: A record of kind "comparison".

    Returns:
        One for every such number, attack by attack.
    """
    found = []
    for row in _ordered(record):
        for name, cell in zip(record["names"][1:], row["cells"][1:], strict=True):
            if cell and cell["unlike"]:
                found.append(Remark(row["attack"], name, f"{cell['unlike']}; not compared"))
            if cell and cell.get("caveat"):
                found.append(Remark(row["attack"], name, cell["caveat"]))
    return found


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    first, *others = row["cells"]
    counts = dict.fromkeys(str(cell["n"]) for cell in row["cells"] if cell)
    words = [row["attack"], ", ".join(counts), _share(first)]
    for cell in others:
        words += [_share(cell), _chance(cell)]
    return tuple(words)


def _share(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return NOTHING
    low, high = (100 * end for end in cell["interval"])
    mark = " *" if cell["p"] is not None and cell["p"] < 0.05 else ""
    return f"{100 * cell['accuracy']:.2f} [{low:.1f}, {high:.1f}]{mark}"


def _chance(cell: dict[str, Any] | None) -> str:
    if cell is None or cell["p"] is None:
        return "unlike" if cell and cell["unlike"] else NOTHING
    return "<0.0001" if cell["p"] < 1e-4 else f"{cell['p']:.2g}"
