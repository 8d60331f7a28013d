"""`vicinal list`: what there is, by the names that recipes and commands take."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from vicinal.cli.options import add_common, check_common

__all__ = ["add_parser"]

_EPILOG = """examples:
  vicinal list                 everything
  vicinal list methods         input move, label move, passes of one training step, paper
  vicinal list pairs           input move x label move: what Vicinal can say, and what is published
  vicinal list recipes --json
  vicinal list corruptions     the sets that hold each, and the constants of its five severities
  vicinal list suites          the attacks of each suite in their order, threat models, passes
  vicinal list failures        claims of robustness that stronger attacks took away
"""

_ROOMS = (
    *("methods", "pairs", "attacks", "suites", "corruptions", "models", "datasets"),
    *("recipes", "tables", "failures"),
)

Row = dict[str, str]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand.

    Args:
        subparsers: Where to add it.
    """
    parser = subparsers.add_parser(
        "list",
        help="show methods, pairs of moves, attacks, suites, corruptions, models, data sets, "
        "recipes, tables, failures",
        description="Show what there is, by the names that the other subcommands take.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "room",
        nargs="?",
        choices=_ROOMS,
        metavar="WHAT",
        help=f"{', '.join(_ROOMS)} (default: all)",
    )
    add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the tables.

    Args:
        args: The parsed arguments.

    Returns:
        0.
    """
    check_common(args)
    for room in (args.room,) if args.room else _ROOMS:
        rows = _rooms()[room]()
        if args.json:
            for row in rows:
                print(json.dumps({"room": room, **row}))
        else:
            _print(room, rows)
    return 0


def _rooms() -> dict[str, Callable[[], list[Row]]]:
    from vicinal.recipes import inventory
    from vicinal.recipes.judging import corruptions, suites
    from vicinal.recipes.pairs import pairs

    return {
        "methods": inventory.methods,
        "pairs": pairs,
        "attacks": inventory.attacks,
        "suites": suites,
        "corruptions": corruptions,
        "models": inventory.models,
        "datasets": inventory.datasets,
        "recipes": inventory.recipes,
        "tables": _tables,
        "failures": inventory.failures,
    }


def _tables() -> list[Row]:
    from vicinal.campaigns import tables

    return [{"table": name, "what": what} for name, what in tables.names().items()]


def _print(title: str, rows: list[Row]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(value) for value in row.values()))
    Console().print(table)
