"""Many models side by side: they are the rows of every table, and what was measured the columns."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vicinal.report.beside import MEANS, beside_remarks, beside_tables
from vicinal.report.comparison import Remark, comparison, remarks
from vicinal.report.tables import NOTHING, Section

__all__ = ["MANY", "gathered", "many_tables", "turned"]

MANY = 8
"""Up to this many models each has a column of its own."""

_SPELT_OUT = 3
"""Up to this many attacks stand with their intervals and chances in one table."""


def many_tables(
    record: dict[str, Any], *, each_corruption: bool = True
) -> tuple[list[Section], list[str]]:
    """Lay out a comparison of many models, attacks first, then verdicts and corruptions.

    Args:
        record: A record of kind "comparison", with what `beside` collected where there is any.
        each_corruption: Whether corruptions are told one by one too, beside what sums them up.

    Returns:
        The tables, one row for each model that there is anything to show of, and the notes below
        them, one for all models that it is true of.

    Example:
        >>> cell = {"accuracy": 0.5, "interval": [0.2, 0.8], "n": 8, "p": None, "unlike": ""}
        >>> cells = [{**cell, "test": ""}, {**cell, "p": 0.01, "test": "McNemar"}]
        >>> rows = [{"attack": "clean", "cells": cells}]
        >>> tables, _ = many_tables({"names": ["a", "b"], "level": 0.05, "rows": rows})
        >>> tables[0].header, tables[0].rows[1]
        (('model', 'clean (8 images)', 'p'), ('b', '50.00 [20.0, 80.0] *', '0.01'))
    """
    attacks, notes = comparison(record)
    names = record["names"]
    told, tests = remarks(record), notes[-2:]
    few = len(attacks.rows) <= _SPELT_OUT
    sections = _spelt_out(attacks, names) if few else _shortened(attacks, names)
    tests[0] = _tests(tests[0], record, spelt_out=few)
    if "verdicts" not in record:
        return sections, [*gathered(told), *tests]
    more, footnotes = _beside(record, each_corruption=each_corruption)
    told += beside_remarks(record)
    return [*sections, *more], [*gathered(told), *tests, *footnotes]


def _spelt_out(attacks: Section, names: Sequence[str]) -> list[Section]:
    header = ["model"]
    for row in attacks.rows:
        header += [f"{row[0]} ({row[1]} images)", "p"]
    rows = [_cells(attacks, place, name) for place, name in enumerate(names)]
    return [_section(attacks.title, header, rows)]


def _cells(attacks: Section, place: int, name: str) -> list[str]:
    chances = [row[2 * place + 2] if place else NOTHING for row in attacks.rows]
    pairs = zip((row[2 * place + 1 + (not place)] for row in attacks.rows), chances, strict=True)
    return [name, *(word for pair in pairs for word in pair)]


def _shortened(attacks: Section, names: Sequence[str]) -> list[Section]:
    """Put the chances into a table of their own, and leave out the intervals."""
    (whole,) = _spelt_out(attacks, names)
    shares = [[row[0], *map(_share, row[1::2], row[2::2])] for row in whole.rows]
    chances = [[row[0], *row[2::2]] for row in whole.rows[1:]]
    header = [whole.header[0], *whole.header[1::2]]
    return [_section(attacks.title, header, shares), _section("p", header, chances)]


def _share(word: str, chance: str) -> str:
    return re.sub(r" \[.*\]", "", word) + " unlike" * (chance == "unlike")


def _tests(note: str, record: Mapping[str, Any], *, spelt_out: bool) -> str:
    """Say of how many tests the chances are, and how sure a share is."""
    cells = [cell for row in record["rows"] for cell in row["cells"] if cell]
    count = sum(cell["p"] is not None for cell in cells)
    note = note.replace("Holm's method;", f"Holm's method for these {count} tests;")
    if spelt_out:
        return note
    least = min(cell["n"] for cell in cells)
    sure = f"A share is known to {_half(least):.1f} points (95 %, of {least} images) or better."
    return note.replace("In brackets Wilson's 95 % interval.", sure)


def _half(n: int) -> float:
    """Half the width of Wilson's 95 % interval about one half, where it is widest, in points."""
    z = 1.959964
    return 100 * z / (2 * math.sqrt(n + z * z))


