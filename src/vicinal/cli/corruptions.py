"""`vicinal evaluate --corruptions`: what it asks for, what it judges, and what it prints."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vicinal._errors import InputError

if TYPE_CHECKING:
    from vicinal.recipes.corrupted import Ask
    from vicinal.recipes.job import Job
    from vicinal.records import Record

__all__ = ["Look", "add_corruptions", "ask_of", "tell"]

PICTURE = "corruptions.png"
"""The heat map beside the records."""


def add_corruptions(parser: argparse.ArgumentParser) -> None:
    """Add the options.

    Args:
        parser: The subcommand's parser.
    """
    group = parser.add_argument_group("under corruptions")
    group.add_argument(
        "--corruptions",
        metavar="NAMES",
        help="all (19), common (the 15 of ImageNet-C), extra (4), names with commas between, or a "
        "published set such as cifar10-c; on the first N images with --n, else on all",
    )
    group.add_argument("--severities", metavar="LIST", help="such as 3 or 1,3,5 (default: 1-5)")
    group.add_argument(
        "--baseline",
        metavar="RUN",
        help="mCE beside a run judged under corruptions before, or alexnet",
    )
    group.add_argument("--frost", metavar="DIR", help="folder of the original frost textures")


def ask_of(args: argparse.Namespace) -> Ask | None:
    """Read the options, and find every mistake in them before anything is judged.

    Args:
        args: The parsed arguments.

    Returns:
        What is asked for; None without --corruptions.

    Raises:
        InputError: If an option goes without --corruptions, or names what there is not.
    """
    from vicinal import data
    from vicinal.recipes.corrupted import Ask, baseline_of
    from vicinal.recipes.corruption_words import read_corruptions, read_severities

    if args.corruptions is None:
        for option in ("severities", "baseline", "frost"):
            if getattr(args, option) is not None:
                raise InputError(f"--{option} goes with --corruptions, such as --corruptions all.")
        return None
    frost = None if args.frost is None else Path(args.frost)
    severities = args.severities or "1-5"
    read_severities(severities)
    if args.corruptions not in data.CORRUPTED:
        read_corruptions(args.corruptions, frost=frost)
    if args.baseline is not None:
        baseline_of(args.baseline)
    return Ask(
        corruptions=args.corruptions,
        severities=severities,
        n=args.n,
        baseline=args.baseline,
        frost=frost,
        seed=args.seed or 0,
    )


@dataclass(frozen=True, kw_only=True)
class Look:
    """The corruptions as what a job looks at last, so that its records are written with theirs.

    Args:
        ask: What is asked for.
        run: The run folder; None for a model of one's own.
        data_dir: Where the data sets lie.
        progress: Whether to show progress bars on stderr.
    """

    ask: Ask
    run: str | None
    data_dir: str | None
    progress: bool = field(repr=False)

    def judge(self, job: Job) -> list[Record]:
        """Judge under corruptions, a run or a model of one's own.

        Args:
            job: The job that the attacks were.

        Returns:
            The records, which stand in no file yet.
        """
        from vicinal import engine

        facts = {name: value for name, value in job.facts.items() if name not in _OF_ATTACKS}
        own = replace(job, facts=facts)
        if self.run is not None and engine.processes().several:
            return self._together(own, self.run)
        return self._alone(own)

    def _alone(self, job: Job) -> list[Record]:
        from vicinal.evaluation.ledger import made
        from vicinal.recipes.corrupted import corrupt_job
        from vicinal.recipes.folder import data_folder

        where = self.data_dir if self.run is None else data_folder(Path(self.run), self.data_dir)
        # It writes what it finds: into the ledger, which goes when the job is done.
        folder = made((job.kept or job.folder) / "corruptions")
        own = replace(job, folder=folder)
        return corrupt_job(own, self.ask, data_dir=where, progress=self.progress)

    def _together(self, job: Job, run: str) -> list[Record]:
        from vicinal import data, recipes
        from vicinal.recipes.corrupted import judged
        from vicinal.recipes.folder import data_folder

        found = judged(
            job.model,
            recipes.read(Path(run) / "recipe.yaml"),
            self.ask,
            data_dir=data_folder(Path(run), self.data_dir),
            progress=self.progress,
            kept=job.kept,
        )
        source = self.ask.corruptions if self.ask.corruptions in data.CORRUPTED else None
        return [{**record, **job.facts, "files": source} for record in found.records]


_OF_ATTACKS = ("objective", "batch_size", "arithmetic")
"""Facts that records of corruptions have never had."""


def tell(found: Sequence[Record], folder: Path) -> None:
    """Print the table, and draw the heat map where it can be drawn.

    Args:
        found: The records.
        folder: Where the picture goes.
    """
    from rich.console import Console

    from vicinal import report

    table, notes = report.corruptions(found)
    console = Console()
    console.print(report.rich_table(table))
    for note in [*notes, *_sure(found), _drawn(found, folder / PICTURE)]:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def _sure(found: Sequence[Record]) -> list[str]:
    """Say how well calibrated the model is, where the records do."""
    last = next((one for one in found if one["kind"] == "corruptions"), {})
    told = {"mean": last.get("ece"), "clean": last.get("clean_ece")}
    # A record that was read back has null in place of NaN.
    words = [f"{k} {100 * v:.2f} %" for k, v in told.items() if v is not None and v == v]
    return [f"calibration error (ECE): {', '.join(words)}"] if words else []


def _drawn(found: Sequence[Record], path: Path) -> str:
    from vicinal import report

    try:
        report.write_heat_map(path, report.heat_map(found))
    except InputError as error:
        return f"no picture: {error}"
    return f"heat map: {path}"
