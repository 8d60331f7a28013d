"""Several evaluations side by side: which differences are more than chance, and what is unlike.

Only like is compared with like: the same images, attacked with the same parameters from the same
source, each attack of a worst case too. McNemar's exact test works on the images that one model
gets right and the other wrong; where records do not say which images they are, or hold no verdict
for every image, Fisher's exact test takes its place, which sees less. Chances are corrected for the
number of tests by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vicinal._checks import InputError
from vicinal.evaluation.packing import unpack
from vicinal.evaluation.results import CLEAN, WORST
from vicinal.evaluation.threat import digest_of
from vicinal.metrics import fisher_exact, mcnemar, wilson
from vicinal.records import Record

__all__ = ["Cell", "Comparison", "compared", "holm"]

LEVEL = 0.05
"""A corrected chance below this is called a difference."""

_SETTING = ("dataset", "split")

_MODEL = ("recipe", "method", "scale", "train_seed", "model", "weights", "state")
"""Where a record says which model was judged; not everything stands in each."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One model under one attack, held against the first model.

    Args:
        accuracy: The share still right, in [0, 1].
        interval: Wilson's 95 % interval.
        n: Images.
        p: The chance of such a difference from the first model, corrected; None for the first
            itself, and where the two are unlike.
        test: "McNemar" or "Fisher"; empty where there is none.
        unlike: Why it must not be held against the first; empty where it may.
        caveat: What to know of the test or of the two: that it is not the usual test, or that they
            were drawn or computed otherwise; empty where there is nothing.
    """

    accuracy: float
    interval: tuple[float, float]
    n: int
    p: float | None = None
    test: str = ""
    unlike: str = ""
    caveat: str = ""

    @property
    def differs(self) -> bool:
        """Whether the difference is more than chance."""
        return self.p is not None and self.p < LEVEL


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What several evaluations say, attack by attack.

    Args:
        names: The models, the one that the others are held against first.
        rows: For each attack a cell for each model; None where it was not run.
    """

    names: tuple[str, ...]
    rows: Mapping[str, tuple[Cell | None, ...]] = field(default_factory=dict)

    @property
    def record(self) -> Record:
        """All of it as data, JSON-able."""
        rows = [
            {
                "attack": attack,
                "cells": [None if cell is None else {**vars(cell)} for cell in cells],
            }
            for attack, cells in self.rows.items()
        ]
        return {"kind": "comparison", "names": list(self.names), "level": LEVEL, "rows": rows}


def compared(found: Mapping[str, Sequence[Record]]) -> Comparison:
    """Hold several evaluations against the first.

    Args:
        found: Records of kind "evaluation" by the model's name; of several of one attack the last
            counts.

    Returns:
        The comparison. What is unlike is marked in it, even if that is all of it.

    Raises:
        InputError: If there is nothing to compare: fewer than two, other data, or no attack that
            was run on two of them.

    Example:
        >>> one = {"attack": "clean", "images": "3f", "n": 8, "correct": 8, "accuracy": 1.0}
        >>> other = {**one, "correct": 2, "accuracy": 0.25, "right": "wA=="}
        >>> cell = compared({"a": [{**one, "right": "/w=="}], "b": [other]}).rows["clean"][1]
        >>> cell.p, cell.test, cell.differs
        (0.03125, 'McNemar', True)
    """
    names = tuple(found)
    if len(names) < 2:
        raise InputError("a comparison must have at least two evaluations; give several.")
    last = {name: _last(found[name]) for name in names}
    _check_models(found)
    _check_data(last)
    attacks = list(dict.fromkeys(attack for name in names for attack in last[name]))
    rows = {attack: _row([last[name].get(attack) for name in names]) for attack in attacks}
    if all(sum(cell is not None for cell in row) < 2 for row in rows.values()):
        raise InputError(
            f"nothing here can be compared with {names[0]}: no attack was run on both."
        )
    return Comparison(names=names, rows=_corrected(rows))


def _last(records: Sequence[Record]) -> dict[str, Record]:
    """Take the last record of every attack; in a worst case, what it was made of."""
    found: dict[str, Record] = {}
    for record in records:
        known = {**_digests(record, found), **record}
        found[record["attack"]] = known if record["attack"] == WORST else record
    return found


def _digests(record: Record, before: Mapping[str, Record]) -> Record:
    """Digest the attacks of an older worst case, whose own records stand before it."""
    own = ((name, before.get(name, {})) for name in record.get("attacks", ()))
    return {
        "digests": {
            name: digest_of(one["parameters"], source=one.get("source"))
            for name, one in own
            if "parameters" in one and not _lacks_source(one)
        }
    }


def _lacks_source(record: Record) -> bool:
    """Tell whether an attack took its examples from a net that the record does not name."""
    return record.get("source") is None and _transfers(record.get("parameters"))


def _transfers(parameters: Any) -> bool:  # ruff: ignore[any-type] — of JSON
    if not isinstance(parameters, Mapping):
        return False
    return "source" in parameters or any(map(_transfers, parameters.values()))


