"""What `vicinal evaluate` takes of a suite: what --only names, or what --budget has room for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vicinal._errors import InputError

if TYPE_CHECKING:
    from vicinal.evaluation.costs import Pace
    from vicinal.evaluation.suites import Suite
    from vicinal.recipes.job import Job
    from vicinal.records import Record

__all__ = ["check_chosen", "only", "within"]


def check_chosen(args: argparse.Namespace) -> None:
    """Check that --budget and --only have a suite to choose from.

    Args:
        args: The parsed arguments.

    Raises:
        InputError: If they have none, or both are given.
    """
    for option in ("budget", "only"):
        if args.suite is None and getattr(args, option) is not None:
            raise InputError(f"--{option} chooses from a suite: give --suite standard, say.")
    if args.budget is not None and args.only is not None:
        raise InputError("give either --budget, which chooses by time, or --only, by name.")


def only(suite: Suite, names: Sequence[str]) -> Suite:
    """Take attacks of a suite by name.

    Args:
        suite: The suite.
        names: Their names.

    Returns:
        The suite of these, in its own order; nothing counts as left out for want of time.

    Raises:
        InputError: If there is no such attack in it.
    """
    from vicinal._checks import choice

    for name in names:
        choice("only", name, suite.attacks)
    return replace(suite, entries=tuple(one for one in suite.entries if one.name in names))


def within(
    job: Job, suite: Suite, seconds: float, *, pace: Callable[[Job], Pace]
) -> tuple[Suite, Record]:
    """Take of a suite what fits a time, or what an interrupted call of this job had taken.

    Args:
        job: The job.
        suite: The suite.
        seconds: The time.
        pace: Times the passes of a job's model; not called where it has been chosen before.

    Returns:
        What is taken, and a record of it, as `Job.suite` has it.
    """
    from vicinal import engine
    from vicinal.evaluation.identity import keys_of
    from vicinal.evaluation.ledger import digest
    from vicinal.evaluation.preflight import device_of
    from vicinal.recipes.job import settled

    keys = keys_of(suite.attacks, device=device_of(job.model))
    asked = {"suite": suite.name, "seconds": seconds, "of": digest(keys)}
    before = settled(job) or {}
    if asked.items() <= before.items():
        names = before["chosen"]
    else:
        # Processes that time for themselves would choose each its own.
        names = engine.processes().led(
            lambda: list(suite.within(seconds, pace=pace(job), n=len(job.few)).attacks)
        )
    taken = only(suite, names)
    rest = tuple(one for one in suite.entries if one.name not in names)
    told = {"chosen": list(taken.attacks), "left_out": [one.name for one in rest]}
    return replace(taken, left_out=rest), {**asked, **told}
