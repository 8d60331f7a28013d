"""The accuracy over each class, clean and under every attack, as one small table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vicinal.report.tables import NOTHING, Section

__all__ = ["per_class"]


def per_class(records: Iterable[dict[str, Any]]) -> Section:
    """Lay out the accuracies of each class.

    Args:
        records: Records of kind "evaluation" of one model; those without classes are left out.

    Returns:
        One row per class, one column per attack, and the number of images where it changes:
        attacks may have judged fewer.

    Example:
        >>> clean = {"attack": "clean", "per_class": {"n": [2, 0], "accuracy": [0.5, None]}}
        >>> per_class([clean]).rows
        (('0', '2', '50.00'), ('1', '0', '-'))
    """
    header, columns = ["class"], []
    counts: list[int] = []
    for record in records:
        if "per_class" not in record:
            continue
        found = record["per_class"]
        if found["n"] != counts:
            counts = found["n"]
            header.append("images")
            columns.append([str(n) for n in counts])
        header.append(record["attack"])
        columns.append(_shares(found["accuracy"], counts))
    names = [str(k) for k in range(len(counts))]
    rows = tuple(zip(names, *columns, strict=True))
    return Section(title="accuracy of each class, %", header=tuple(header), rows=rows)


def _shares(accuracies: Sequence[float | None], counts: Sequence[int]) -> list[str]:
    pairs = zip(accuracies, counts, strict=True)
    return [NOTHING if a is None or not n else f"{100 * a:.2f}" for a, n in pairs]
