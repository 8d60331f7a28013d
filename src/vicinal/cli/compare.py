"""`vicinal compare`: evaluations side by side, and which differences are more than chance."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from vicinal._errors import InputError
from vicinal.cli.options import add_common, check_common

if TYPE_CHECKING:
    from rich.table import Table

    from vicinal.records import Record
    from vicinal.report import Section

__all__ = ["add_parser"]

_EPILOG = """examples:
  vicinal compare RUN OTHER_RUN
  vicinal compare RUN OTHER_RUN THIRD_RUN --json
  vicinal compare RUN OTHER_RUN --out results/comparison.md

Each is a folder with a results.jsonl, or such a file, of `vicinal evaluate`; of several records of
one attack the last counts. The others are held against the first. Only like is compared: the same
images, attacked with the same parameters; what is unlike is marked, other data is refused. The test
is McNemar's on the same images; records without a verdict for every image, or that do not say which
images they are, take Fisher's. A worst case is like another if every attack in it is. Below stand
masking verdicts and accuracies under corruptions, where there are any; they are not tested.
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
    parser.add_argument(
        "--out", metavar="FILE.md", help="also write the tables there, and how they came about"
    )
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
    from vicinal import report
    from vicinal.evaluation.comparing import compared
    from vicinal.records import line, write_text

    if len(set(args.runs)) < 2:
        raise InputError("`vicinal compare` must have at least two different runs; give another.")
    out = _out(args.out)
    read = {name: _read(Path(path)) for path, name in _named(args.runs).items()}
    attacked = {name: _attacked(records) for name, records in read.items()}
    found = {**compared(attacked).record, **report.beside(read)}
    if out is not None:
        command = shlex.join(["vicinal", *args.words])
        write_text(out, report.comparison_markdown(found, read, command=command))
    if args.json:
        print(line(found))
    else:
        _print(found)
        if out is not None:
            print(f"written: {out}")
    return 0


def _out(text: str | None) -> Path | None:
    """Check where the document goes, before anything is read."""
    if text is None:
        return None
    path = Path(text)
    if path.suffix != ".md":
        raise InputError(f"`--out` must be a Markdown file, .md; got {path.name!r}.")
    if not path.parent.is_dir():
        raise InputError(f"`--out` must lie in a folder that exists; {path.parent} does not.")
    return path


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
    return records.read(file)


def _attacked(found: list[Record]) -> list[Record]:
    """Keep what can be tested: a campaign's corruptions are means over severities, no counts."""
    return [one for one in found if one.get("kind") == "evaluation" and "correct" in one]


def _print(found: Record) -> None:
    from rich.console import Console

    from vicinal import report

    sections, notes = report.comparison_tables(found)
    console = Console()
    usual = console.width if console.is_terminal else 120
    # Narrower, whole columns would go: the names of the rows first.
    console = Console(width=max(usual, *map(_needed, sections)))
    for section in sections:
        console.print(f"{section.title}:", markup=False, highlight=False)
        console.print(_table(section))
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


_SHORT = 24
"""Up to this many characters a cell is a number with its interval, which must not be broken."""


def _needed(section: Section) -> int:
    """Tell how wide a table must be for every short cell to stand in one line."""
    columns = zip(section.header, *section.rows, strict=True)
    return sum(3 + max(min(len(word), _SHORT) for word in cells) for cells in columns)


def _is_short(section: Section, place: int) -> bool:
    return all(len(row[place]) <= _SHORT for row in section.rows)


def _table(section: Section) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    first, *others = section.header
    table.add_column(first, overflow="fold")
    for place, word in enumerate(others, start=1):
        short = _is_short(section, place)
        table.add_column(escape(word), justify="right", no_wrap=short)
    for row in section.rows:
        table.add_row(*map(escape, row))
    return table
