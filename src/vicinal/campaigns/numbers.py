"""From what was measured to the records of a table: mean, sample deviation, circumstances.

Shares come back in per cent, all else as it is. Nothing is rounded here.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from vicinal.campaigns import provenance
from vicinal.campaigns.cell import Cell
from vicinal.campaigns.notes import notes, stand_in
from vicinal.campaigns.plan import Plan, values

__all__ = ["cell_record", "summary", "table_record"]


def table_record(
    plan: Plan,
    failures: Mapping[str, str],
    *,
    numbers: Iterable[Mapping[str, Any]],
    command: str,
) -> dict[str, Any]:
    """Describe a table; hardware and threads are those of all its numbers, new and kept.

    Args:
        plan: The campaign.
        failures: Why tasks failed, by task.
        numbers: The records of its cells.
        command: What was asked for.

    Returns:
        A record of kind "table".
    """
    measured = [number for number in numbers if number["n"]]
    return {
        "kind": "table",
        "table": plan.request.table,
        "scale": plan.request.scale,
        "seeds": list(plan.request.seeds),
        "command": command,
        "notes": notes(plan, failures),
        **provenance.circumstances(plan.request.device),
        **{name: _joined(number[name] for number in measured) for name in ("hardware", "threads")},
    }


def _joined(each: Iterable[Any]) -> str:
    parts = [part for value in each for part in (value if isinstance(value, list) else [value])]
    return "; ".join(dict.fromkeys(str(part) for part in parts)) or "nothing was measured"


def cell_record(
    plan: Plan, failures: Mapping[str, str], *, cell: Cell, command: str
) -> dict[str, Any]:
    """Put the paper's number and ours beside each other.

    Args:
        plan: The campaign.
        failures: Why tasks failed, by task.
        cell: One of its cells.
        command: What was asked for.

    Returns:
        A record of kind "cell": status "ok" where at least one seed has a value, else "no data",
        "not yet", "cited", "failed", "not run", or "undefined" of a ratio to nothing and of a
        mean over none.
    """
    there = values(plan, cell)
    each = {seed: cell.number_in(record) for seed, record in there.items()}
    found = {seed: cell.unit * number for seed, number in each.items() if number is not None}
    mean, std = summary(found.values())
    facts = plan.facts.get(str(cell.recipe))
    return {
        "kind": "cell",
        "table": cell.table,
        "scale": plan.request.scale,
        "dataset": cell.dataset,
        "model": cell.model,
        "stand_in": stand_in(cell, facts),
        "method": cell.method,
        "key": cell.key,
        "condition": cell.condition,
        "space": None if cell.threat is None else cell.threat.space,
        "metric": cell.metric,
        "status": "ok" if found else _status(plan, cell, failures, measured=bool(there)),
        "paper": cell.paper,
        "paper_std": cell.paper_std,
        "decimals": cell.decimals,
        "decimals_std": cell.decimals_std,
        "mean": mean,
        "std": std,
        "n": len(found),
        "values": list(found.values()),
        "seeds": list(found),
        **_measured_as(there.values()),
        "command": command,
    }


def _measured_as(there: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Say how a cell was measured; evaluations of several machines or days name them all."""
    found = list(there)
    same = ("attack", "source", "hardware", "threads", "date")
    each = {name: list(dict.fromkeys(record.get(name) for record in found)) for name in same}
    return {
        **{name: those[0] if len(those) == 1 else those or None for name, those in each.items()},
        "images": found[0]["n"] if found else None,
        "versions": found[-1].get("versions") if found else None,
    }


def summary(numbers: Iterable[float]) -> tuple[float | None, float | None]:
    """Give the mean and the sample standard deviation (ddof 1).

    Args:
        numbers: One per seed.

    Returns:
        The two; None where there is no number, and no deviation of a single one.

    Example:
        >>> summary([1.0, 2.0, 3.0]), summary([1.0]), summary([])
        ((2.0, 1.0), (1.0, None), (None, None))
    """
    found = list(numbers)
    mean = statistics.fmean(found) if found else None
    return mean, statistics.stdev(found) if len(found) > 1 else None


def _status(plan: Plan, cell: Cell, failures: Mapping[str, str], *, measured: bool) -> str:
    if cell.key == "cited":
        return "cited"
    if not plan.has_data(cell):
        return "no data"
    if cell.lacking:
        return "not yet"
    if measured and cell.unit == 1:
        return "undefined"
    place = f"{plan.facts[str(cell.recipe)].folder.name} {cell.key}-seed"
    return "failed" if any(place in task for task in failures) else "not run"
