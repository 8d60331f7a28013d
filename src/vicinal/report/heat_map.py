"""Accuracy under corruptions as a heat map: a row per corruption, a column per severity.

Drawn by matplotlib where it is installed; the rows and columns come from the records alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from vicinal._errors import InputError
from vicinal.records import atomic

__all__ = ["HeatMap", "heat_map", "write_heat_map"]

Record = Mapping[str, Any]

_DARK = 45.0
"""Below it, in per cent, the numbers of a cell are white."""


@dataclass(frozen=True, kw_only=True)
class HeatMap:
    """The numbers of a heat map.

    Args:
        title: What was judged, and the clean accuracy beside which it is to be read.
        corruptions: The rows' names; one that is not comparable has a star.
        severities: The columns.
        cells: Accuracy in per cent, one row per corruption; None where it was not judged.
        means: The mean of each row.
    """

    title: str
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    cells: tuple[tuple[float | None, ...], ...]
    means: tuple[float, ...]


def heat_map(records: Sequence[Record]) -> HeatMap:
    """Lay out the records of an evaluation under corruptions.

    Of several evaluations of one corruption and severity the last counts.

    Args:
        records: Records of kinds "corruption" and "corruptions"; others are passed over.

    Returns:
        The numbers.

    Raises:
        InputError: If there is no record of a corruption.

    Example:
        >>> found = heat_map([
        ...     {"kind": "corruption", "corruption": "fog", "severity": 2, "accuracy": 0.5},
        ... ])
        >>> found.corruptions, found.cells, found.means
        (('fog',), ((50.0,),), (50.0,))
    """
    judged = [record for record in records if record.get("kind") == "corruption"]
    found = {
        (record["corruption"], record["severity"]): 100 * record["accuracy"]
        for record in judged
        if record["severity"] is not None
    }
    if not found:
        raise InputError(
            "a heat map needs records of corruptions; there are none. Did you mean "
            "vicinal evaluate RUN --corruptions all, first?"
        )
    names = tuple(dict.fromkeys(name for name, _ in found))
    severities = tuple(sorted({severity for _, severity in found}))
    cells = tuple(tuple(found.get((name, s)) for s in severities) for name in names)
    aside = {record["corruption"] for record in judged if record.get("comparable") is False}
    return HeatMap(
        title=_title(records),
        corruptions=tuple(f"{name} *" if name in aside else name for name in names),
        severities=severities,
        cells=cells,
        means=tuple(_mean(row) for row in cells),
    )


def _mean(row: Sequence[float | None]) -> float:
    there = [value for value in row if value is not None]
    return sum(there) / len(there)


def _title(records: Sequence[Record]) -> str:
    last = [record for record in records if record.get("kind") == "corruptions"][-1:]
    if not last:
        return "accuracy under corruptions, %"
    words = [str(last[0][key]) for key in ("method", "model", "dataset") if last[0].get(key)]
    clean, mean = last[0].get("clean_accuracy"), last[0].get("accuracy")
    shares = [
        f"{what} {100 * share:.2f} %"
        for what, share in (("clean", clean), ("mean", mean))
        if share is not None
    ]
    return "; ".join([part for part in (", ".join(words), ", ".join(shares)) if part])


def write_heat_map(path: Path, found: HeatMap) -> None:
    """Draw a heat map and write it, whole or not at all.

    Args:
        path: Where it shall stand: .png, .svg or .pdf.
        found: Its numbers.

    Raises:
        InputError: If the ending is none of these, or matplotlib is not installed.
    """
    form = path.suffix.removeprefix(".").lower()
    if form not in {"png", "svg", "pdf"}:
        raise InputError(f"a heat map is written as .png, .svg or .pdf; got {path.name!r}.")
    figure = _drawn(found)
    with atomic(path) as temporary:
        figure.savefig(temporary, format=form, dpi=150, bbox_inches="tight")


def _drawn(found: HeatMap) -> Any:  # ruff: ignore[any-type] — matplotlib's figure
    rows = [[*row, mean] for row, mean in zip(found.cells, found.means, strict=True)]
    # Without pyplot: no window system is asked for, and no figure is kept.
    figure = _matplotlib("figure").Figure(figsize=(1.8 + 0.6 * len(rows[0]), 1 + 0.3 * len(rows)))
    axes = figure.add_subplot()
    shown = [[float("nan") if value is None else value for value in row] for row in rows]
    picture = axes.imshow(shown, vmin=0, vmax=100, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(rows[0])), [*(str(s) for s in found.severities), "mean"])
    axes.set_yticks(range(len(rows)), found.corruptions)
    axes.set_xlabel("severity")
    axes.set_title(found.title, fontsize=9)
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            if value is not None:
                ink = "white" if value < _DARK else "black"
                axes.text(j, i, f"{value:.0f}", ha="center", va="center", color=ink, fontsize=7)
    figure.colorbar(picture, ax=axes, label="accuracy, %")
    return figure


def _matplotlib(part: str) -> ModuleType:
    try:
        return importlib.import_module(f"matplotlib.{part}")
    except ImportError as error:
        raise InputError("a heat map needs matplotlib: pip install matplotlib.") from error
