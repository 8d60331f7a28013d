"""What `vicinal evaluate` prints: warnings, the table, classes, verdict, curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vicinal.evaluation.suites import Suite
    from vicinal.recipes.extras import Extras
    from vicinal.recipes.job import Report
    from vicinal.records import Record

__all__ = ["tell"]


def tell(
    report: Report, chosen: Suite | None, extras: Extras | None, *, per_class: bool = False
) -> None:
    """Print what an evaluation found.

    Args:
        report: What came out of the job.
        chosen: The suite, where there was one.
        extras: What else was looked at.
        per_class: Whether the accuracy of each class is shown.
    """
    from rich.console import Console

    from vicinal import report as layout

    found = [record for record in report.records if record["kind"] == "evaluation"]
    for finding in report.findings:
        if finding.state == "warn":
            _say(f"warning, {finding.check}: {finding.words}")
    guess = _guessing(found[0])
    if guess:
        _say(guess)
    _table(found)
    for sentence in (_worst(found), "" if chosen is None else chosen.told()):
        if sentence:
            _say(sentence)
    if per_class:
        Console().print(layout.rich_table(layout.per_class(found)))
    if extras is not None:
        _extras(extras)


def _guessing(clean: Record) -> str:
    """Say of a clean accuracy that guessing gives that the model may be untrained."""
    from vicinal.evaluation.preflight import guessing

    classes = len(clean.get("per_class", {}).get("n", ()))
    found = guessing(clean["correct"], clean["n"], num_classes=classes) if classes else None
    if found is None:
        return ""
    made = clean.get("weights", "") is None
    without = " Without --weights it was judged as the factory made it." if made else ""
    return f"warning, {found.check}: {found.words}{without}"


def _say(sentence: str) -> None:
    from rich.console import Console

    Console().print(sentence, markup=False, highlight=False, soft_wrap=True)


def _table(found: Sequence[Record]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from vicinal.evaluation.scores import told

    first = found[0]
    title = escape(_title(first))
    table = Table(
        title=title,
        title_justify="left",
        caption=told(first),
        caption_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("attack", overflow="fold")
    for column in ("error\n%", "accuracy\n%", "interval\n95 %", "R", "images", "passes", "seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    for record in found:
        table.add_row(escape(record["attack"]), *_cells(record))
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 100))
    console.print(table)


def _title(first: Record) -> str:
    where = f"{first['model']} on {first['dataset']}"
    if "recipe" not in first:
        return where
    return (
        f"{first['recipe']} {first['method']}, {first['scale']}, seed {first['train_seed']}: "
        f"{where}"
    )


def _cells(record: Record) -> list[str]:
    from vicinal.evaluation.results import passes_each

    seconds = f"{record['seconds']:.1f}" if "forward" in record else ""
    shares = [f"{100 * record[field]:.2f}" for field in ("error", "accuracy")]
    low, high = (f"{100 * end:.1f}" for end in record["interval"])
    score = record["robustness_score"]
    kept = "-" if score is None or math.isnan(score) else f"{score:.3f}"
    return [*shares, f"{low}-{high}", kept, str(record["n"]), passes_each(record), seconds]


def _worst(found: Sequence[Record]) -> str:
    """Say of the worst case which attacks make it up, and which of them broke how many images."""
    from vicinal.evaluation.results import WORST

    record = next((one for one in found if one["attack"] == WORST), None)
    if record is None:
        return ""
    told = [f"worst case: {record['threat_model']}"]
    broken = ", ".join(f"{name} {count}" for name, count in record["broken_by"].items())
    if broken:
        told.append(f"broken first by: {broken}")
    if record.get("smaller"):
        told.append(f"of a smaller radius, counted too: {', '.join(record['smaller'])}")
    if record["left_out"]:
        others = ", ".join(f"{name} ({why})" for name, why in record["left_out"].items())
        told.append(f"not in it: {others}")
    return "\n".join(told)


def _extras(extras: Extras) -> None:
    found = extras.found
    for curve in found.curves:
        print(curve)
    for one in found.gradients.values():
        spread = one.spread()
        _say(
            f"squared input gradient of {one.loss} ({one.record['scale']}): least "
            f"{spread.min:.3g}, median {spread.median:.3g}, mean {spread.mean:.3g}, largest "
            f"{spread.max:.3g}; exactly zero for {100 * one.zero_share:.1f} %"
        )
    if found.verdict is not None:
        _say(found.verdict.paragraph())