def _check_models(found: Mapping[str, Sequence[Record]]) -> None:
    """Refuse a model that does not exist: some of its records are of one, some of another."""
    for name, records in found.items():
        for key in _MODEL:
            told = list(dict.fromkeys(one[key] for one in records if key in one))
            if len(told) > 1:
                raise InputError(
                    f"{name} must hold the records of one model; it has those of two, by their "
                    f"{key}: {told[0]!r} and {told[1]!r}. Judge each into its own folder: --out."
                )


def _check_data(last: Mapping[str, Mapping[str, Record]]) -> None:
    seen: dict[str, tuple[str, str]] = {}
    for name, records in last.items():
        if not records:
            raise InputError(f"{name} holds no evaluation; run `vicinal evaluate` on it.")
        for record in records.values():
            for key in _SETTING:
                value = record.get(key)
                other, whose = seen.setdefault(key, (value, name)) if value else (None, "")
                if value and other != value:
                    raise InputError(
                        f"{name} was judged on other data than {whose}: its {key} is {value!r}, "
                        f"there {other!r}. Only the same images can be compared."
                    )


def _row(records: Sequence[Record | None]) -> tuple[Cell | None, ...]:
    first = records[0]
    cells: list[Cell | None] = []
    for place, record in enumerate(records):
        if record is None:
            cells.append(None)
            continue
        cell = _cell(record)
        if place and first is not None:
            cell = _tested(cell, first, record)
        cells.append(cell)
    return tuple(cells)


def _cell(record: Record) -> Cell:
    low, high = wilson(record["correct"], record["n"])
    return Cell(accuracy=record["accuracy"], interval=(low, high), n=record["n"])


def _tested(cell: Cell, first: Record, record: Record) -> Cell:
    unlike = _unlike(first, record)
    if unlike:
        return replace(cell, unlike=unlike)
    n, caveats = record["n"], _otherwise(first, record)
    unknown = any(one.get("images") is None for one in (first, record))
    if not unknown and "right" in first and "right" in record:
        p = mcnemar(unpack(first["right"], n=n), unpack(record["right"], n=n))
        return replace(cell, p=p, test="McNemar", caveat="; ".join(caveats))
    why = "which images they are is not known" if unknown else "no verdict for every image"
    p = fisher_exact(first["correct"], n, record["correct"], n)
    return replace(cell, p=p, test="Fisher", caveat="; ".join([f"{why}; Fisher's test", *caveats]))


_DRAWN = {"seed": "seed", "batch_size": "batch size"}
"""What the draws of an attack depend on beside its parameters; clean images have none."""


def _otherwise(first: Record, record: Record) -> list[str]:
    """Say what else was not as it was of the first: it may be held against it all the same."""
    keys = {"arithmetic": "arithmetic", **(_DRAWN if record["attack"] != CLEAN else {})}
    told = [
        f"{word} {record[key]}, not {first[key]}"
        for key, word in keys.items()
        if key in first and key in record and first[key] != record[key]
    ]
    held = [one["parameters"] for one in (first, record) if "parameters" in one]
    if len(held) == 1:
        told.append("the parameters of one are not known, only its name")
    elif any(set(parameters) == {"class"} for parameters in held):
        # A plain function: its name is whatever its caller called it.
        told.append("what the attack does is not known, only its name")
    return told


def _unlike(first: Record, record: Record) -> str:
    """Say what makes two records of attacks of one name unlike; nothing where they are alike."""
    if first["n"] != record["n"]:
        return f"{record['n']} images, not {first['n']}"
    pairs = {
        "images": "other images",
        "parameters": "other parameters",
        "threat": "another threat model",
        "attacks": "a worst case of other attacks",
    }
    for key, words in pairs.items():
        if key in first and key in record and first[key] != record[key]:
            return words
    if first.get("source") != record.get("source"):
        return "another source"
    if _lacks_source(record):
        return "the source is not known"
    return _unlike_parts(first, record) if record["attack"] == WORST else ""


def _unlike_parts(first: Record, record: Record) -> str:
    """Say which attacks of two worst cases are unlike, each by its parameters and its source."""
    one, other = first["digests"], record["digests"]
    names = record.get("attacks", [""])
    if not all(name in one and name in other for name in names):
        return "the attacks are not known"
    unlike = [name for name in names if one[name] != other[name]]
    return f"other parameters or another source of {', '.join(unlike)}" if unlike else ""


def _corrected(
    rows: Mapping[str, tuple[Cell | None, ...]],
) -> dict[str, tuple[Cell | None, ...]]:
    tested = [cell.p for row in rows.values() for cell in row if cell and cell.p is not None]
    corrected = iter(holm(tested))

    def one(cell: Cell | None) -> Cell | None:
        return cell if cell is None or cell.p is None else replace(cell, p=next(corrected))

    return {attack: tuple(one(cell) for cell in row) for attack, row in rows.items()}


def holm(chances: Sequence[float]) -> list[float]:
    """Correct the chances of several tests for their number (Holm 1979).

    Args:
        chances: One per test, in [0, 1].

    Returns:
        Corrected ones in the same order: below a level, together, with that chance of any error.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(chances)), key=chances.__getitem__)
    found, largest = [0.0] * len(chances), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[place]))
        found[place] = largest
    return found