def _beside(record: Mapping[str, Any], *, each_corruption: bool) -> tuple[list[Section], list[str]]:
    tables, notes = beside_tables(record)
    sections: list[Section] = []
    told = {str(one) for one in beside_remarks(record)}
    # A star that begins a line is a bullet in Markdown.
    footnotes = [re.sub(r"^\* ", "Marked *: ", note) for note in notes if note not in told]
    for table in tables:
        if table.title == "verdict":
            sections.append(_verdicts(table, record["verdicts"]))
            footnotes = [*_how_sure(record["verdicts"]), *footnotes]
        else:
            sections += _corruptions(table)[: 1 + each_corruption]
            footnotes.insert(0, f"{table.title}: of {_images(table)} images at each severity.")
    return sections, footnotes


def _verdicts(table: Section, found: Mapping[str, Any]) -> Section:
    """Add what is right when clean, under PGD, and under the strongest search."""
    shares = {name: (one or {}).get("accuracies", {}) for name, one in found.items()}
    header = (*table.header[:4], "clean, %", "PGD, %", "strongest, %", *table.header[4:])
    rows = [
        (*row[:4], *(_percent(shares[row[0]].get(key)) for key in _SEARCHES), *row[4:])
        for row in table.rows
    ]
    return _section(table.title, header, rows)


_SEARCHES = ("clean", "pgd", "strongest")


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.1f}"


def _how_sure(found: Mapping[str, Any]) -> list[str]:
    told = [one for one in found.values() if one and any(one.get("accuracies", {}).values())]
    if not told:
        return []
    counts = [one["n"] for one in told if one["n"]]
    sure = f" Of {min(counts)} images a share is known to {_half(min(counts)):.1f} points (95 %)."
    return [
        "verdict: PGD is PGD-20 on the cross-entropy, its strongest iterate; strongest is the least"
        " that any search of the verdict within the ball left right, or APGD and Square together."
        f"{sure if counts else ''}"
    ]


def _corruptions(table: Section) -> list[Section]:
    """Turn the table: what sums it up, then every corruption."""
    _, _, *models = table.header
    sums = {row[0]: row[2:] for row in table.rows if row[0] in MEANS}
    single = {row[0].replace("_", " "): row[2:] for row in table.rows if row[0] not in MEANS}
    ordered: dict[str, Sequence[str]]
    ordered = {name: sums[name] for name in ("clean", "mean", "R", "mCE") if name in sums}
    ordered["worst"] = tuple(_worst(single, place) for place in range(len(models)))
    title = table.title.replace("under corruptions", "under each corruption")
    return [turned(table.title, models, ordered), turned(title, models, single)]


def _worst(single: Mapping[str, Sequence[str]], place: int) -> str:
    found = {name: cells[place] for name, cells in single.items() if cells[place] != NOTHING}
    name = min(found, key=lambda one: float(found[one].partition(" ")[0]), default=None)
    return NOTHING if name is None else f"{name} {found[name]}"


def turned(title: str, models: Sequence[str], columns: Mapping[str, Sequence[str]]) -> Section:
    """Make a table of one row for each model.

    Args:
        title: Its title.
        models: Their names.
        columns: By its header what a column says of each model, in their order.

    Returns:
        The table.
    """
    rows = [(name, *(cells[k] for cells in columns.values())) for k, name in enumerate(models)]
    return _section(title, ("model", *columns), rows)


def _images(table: Section) -> str:
    return ", ".join(dict.fromkeys(row[1] for row in table.rows))


def _section(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Section:
    return Section(title=title, header=tuple(header), rows=tuple(map(tuple, rows)))


def gathered(found: Sequence[Remark]) -> list[str]:
    """Say once what is true of several models, or of several numbers of one.

    Args:
        found: What is to be said.

    Returns:
        Sentences.

    Example:
        >>> gathered([Remark("fog", "a", "so"), Remark("fog", "b", "so"), Remark("fog", "c", "no")])
        ['fog, a, b: so.', 'fog, c: no.']
    """
    numbers: dict[tuple[str, str], list[str]] = {}
    for one in found:
        numbers.setdefault((one.words, one.model), []).append(one.what)
    models: dict[tuple[str, str], list[str]] = {}
    for (words, model), what in numbers.items():
        few = ", ".join(what) if len(what) <= _SPELT_OUT else f"{what[0]} and {len(what) - 1} more"
        models.setdefault((few, words), []).append(model)
    return [str(Remark(what, ", ".join(names), said)) for (what, said), names in models.items()]
