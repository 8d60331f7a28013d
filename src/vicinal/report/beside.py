"""What stands beside the attacks when models are compared: masking verdicts, and corruptions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vicinal.report.tables import NOTHING, Section

__all__ = ["beside", "beside_tables"]

Record = Mapping[str, Any]

_SETTING = {"n": "images", "severities": "severities", "files": "files", "over": "in the mean"}


def beside(found: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
    """Collect the last verdict of each model, and what it does under corruptions.

    Args:
        found: The records of each model, by its name, in their order.

    Returns:
        `verdicts`: status and threat model by model, null where none was given. `corruptions`: by
        model the accuracy under each corruption, the means, and the setting of both; empty where
        nothing was judged.

    Example:
        >>> found = beside({"a": [{"kind": "verdict", "status": "PASS", "threat": "linf 0.1"}]})
        >>> found["verdicts"]["a"], found["corruptions"]["a"]["by_name"]
        ({'status': 'PASS', 'threat': 'linf 0.1'}, {})
    """
    return {
        "verdicts": {name: _verdict(records) for name, records in found.items()},
        "corruptions": {name: _under(records) for name, records in found.items()},
    }


def _verdict(records: Sequence[Record]) -> dict[str, Any] | None:
    last = [record for record in records if record.get("kind") == "verdict"][-1:]
    return {key: last[0].get(key) for key in ("status", "threat")} if last else None


def _under(records: Sequence[Record]) -> dict[str, Any]:
    """Take the last of every corruption, and the last means."""
    by_name: dict[str, Any] = {}
    summary: dict[str, Any] | None = None
    for parts, end in _groups(records):
        setting = {key: end.get(key) for key in ("n", "severities", "files")}
        for part in parts:
            by_name[part["corruption"]] = {
                "accuracy": part["accuracy"],
                "comparable": part.get("comparable", True),
                "setting": setting,
            }
        if "over" in end:
            names = ("accuracy", "clean_accuracy", "robustness_score", "mce", "baseline")
            setting = {**setting, "over": end["over"]}
            summary = {**{key: end.get(key) for key in names}, "setting": setting}
    return {"by_name": by_name, "means": summary}


def _groups(records: Sequence[Record]) -> Iterator[tuple[list[Record], Record]]:
    """Cut records into evaluations under corruptions; a campaign's corruptions stand alone."""
    parts: list[Record] = []
    for record in records:
        kind, attack = record.get("kind"), str(record.get("attack", ""))
        if kind == "corruption" and record.get("severity") is None:
            parts.append(record)
        elif kind == "corruptions":
            yield parts, record
            parts = []
        elif kind == "evaluation" and "by_severity" in record:
            name = attack.removeprefix("corrupted(by=").removesuffix(")").strip("'\"")
            severities = list(range(1, len(record["by_severity"]) + 1))
            yield [{**record, "corruption": name}], {"n": record["n"], "severities": severities}


def beside_tables(record: Mapping[str, Any]) -> tuple[list[Section], list[str]]:
    """Lay out what `beside` collected.

    Args:
        record: What it gave.

    Returns:
        A table of verdicts and one of corruptions, each where there is anything to show, and the
        notes below them.

    Example:
        >>> found = {"a": [{"kind": "verdict", "status": "PASS", "threat": "linf 0.1"}], "b": []}
        >>> beside_tables(beside(found))[0][0].rows
        (('masked gradients', 'PASS (linf 0.1)', '-'),)
    """
    notes: list[str] = []
    tables = [*_verdicts(record["verdicts"]), *_corruptions(record["corruptions"], notes)]
    return tables, notes


def _verdicts(found: Mapping[str, Any]) -> list[Section]:
    if not any(found.values()):
        return []
    words = map(_status, found.values())
    return [_section("verdict", ("verdict", *found), [("masked gradients", *words)])]


def _status(one: Record | None) -> str:
    if one is None:
        return NOTHING
    return str(one["status"]) if one["threat"] is None else f"{one['status']} ({one['threat']})"


def _corruptions(found: Mapping[str, Any], notes: list[str]) -> list[Section]:
    names = list(dict.fromkeys(name for one in found.values() for name in one["by_name"]))
    if not names:
        return []
    models = list(found)
    rows = []
    for name in names:
        cells = [found[model]["by_name"].get(name) for model in models]
        own = any(cell is not None and not cell["comparable"] for cell in cells)
        rows.append((f"{name} *" * own or name, *(_share(cell, "accuracy") for cell in cells)))
        notes += _unlike(cells, models, name)
    means = [found[model]["means"] for model in models]
    rows += [row for row in _means(means) if any(word != NOTHING for word in row[1:])]
    notes += _unlike(means, models, "mean")
    if any(row[0].endswith(" *") for row in rows):
        notes.append("* not the published corruption: in no mean.")
    if any(means):
        notes.append("R: mean over clean accuracy of the same images, to be read beside it.")
    return [_section("accuracy under corruptions, %", ("corruption", *models), rows)]


def _section(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Section:
    return Section(title=title, header=header, rows=tuple(rows))


def _means(means: Sequence[Any]) -> list[tuple[str, ...]]:
    return [
        ("mean", *(_share(one, "accuracy") for one in means)),
        ("clean", *(_share(one, "clean_accuracy") for one in means)),
        ("R", *(_number(one, "robustness_score", 3) for one in means)),
        ("mCE", *(_number(one, "mce", 1) for one in means)),
    ]


def _share(cell: Any, key: str) -> str:  # ruff: ignore[any-type] — a dictionary or None
    value = None if cell is None else cell[key]
    return NOTHING if value is None or math.isnan(value) else f"{100 * value:.2f}"


def _number(cell: Any, key: str, digits: int) -> str:  # ruff: ignore[any-type] — as above
    value = None if cell is None else cell[key]
    return NOTHING if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _unlike(cells: Sequence[Any], models: Sequence[str], name: str) -> list[str]:
    """Say which models were judged otherwise than the first that was judged."""
    first: Record = next((cell["setting"] for cell in cells if cell), {})
    notes = []
    for cell, model in zip(cells, models, strict=True):
        setting = cell["setting"] if cell else first
        words = [
            f"{word} {_said(setting.get(key))}, not {_said(first.get(key))}"
            for key, word in _SETTING.items()
            if setting.get(key) != first.get(key)
        ]
        if words:
            notes.append(f"{name}, {model}: {'; '.join(words)}; not to be compared.")
    return notes


def _said(value: Any) -> str:  # ruff: ignore[any-type] — of JSON
    if isinstance(value, list):
        return ",".join(str(one) for one in value) if len(value) < 6 else str(len(value))
    return "none" if value is None else str(value)
