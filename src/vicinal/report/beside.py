"""What stands beside the attacks when models are compared: masking verdicts, and corruptions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from vicinal.report.comparison import Remark
from vicinal.report.tables import NOTHING, Section

__all__ = ["INSIDE", "MEANS", "beside", "beside_remarks", "beside_tables"]

Record = Mapping[str, Any]

_SETTING = {"threat": "threat model", "n": "images", "severities": "severities", "files": "files"}
_SETTING |= {"version": "version"}


def beside(found: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
    """Collect the last verdict of each model, and what it does under corruptions.

    Args:
        found: The records of each model, by its name, in their order.

    Returns:
        `verdicts`: status, threat model, number of images, version, accuracies and the checks that
        warn or fail by model, null where none was given. `corruptions`: by model the accuracy under
        each corruption, the means, and the setting of both; empty where nothing was judged.

    Example:
        >>> judged = {"kind": "verdict", "status": "WARN", "threat": "linf 0.1", "n": 200}
        >>> judged["checks"] = [{"name": "huge eps", "status": "WARN"}]
        >>> found = beside({"a": [judged]})
        >>> found["verdicts"]["a"]["checks"], found["corruptions"]["a"]["by_name"]
        ({'huge eps': 'WARN'}, {})
    """
    return {
        "verdicts": {name: _verdict(records) for name, records in found.items()},
        "corruptions": {name: _under(records) for name, records in found.items()},
    }


def _verdict(records: Sequence[Record]) -> dict[str, Any] | None:
    last = [record for record in records if record.get("kind") == "verdict"][-1:]
    if not last:
        return None
    checks = {one["name"]: one["status"] for one in last[0].get("checks", ())}
    suspect = {name: status for name, status in checks.items() if status in _SUSPECT}
    told = {key: last[0].get(key) for key in ("status", "threat", "n", "version")}
    return {**told, "accuracies": _accuracies(last[0]), "checks": suspect}


INSIDE: tuple[str, ...] = (
    "clean",
    "fgsm",
    "pgd",
    "pgd last",
    "pgd twice",
    "pgd margin",
    "pgd half eps",
)
INSIDE += ("apgd-ce", "apgd-t", "square", "noise", "transfer", "autoattack")
"""The trials of a verdict whose images lie in its ball."""


def _accuracies(record: Record) -> dict[str, float | None]:
    """Take what is right when clean, under PGD, and under the strongest search in the ball."""
    trials = {name: one.get("accuracy") for name, one in record.get("trials", {}).items()}
    against = (one for one in record.get("checks", ()) if one["name"].startswith("PGD against"))
    left = [trials.get(name) for name in INSIDE]
    # Several attacks' worst case, image by image: no trial by itself is as strong.
    left += [one.get("figures", {}).get("strong") for one in against]
    strongest = min((share for share in left if share is not None), default=None)
    return {"clean": trials.get("clean"), "pgd": trials.get("pgd"), "strongest": strongest}


_SUSPECT = ("FAIL", "WARN")
"""The states of a check that a reader must know by name."""


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
        A table of verdicts and one of corruptions, each where there is anything to show and of
        the models that have any, and the notes below them.

    Example:
        >>> found = {"a": [{"kind": "verdict", "status": "PASS", "threat": "linf 0.1"}], "b": []}
        >>> beside_tables(beside(found))[0][0].rows
        (('a', 'PASS', 'linf 0.1', '-', '-'),)
    """
    under = _corruptions(record["corruptions"])
    notes = [*map(str, beside_remarks(record)), *_without(record)]
    if any(row[0].endswith(" *") for table in under for row in table.rows):
        notes.append("* not the published corruption: in no mean.")
    if under and any(one["means"] for one in record["corruptions"].values()):
        notes.append("R: mean over clean accuracy of the same images, to be read beside it.")
    return [*_verdicts(record["verdicts"]), *under], notes


def beside_remarks(record: Mapping[str, Any]) -> list[Remark]:
    """Say which models were judged otherwise than the first that was judged.

    Args:
        record: What `beside` gave.

    Returns:
        One for every such number: the verdicts, then the corruptions, then the means.
    """
    verdicts, under = record["verdicts"], record["corruptions"]
    cells = [one and {"setting": one} for one in verdicts.values()]
    return _unlike(cells, list(verdicts), "verdict") + _unlike_under(under)


def _unlike_under(under: Mapping[str, Any]) -> list[Remark]:
    models, names = list(under), _names(under)
    found: list[Remark] = []
    for name in names:
        found += _unlike([one["by_name"].get(name) for one in under.values()], models, name)
    means = [one["means"] for one in under.values()]
    shown = [name for name, *words in _means(means) if set(words) != {NOTHING}]
    return found + [one for name in shown if names for one in _unlike(means, models, name)]


