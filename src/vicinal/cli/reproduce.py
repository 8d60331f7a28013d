"""`vicinal reproduce`: every row of a paper's table, trained and attacked, both numbers printed."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vicinal.cli import dry_run
from vicinal.cli.dry_run import add_dry_run
from vicinal.cli.fetching import add_data
from vicinal.cli.options import add_common, check_common

if TYPE_CHECKING:
    from rich.console import Console

    from vicinal.campaigns import TableResult

__all__ = ["add_parser"]

_EPILOG = """examples:
  vicinal reproduce alps/demo --scale smoke --jobs 2
      five methods on bundled digits, trained and attacked in about a minute; needs no data
  vicinal reproduce alps/table-2 --scale small --data-dir DIR --seeds 3 --jobs 4 --out results/alps
      a narrow net on 10,000 images of CIFAR-10: some hours on a CPU
  vicinal reproduce alps/table-6 --scale small --data-dir DIR --seeds 3 --jobs 4 --out results/alps
      the same nets, attacked: what the first command trained is not trained again
  vicinal reproduce alps/table-2 --data-dir DIR --device cuda --only alps,erm
      the paper's own setting, two of its rows
  vicinal reproduce alps/table-2 --scale small --data-dir DIR --jobs 4 --dry-run
      what is left to do, and how long it would take

Ctrl-C, or a power cut, loses nothing but the epoch in progress: the same command goes on where it
stopped. Tables with the same --out share their trained nets. A row whose data set is not in
--data-dir says "no data", and the others run; --download fetches what torchvision can fetch.
`vicinal list tables` names all tables.

OUT then holds
  <dataset>-<model>-<scale>/<method>-seed<k>/   a run folder per net, with its results.jsonl
  <table>-<scale>.jsonl                         one record per number
  <table>-<scale>.md, <table>-<scale>.html      the table, to read, all its rows
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand.

    Args:
        subparsers: Where to add it.
    """
    parser = subparsers.add_parser(
        "reproduce",
        help="train and attack every row of a paper's table, and print both numbers",
        description="Run every row of a paper's table over several seeds; print the paper's "
        "number, ours (mean±sample standard deviation) and the difference.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("table", metavar="TABLE", help="its name, such as alps/table-2")
    parser.add_argument(
        "--scale",
        choices=("smoke", "small", "medium", "full"),
        default="full",
        help="smoke: digits, seconds a net; small: minutes; medium: the paper's net, 30 epochs; "
        "full: the paper's setting (default: full)",
    )
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="seeds per row, from --seed (default: 3)"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="nets trained or attacked side by side, each in a process with --threads threads "
        "(default: 1)",
    )
    add_data(parser)
    parser.add_argument(
        "--out", metavar="DIR", default="runs", help="for run folders and results (default: runs)"
    )
    _add_choice(parser)
    add_dry_run(parser)
    add_common(parser, threads="1 a job")
    parser.set_defaults(run=run)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose rows and columns."""
    parser.add_argument(
        "--controls", action="store_true", help="add rows: ALPS's mixing alone, its label alone"
    )
    parser.add_argument(
        "--only", metavar="KEYS", default="", help="run and print these rows only, such as alps,erm"
    )
    parser.add_argument(
        "--models",
        metavar="NAMES",
        default="",
        help="run and print these nets only, such as preactresnet18",
    )
    parser.add_argument(
        "--n",
        type=int,
        metavar="N",
        help="attack and corrupt the first N test images (default: as many as the scale says)",
    )


def _overrides(args: argparse.Namespace) -> dict[str, int]:
    """Give the fields of every recipe that the options change, by dotted name."""
    if args.n is None:
        return {}
    from vicinal._checks import count

    count("n", args.n)
    return {"evaluation.attack_subset": args.n}


def run(args: argparse.Namespace) -> int:
    """Run a campaign.

    Args:
        args: The parsed arguments.

    Returns:
        0, or 1 if a cell failed.

    Raises:
        KeyboardInterrupt: After Ctrl-C; its text says how to go on.
    """
    check_common(args)
    if args.dry_run:
        return dry_run.campaign(args, overrides=_overrides(args))
    from rich.console import Console

    told = Console(stderr=True)
    try:
        result = _campaign(args, told)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on where it stopped") from None
    pages = _write_pages(result)
    if args.json:
        from vicinal.records import line

        for record in result.records:
            print(line(record))
    else:
        _print(result, pages, asked=_asked(result, args))
    for task, why in result.failures.items():
        told.print(f"failed: {task}: {why}", markup=False, highlight=False, soft_wrap=True)
    return 1 if result.failures else 0


def _campaign(args: argparse.Namespace, told: Console) -> TableResult:
    from vicinal.campaigns import Display, Lines, reproduce

    display = Display(told) if told.is_terminal else None
    with display or nullcontext():
        return reproduce(
            args.table,
            scale=args.scale,
            seeds=args.seeds,
            first_seed=args.seed or 0,
            jobs=args.jobs,
            threads=args.threads or 1,
            data_dir=args.data_dir,
            out=args.out,
            controls=args.controls,
            only=_named(args.only),
            models=_named(args.models),
            overrides=_overrides(args),
            device=args.device,
            download=args.download,
            progress=display or Lines(told),
            command=shlex.join(["vicinal", *sys.argv[1:]]),
        )


def _named(words: str) -> list[str]:
    return [word for word in words.split(",") if word]


def _write_pages(result: TableResult) -> list[Path]:
    from vicinal import records, report

    texts = {".md": report.markdown(result.records), ".html": report.page(result.records)}
    for ending, text in texts.items():
        records.write_text(result.path.with_suffix(ending), text)
    return [result.path.with_suffix(ending) for ending in texts]


_ANY = 10_000
"""A width that no table has."""


def _asked(result: TableResult, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Choose the records of the rows and nets that the options name; the files keep all."""
    keys, nets = _named(args.only), _named(args.models)
    return [
        record
        for record in result.records
        if (not keys or record.get("key") in keys)
        and (not nets or str(record.get("model")).lower() in nets)
    ]


def _print(result: TableResult, pages: list[Path], *, asked: Sequence[dict[str, Any]]) -> None:
    from rich.console import Console

    from vicinal.report import rich_tables
    from vicinal.report.tables import notes, title

    console, tables = Console(), rich_tables(asked)
    usual = console.width if console.is_terminal else 120
    # Narrower, numbers would go: a table that is too wide for the terminal is folded by it.
    needed = (Console(width=_ANY).measure(table).maximum for table in tables)
    console = Console(width=max([usual, *needed]))
    console.print(title(result.records), style="bold", highlight=False)
    for table in tables:
        console.print()
        console.print(table)
    console.print()
    for note in notes(result.records):
        console.print(f"- {note}", markup=False, highlight=False, soft_wrap=True)
    console.print()
    for word, places in (
        ("run folders", result.folders),
        ("records", [result.path]),
        ("table", pages[:1]),
        ("page", pages[1:]),
    ):
        for place in places:
            console.print(f"{word}: {place}", markup=False, highlight=False, soft_wrap=True)
