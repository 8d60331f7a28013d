"""Which tables can be run, and a table as cells: one cell is one number, with its exact attack.

alps_tables     the primary paper's, each attack in two spaces
paper_tables    those of BAT, AVmixup and M-TLAT
own_tables      ours, without a paper's numbers
family_tables   ours too: every method in one set-up
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vicinal._checks import InputError, suggest
from vicinal.campaigns import alps_tables, family_tables, paper_tables
from vicinal.campaigns.alps_tables import CONTROLS, alps_cells, controls_of
from vicinal.campaigns.cell import FIELDS, Cell
from vicinal.campaigns.family_tables import family_cells
from vicinal.campaigns.own_tables import TABLES, own_cells
from vicinal.campaigns.paper_tables import paper_cells

__all__ = ["CONTROLS", "FIELDS", "Cell", "cells_of", "known", "names"]


def names() -> dict[str, str]:
    """List the tables that can be run.

    Returns:
        Each name and what its numbers are.
    """
    alps = {_name(number): what for number, what in alps_tables.SUBJECTS.items()}
    return {**TABLES, **family_tables.SUBJECTS, **alps, **paper_tables.SUBJECTS}


def _name(number: str) -> str:
    return f"alps/{'section' if '.' in number else 'table'}-{number}"


def known(table: str) -> str:
    """Check that a table can be run.

    Args:
        table: Its name.

    Returns:
        The name.

    Raises:
        InputError: If there is no such table.
    """
    if table not in names():
        raise InputError(f"there is no table {table!r}.{suggest(table, names())}")
    return table


def cells_of(
    table: str,
    *,
    scale: str,
    controls: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> list[Cell]:
    """Turn a table into its cells.

    Args:
        table: One of `names()`.
        scale: At "smoke", digits stand in for every data set and attacks are stronger to match.
        controls: Whether to add the rows of `CONTROLS`.
        overrides: Fields of the recipes; those of `evaluation` change budgets that a recipe gives.

    Returns:
        The cells, in the order of the paper.

    Example:
        >>> cell = cells_of("alps/table-2", scale="full")[0]
        >>> cell.dataset, cell.method, cell.paper, cell.recipe
        ('CIFAR-10', 'ERM', 6.13, 'alps/cifar10-preactresnet18')
    """
    make = alps_cells
    if known(table) in TABLES:
        make = own_cells
    elif table in family_tables.SUBJECTS:
        make = family_cells
    elif table in paper_tables.SUBJECTS:
        make = paper_cells
    found = make(table, scale=scale, overrides=overrides or {})
    return [*found, *controls_of(found)] if controls else found
