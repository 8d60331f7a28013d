"""`vicinal evaluate --dry-run` of a suite, a verdict, curves, corruptions, or a foreign model.

Passes are those of images that nothing breaks, so both they and the minutes are upper bounds; the
minutes come from the model's own passes, timed for some seconds on its first batch.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vicinal._errors import InputError

if TYPE_CHECKING:
    from vicinal._typing import Attack, Passes
    from vicinal.evaluation.costs import Pace
    from vicinal.recipes.corrupted import Ask
    from vicinal.recipes.extras import Extras
    from vicinal.recipes.job import Job
    from vicinal.records import Record

__all__ = ["judging"]


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One row: what is done, on how many images, and passes of each; None where unknown."""

    what: str
    n: int
    passes: Passes | None


def judging(args: argparse.Namespace, ask: Ask | None) -> int:
    """Tell what judging would cost.

    Args:
        args: The parsed arguments.
        ask: Which corruptions are asked for, if any.

    Returns:
        0.
    """
    from vicinal.cli.judged import job_of, pace_on
    from vicinal.records import line

    job, chosen, extras = job_of(args)
    found = [*_attacks(job), *_extras(extras, job), *_corruptions(ask, job)]
    pace = pace_on(job)
    rows = [_record(work, pace) for work in found]
    if args.json:
        for row in rows:
            print(line(row))
    else:
        _print(rows, "" if chosen is None else chosen.told())
    return 0


def _attacks(job: Job) -> Iterator[_Work]:
    from vicinal._typing import Passes

    yield _Work(what="clean", n=len(job.whole), passes=Passes(1, 0))
    for name, attack in job.attacks.items():
        yield _Work(what=name, n=len(job.few), passes=_passes(attack, job))


def _passes(attack: Attack, job: Job) -> Passes | None:
    from vicinal.evaluation import passes_of

    try:
        return passes_of(attack, num_classes=job.num_classes or 10)
    except InputError:
        return None


def _extras(extras: Extras | None, job: Job) -> Iterator[_Work]:
    costs = (
        {} if extras is None else extras.costs(n=len(job.few), num_classes=job.num_classes or 10)
    )
    for what, (n, passes) in costs.items():
        yield _Work(what=what, n=n, passes=passes)


def _corruptions(ask: Ask | None, job: Job) -> Iterator[_Work]:
    from vicinal import data
    from vicinal._typing import Passes
    from vicinal.recipes.corruption_words import read_corruptions, read_severities

    if ask is None:
        return
    whole = len(job.whole)
    n = whole if ask.n is None else min(ask.n, whole)
    severities = len(read_severities(ask.severities))
    if ask.corruptions in data.CORRUPTED:
        yield _Work(what=f"{ask.corruptions}, per corruption", n=n, passes=Passes(severities, 0))
        return
    count = len(read_corruptions(ask.corruptions))
    what = f"{count} corruptions of {severities} severities (making them apart)"
    yield _Work(what=what, n=n, passes=Passes(1 + count * severities, 0))


def _record(work: _Work, pace: Pace) -> Record:
    told = {"kind": "forecast", "what": work.what, "n": work.n}
    if work.passes is None:
        return {**told, "forward": None, "backward": None, "seconds": None}
    return {
        **told,
        "forward": work.n * work.passes.forward,
        "backward": work.n * work.passes.backward,
        "seconds": pace.seconds(work.passes, n=work.n),
    }


def _print(rows: Sequence[Record], left_out: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from vicinal.campaigns.progress import duration

    title = "dry run: at most, as if nothing were broken"
    table = Table(title=title, title_justify="left")
    table.add_column("what", overflow="fold")
    for column in ("images", "forward", "backward", "time"):
        table.add_column(column, justify="right")
    for row in rows:
        counts = [_count(row[key]) for key in ("n", "forward", "backward")]
        table.add_row(escape(row["what"]), *counts, duration(row["seconds"]))
    console = Console()
    console.print(table)
    known = [row["seconds"] for row in rows if row["seconds"] is not None]
    least = "" if len(known) == len(rows) else "more than "
    console.print(f"in all: {least}{duration(sum(known))}", highlight=False)
    if left_out:
        console.print(left_out, markup=False, highlight=False, soft_wrap=True)


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"
