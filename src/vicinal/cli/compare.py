"""`vicinal compare`: evaluations side by side, and which differences are more than chance."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from vicinal._errors import InputError
from vicinal.cli.options import add_common, check_common

if TYPE_CHECKING:
    from vicinal.records import Record

__all__ = ["add_parser"]

_EPILOG = """examples:
  vicinal compare RUN OTHER_RUN
  vicinal compare RUN OTHER_RUN THIRD_RUN --json

Each is a folder with a results.jsonl, or such a file, of `vicinal evaluate`; of several records of
one attack the last counts. The others are held against the first. Only like is compared: the same
images, attacked with the same parameters; what is unlike is marked, other data is refused. The test
is McNemar's on the same images; records without a verdict for every image take Fisher's.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand.

    Args:
        subparsers: Where to add it.
    """
    parser = subparsers.add_parser(
        "compare",
        help="hold several evaluations against each other, with significance",
        description="Print the accuracies of several models side by side, and which differences "
        "are more than chance.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="what `vicinal evaluate` judged")
    add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare.

    Args:
        args: The parsed arguments.

    Returns:
        0.

    Raises:
        InputError: If fewer than two are given, or they cannot be compared.
    """
    check_common(args)
    from vicinal.evaluation.comparing import compared
    from vicinal.records import line

    if len(set(args.runs)) < 2:
        raise InputError("`vicinal compare` must have at least two different runs; give another.")
    found = compared({name: _read(Path(path)) for path, name in _named(args.runs).items()}).record
    if args.json:
        print(line(found))
    else:
        _print(found)
    return 0


def _named(paths: list[str]) -> dict[str, str]:
    """Name each by its folder, or as it was typed where two folders have one name."""
    short = [
        Path(path).parent.name if path.endswith(".jsonl") else Path(path).name for path in paths
    ]
    alike = len(set(short)) < len(set(paths)) or "" in short
    return dict(zip(paths, paths if alike else short, strict=True))


def _read(path: Path) -> list[Record]:
    from vicinal import records

    file = path / "results.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{path} holds no results.jsonl: `vicinal evaluate` writes it.")
    return records.read(file, keep=lambda record: record.get("kind") == "evaluation")


def _print(found: Record) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from vicinal import report

    section, notes = report.comparison(found)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    first, *others = section.header
    table.add_column(first, overflow="fold")
    for word in others:
        table.add_column(escape(word), justify="right", no_wrap=True)
    for row in section.rows:
        table.add_row(*map(escape, row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    console.print(f"{section.title}:", markup=False, highlight=False)
    console.print(table)
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
