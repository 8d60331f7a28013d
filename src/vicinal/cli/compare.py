"""`vicinal compare`: evaluations side by side, and which differences are more than chance."""

from __future__ import annotations

import argparse
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vicinal._errors import InputError
from vicinal.cli.options import add_common, check_common

if TYPE_CHECKING:
    from rich.table import Table

    from vicinal.records import Record
    from vicinal.report import Section

__all__ = ["add_parser"]

_FILE = "results.jsonl"

_EPILOG = """examples:
  vicinal compare RUN OTHER_RUN
  vicinal compare RUN OTHER_RUN THIRD_RUN --json
  vicinal compare RUN OTHER_RUN --out results/comparison.md
  vicinal compare runs/family/erm runs/family/* --out family.md

Each is a folder with a results.jsonl, or such a file, of `vicinal evaluate`; of several records of
one attack the last counts. The others are held against the first; a run that is named twice counts
once. Of more than 8 models each is a row of every table. Only like is compared: the same
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

    paths = _different(args.runs)
    if len(paths) < 2:
        raise InputError("`vicinal compare` must have at least two different runs; give another.")
    out = _out(args.out)
    read = {name: _read(Path(path)) for path, name in _named(paths).items()}
    attacked = {name: _attacked(records) for name, records in read.items()}
    found = {**compared(attacked).record, **report.beside(read)}
    if out is not None:
        command = shlex.join(["vicinal", *args.words])
        write_text(out, _from_here(report.comparison_markdown(found, read, command=command)))
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


def _from_here(text: str) -> str:
    """Write paths below this folder as they are typed here: its own place is nobody's business."""
    here = Path.cwd()
    if here == here.parent:
        return text
    return re.sub(rf"(?<![\w.~/\\-]){re.escape(str(here))}[/\\]", "", text)


def _different(paths: list[str]) -> list[str]:
    """Leave out what is the same file by another path."""
    files = {path: _file(Path(path)).resolve() for path in paths}
    first = {files[path]: path for path in reversed(paths)}
    return [path for path in files if first[files[path]] == path]


def _file(path: Path) -> Path:
    return path / _FILE if path.is_dir() else path


def _named(paths: list[str]) -> dict[str, str]:
    """Name each by its folder, or as it was typed where two folders have one name."""
    short = [
        Path(path).parent.name if path.endswith(".jsonl") else Path(path).name for path in paths
    ]
    alike = len(set(short)) < len(set(paths)) or "" in short
    return dict(zip(paths, paths if alike else short, strict=True))


def _read(path: Path) -> list[Record]:
    from vicinal import records

    file = _file(path)
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
    usual = console.width if console.is_terminal else _USUAL
    many = len(found["names"]) > report.MANY
    wide = (section for section in sections if section.header[0] != "model")
    turned = many or (console.is_terminal and any(_needed(section) > usual for section in wide))
    if turned:
        sections, notes = report.many_tables(found, each_corruption=not many)
        sections = [piece for section in sections for piece in _pieces(section, usual)]
    if many and any(one["by_name"] for one in found["corruptions"].values()):
        notes.append("Each corruption by itself: --out or --json.")
    # Narrower, whole columns would go: the names of the rows first.
    needed = (_needed(section, turned=turned) for section in sections)
    console = Console(width=max(usual, *needed))
    for section in sections:
        console.print(f"{section.title}:", markup=False, highlight=False)
        console.print(_table(section, turned=turned))
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


_SHORT = 24
"""Up to this many characters a cell is a number with its interval, which must not be broken."""


_USUAL = 120
"""How wide a table may be where nobody's window says it."""


def _needed(section: Section, *, turned: bool = False) -> int:
    """Tell how wide a table must be for every short cell to stand in one line."""
    return sum(3 + _width(section, place, turned=turned) for place in range(len(section.header)))


def _width(section: Section, place: int, *, turned: bool) -> int:
    """Tell how wide a column must be; a header of many models, which names no model, may break."""
    header = section.header[place]
    words = [*(header.split() if turned else [header]), *(row[place] for row in section.rows)]
    return max(min(len(word), _SHORT) for word in words)


def _pieces(section: Section, width: int) -> list[Section]:
    """Cut a table that is too wide into some below each other, each with the names of its rows."""
    widths = [3 + _width(section, place, turned=True) for place in range(len(section.header))]
    pieces: list[list[int]] = [[0]]
    for place, word in enumerate(section.header[1:], start=1):
        pair = [place, place + 1] if section.header[place + 1 : place + 2] == ("p",) else [place]
        full = sum(widths[one] for one in {*pieces[-1], *pair}) > width
        if full and len(pieces[-1]) > 1 and word != "p":
            pieces.append([0])
        pieces[-1].append(place)
    return [_piece(section, places) for places in pieces]


def _piece(section: Section, places: list[int]) -> Section:
    header, *rows = (tuple(row[k] for k in places) for row in (section.header, *section.rows))
    return replace(section, header=header, rows=tuple(rows))


def _is_short(section: Section, place: int) -> bool:
    return all(len(row[place]) <= _SHORT for row in section.rows)


def _table(section: Section, *, turned: bool) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    first, *others = section.header
    table.add_column(first, overflow="fold")
    for place, word in enumerate(others, start=1):
        short = _is_short(section, place)
        # A longer header breaks; cut short, two of them may read alike.
        head = Text(word, no_wrap=False, overflow="fold")
        most = _width(section, place, turned=turned) if short else None
        table.add_column(head, justify="right", no_wrap=short, max_width=most)
    for row in section.rows:
        table.add_row(*map(escape, row))
    return table
