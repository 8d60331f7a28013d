"""The papers' numbers: every legible cell of their tables, as the package carries them.

Claimed numbers live here and nowhere else. What a recipe measures is a record of its own and is
printed beside these, never merged with them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from vicinal._checks import InputError, suggest

__all__ = ["PaperRow", "rows", "tables"]


@dataclass(frozen=True, kw_only=True)
class PaperRow:
    """One number of a paper's table, with the evaluation that it came from.

    Args:
        paper: The method's name as the paper's: "ALPS", "BAT", "AVmixup", "M-TLAT".
        table: The table's number as printed, such as "2" or "5.3" for a section's text.
        dataset: The data set's name as printed.
        model: The net's name as printed.
        method: The row's name as printed.
        key: The row's `--method`; "cited" where the paper took the number from another.
        condition: What the number was measured under, in words.
        metric: "top1_error", "top5_error", "accuracy", "robustness_score", ...
        value: The number; None where the paper prints none.
        std: Its spread over runs; None where the paper prints none.
        epsilon_train: The training budget in words, where the table varies it.
        note: A remark on the number.
        attack: "fgsm", "pgd", "corruption", ...; empty for clean images.
        eps: The attack's budget as written: "4/255", "inf" for unbounded.
        step: Its step as written; "eps" for one full step.
        steps: How many.
        random_start: Whether it starts at random.
        loss: "ce" or "margin".
        target: "none", "least_likely", "most_confusing", "random".
        source: The net that made the examples; empty for a white-box attack.
    """

    paper: str
    table: str
    dataset: str
    model: str
    method: str
    key: str
    condition: str
    metric: str
    value: float | None
    std: float | None
    epsilon_train: str
    note: str
    attack: str
    eps: str
    step: str
    steps: int | None
    random_start: bool
    loss: str
    target: str
    source: str


def rows(paper: str, table: str) -> list[PaperRow]:
    """Read the rows of one table.

    Args:
        paper: The paper's name, in any case.
        table: The table's number as printed.

    Returns:
        Its rows, in the order of the paper.

    Raises:
        InputError: If there is no such paper or table.

    Example:
        >>> row = rows("alps", "2")[0]
        >>> row.method, row.metric, row.condition
        ('ERM', 'top1_error', 'clean')
    """
    known = tables()
    names = {name.lower(): name for name in known}
    if paper.lower() not in names:
        raise InputError(f"no paper {paper!r} among the tables.{suggest(paper.lower(), names)}")
    name = names[paper.lower()]
    if table not in known[name]:
        raise InputError(f"{name} has no table {table!r} here; it has {', '.join(known[name])}.")
    return [row for row in _read() if row.paper == name and row.table == table]


def tables() -> dict[str, list[str]]:
    """List the papers and their tables.

    Returns:
        The paper's name to its tables' numbers, in the order of the file.
    """
    found: dict[str, list[str]] = {}
    for row in _read():
        numbers = found.setdefault(row.paper, [])
        if row.table not in numbers:
            numbers.append(row.table)
    return found


@cache
def _read() -> tuple[PaperRow, ...]:
    file = resources.files("vicinal.recipes") / "paper_tables.csv"
    with file.open(encoding="utf-8") as text:
        return tuple(_row(fields) for fields in csv.DictReader(text))


def _row(fields: dict[str, str]) -> PaperRow:
    words = {
        name: fields[name]
        for name in PaperRow.__dataclass_fields__
        if name not in {"value", "std", "steps", "random_start"}
    }
    return PaperRow(
        **words,
        value=_number(fields["value"]),
        std=_number(fields["std"]),
        steps=int(fields["steps"]) if fields["steps"] else None,
        random_start=fields["random_start"] == "yes",
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