def _names(under: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for one in under.values() for name in one["by_name"]))


def _without(record: Mapping[str, Any]) -> list[str]:
    """Name the models that have no place in a table that there is."""
    told = {
        "a verdict": {name: bool(one) for name, one in record["verdicts"].items()},
        "corruptions": {name: bool(one["by_name"]) for name, one in record["corruptions"].items()},
    }
    return [
        f"Without {word}: {', '.join(name for name in held if not held[name])}."
        for word, held in told.items()
        if any(held.values()) and not all(held.values())
    ]


def _verdicts(found: Mapping[str, Any]) -> list[Section]:
    rows = [
        (name, *(_known(one, key) for key in ("status", "threat", "n")), _suspect(one))
        for name, one in found.items()
        if one
    ]
    return [_section("verdict", _VERDICT, rows)] if rows else []


_VERDICT = ("model", "masked gradients", "threat model", "images", "checks that warn or fail")


def _known(one: Record, key: str) -> str:
    return NOTHING if one.get(key) is None else str(one[key])


def _suspect(one: Record) -> str:
    checks = one.get("checks", {})
    by_status = {status: [name for name in checks if checks[name] == status] for status in _SUSPECT}
    words = (f"{status}: {', '.join(names)}" for status, names in by_status.items() if names)
    return "; ".join(words) or NOTHING


def _corruptions(found: Mapping[str, Any]) -> list[Section]:
    names = _names(found)
    if not names:
        return []
    models = [model for model in found if found[model]["by_name"]]
    unlike = {(one.what, one.model) for one in _unlike_under(found)}
    rows = []
    for name in names:
        cells = [found[model]["by_name"].get(name) for model in models]
        own = any(cell is not None and not cell["comparable"] for cell in cells)
        shares = _marked(name, [_share(cell, "accuracy") for cell in cells], models, unlike)
        rows.append((f"{name} *" * own or name, _images(cells), *shares))
    means = [found[model]["means"] for model in models]
    images = _images(means)
    rows += [
        (name, images, *_marked(name, words, models, unlike))
        for name, *words in _means(means)
        if any(word != NOTHING for word in words)
    ]
    header = ("corruption", "images", *models)
    return [_section("accuracy under corruptions, %", header, rows)]


def _marked(
    name: str, words: Sequence[str], models: Sequence[str], unlike: Set[tuple[str, str]]
) -> list[str]:
    """Mark in a row what must not be held against its first number."""
    return [
        f"{word} unlike" if (name, model) in unlike and word != NOTHING else word
        for model, word in zip(models, words, strict=True)
    ]


def _images(cells: Sequence[Any]) -> str:
    """Tell how many images stand behind a row, each at every severity."""
    return ", ".join(dict.fromkeys(_known(cell["setting"], "n") for cell in cells if cell))


def _section(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Section:
    return Section(title=title, header=header, rows=tuple(rows))


MEANS = ("mean", "clean", "R", "mCE")
"""The rows below those of corruptions."""


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


def _unlike(cells: Sequence[Any], models: Sequence[str], name: str) -> list[Remark]:
    """Say which models were judged otherwise than the first that was judged."""
    judged = [(cell["setting"], model) for cell, model in zip(cells, models, strict=True) if cell]
    if not judged:
        return []
    first, whose = judged[0]
    notes = []
    for cell, model in zip(cells, models, strict=True):
        setting = cell["setting"] if cell else first
        words = [
            f"{word} {_said(setting.get(key))}, not {_said(first.get(key))}"
            for key, word in _SETTING.items()
            if setting.get(key) != first.get(key) and (key == "n" or name != "clean")
        ]
        if name != "clean" and sorted(setting.get("over") or ()) != sorted(first.get("over") or ()):
            words.append(_other_mean(setting.get("over") or (), first.get("over") or (), whose))
        if words:
            notes.append(Remark(name, model, f"{'; '.join(words)}; not to be compared"))
    return notes


def _other_mean(over: Sequence[str], first: Sequence[str], whose: str) -> str:
    own, other = _corrupted(over), _corrupted(first)
    if own == other:
        other = f"another {len(first)}"
    return f"its mean is over {own}, that of {whose} over {other}"


def _corrupted(names: Sequence[str]) -> str:
    """Name what a mean is over, or count it where it is much."""
    if len(names) >= _MUCH:
        return f"{len(names)} corruptions"
    *most, last = names or ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last


def _said(value: Any) -> str:  # ruff: ignore[any-type] — of JSON
    if isinstance(value, list):
        return ",".join(str(one) for one in value) if len(value) < _MUCH else str(len(value))
    return "none" if value is None else str(value)


_MUCH = 6
"""From so many on, a list is told by its length."""
