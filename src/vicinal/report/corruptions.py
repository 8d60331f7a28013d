"""Accuracy under corruptions as one small table, its means below it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from vicinal.report.heat_map import heat_map
from vicinal.report.tables import NOTHING, Section

__all__ = ["corruptions"]

Record = Mapping[str, Any]


def corruptions(records: Sequence[Record]) -> tuple[Section, list[str]]:
    """Lay out an evaluation under corruptions.

    Args:
        records: Records of kinds "corruption" and "corruptions"; others are passed over. Of several
            of one corruption and severity the last counts.

    Returns:
        A table with one row per corruption: each severity, their mean, and R; and the notes below
        it: clean accuracy, means, mCE, what the stars mean.

    Example:
        >>> fog = {"kind": "corruption", "corruption": "fog", "accuracy": 0.5}
        >>> fog |= {"robustness_score": 0.625}
        >>> ends = {"kind": "corruptions", "clean_accuracy": 0.8, "accuracy": 0.5, "over": ["fog"]}
        >>> table, notes = corruptions([fog | {"severity": 2}, fog | {"severity": None}, ends])
        >>> table.rows, notes
        ((('fog', '50.00', '50.00', '0.625'),), ['clean 80.00, mean of fog 50.00'])
    """
    found = heat_map(records)
    scores = {
        record["corruption"]: record.get("robustness_score")
        for record in records
        if record.get("kind") == "corruption" and record["severity"] is None
    }
    rows = tuple(
        (name, *map(_share, cells), _share(mean), _score(scores.get(name.removesuffix(" *"))))
        for name, cells, mean in zip(found.corruptions, found.cells, found.means, strict=True)
    )
    header = ("corruption", *map(str, found.severities), "mean", "R")
    last = [record for record in records if record.get("kind") == "corruptions"][-1:]
    notes = [note for record in last for note in _notes(record)]
    return Section(title="accuracy by severity, %", header=header, rows=rows), notes


def _share(cell: float | None) -> str:
    return NOTHING if cell is None else f"{cell:.2f}"


def _score(score: float | None) -> str:
    return NOTHING if _missing(score) else f"{score:.3f}"


def _missing(number: float | None) -> bool:
    """Tell whether there is no number: NaN in memory, null in a file."""
    return number is None or math.isnan(number)


def _notes(record: Record) -> list[str]:
    over = record["over"]
    what = over[0] if len(over) == 1 else record.get("mean_of", f"{len(over)} corruptions")
    told = (("clean_accuracy", "clean"), ("accuracy", f"mean of {what}"))
    words = [f"{word} {100 * record[key]:.2f}" for key, word in told if not _missing(record[key])]
    score = record.get("robustness_score")
    words += [] if _missing(score) else [f"R {score:.3f}"]
    images = f"{record['n']} images: " if "n" in record else ""
    notes = [images + ", ".join(words)]
    if record.get("baseline") is not None:
        notes.append(_compared(record))
    if record.get("aside"):
        notes.append(
            "* not the published corruption: in no mean (frost: --frost DIR, the originals)"
        )
    return notes


def _compared(record: Record) -> str:
    mce, relative = record["mce"], record["relative_mce"]
    if _missing(mce):
        return f"no mCE beside {record['baseline']}: it needs all its corruptions, all severities"
    told = f"mCE {mce:.1f}"
    if not _missing(relative):
        told += f", relative mCE {relative:.1f}"
    return f"{told} % of the errors of {record['baseline']}"
