"""The accuracy over each class, clean and under every attack, as one small table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vicinal._errors import InputError
from vicinal.report.tables import NOTHING, Section

__all__ = ["per_class"]


def per_class(records: Iterable[dict[str, Any]], *, names: Sequence[str] | None = None) -> Section:
    """Lay out the accuracies of each class.

    Args:
        records: Records of kind "evaluation" of one model; those without classes are left out.
        names: A name for every class, in the order of the labels, such as `class_names` of a data
            set; by default those that a record has beside its accuracies, else the numbers.

    Returns:
        One row per class, one column per attack, and the number of images where it changes:
        attacks may have judged fewer.

    Raises:
        InputError: If there is not one name for every class.

    Example:
        >>> clean = {"attack": "clean", "per_class": {"n": [2, 0], "accuracy": [0.5, None]}}
        >>> per_class([clean]).rows
        (('0', '2', '50.00'), ('1', '0', '-'))
        >>> per_class([clean], names=("cat", "dog")).rows
        (('cat', '2', '50.00'), ('dog', '0', '-'))
    """
    header, columns = ["class"], []
    counts: list[int] = []
    for record in records:
        if "per_class" not in record:
            continue
        found = record["per_class"]
        names = names or found.get("names")
        if found["n"] != counts:
            counts = found["n"]
            header.append("images")
            columns.append([str(n) for n in counts])
        header.append(record["attack"])
        columns.append(_shares(found["accuracy"], counts))
    rows = tuple(zip(_labels(names, len(counts)), *columns, strict=True))
    return Section(title="accuracy of each class, %", header=tuple(header), rows=rows)


def _labels(names: Sequence[str] | None, n: int) -> list[str]:
    if n and names and len(names) != n:
        raise InputError(f"`names` must be one name for every class, {n}; got {len(names)}.")
    return [str(name) for name in names or range(n)][:n]


def _shares(accuracies: Sequence[float | None], counts: Sequence[int]) -> list[str]:
    pairs = zip(accuracies, counts, strict=True)
    return [NOTHING if a is None or not n else f"{100 * a:.2f}" for a, n in pairs]
