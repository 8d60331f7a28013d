"""Which tables can be run, and a table as cells: one cell is one number, with its exact attack.

A paper's numbers come from `recipes.paper_tables`, budgets included. ALPS's tables 5 and 6 get
every attack twice: in pixel space, as the paper says, and in normalised space (per channel
std x eps), as its numbers suggest; the two are columns of their own. `alps/demo` is a table of
ours, without a paper's numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from vicinal._checks import InputError, suggest
from vicinal.campaigns.cell import FIELDS, Cell
from vicinal.campaigns.own_tables import TABLES, at_scale, own_cells
from vicinal.campaigns.threats import Threat
from vicinal.recipes import files, numerals, paper_tables
from vicinal.recipes.paper_tables import PaperRow
from vicinal.recipes.schema import Evaluation, Recipe

__all__ = ["CONTROLS", "FIELDS", "Cell", "cells_of", "known", "names", "recipe_name"]

CONTROLS = {"alps-eps0": "ALPS, mixing alone", "alps-label": "ALPS, label alone"}
"""What the adversarial label is compared with: ALPS with eps 0, and its label move on x itself."""

_SUBJECTS = {
    "1": "clean error on SVHN",
    "2": "clean error on CIFAR-10",
    "3": "clean error on CIFAR-100",
    "4": "clean top-1 and top-5 error on Tiny-ImageNet",
    "5": "error under FGSM, white-box and black-box",
    "6": "error under PGD-10, white-box and black-box",
    "5.3": "accuracy under unbounded PGD-200, a check for gradient masking",
}
_DECIMALS = {"ALPS": (2, 3)}
"""Digits after the point in a paper's tables: of a value, of its spread."""


def names() -> dict[str, str]:
    """List the tables that can be run.

    Returns:
        Each name and what its numbers are.
    """
    numbers = paper_tables.tables()["ALPS"]
    papers = {_name(number): _SUBJECTS.get(number, "") for number in numbers}
    return {
        **TABLES,
        **papers,
    }


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
        scale: At "smoke", digits stand in for every data set and attacks take the recipe's budget.
        controls: Whether to add the rows of `CONTROLS`.
        overrides: Fields of the recipes; those of `evaluation` change budgets that a recipe gives.

    Returns:
        The cells, in the order of the paper.

    Example:
        >>> cell = cells_of("alps/table-2", scale="full")[0]
        >>> cell.dataset, cell.method, cell.paper, cell.recipe
        ('CIFAR-10', 'ERM', 6.13, 'alps/cifar10-preactresnet18')
    """
    if known(table) in TABLES:
        found = own_cells(table, scale=scale, overrides=overrides or {})
    else:
        stand_in = _stand_in(scale, overrides or {})
        rows = _completed(paper_tables.rows("ALPS", table.rpartition("-")[2]))
        smoke = stand_in if scale == "smoke" else None
        found = [cell for row in rows for cell in _from_row(table, row, smoke)]
    return [*found, *_controls(found)] if controls else found


def _completed(rows: list[PaperRow]) -> list[PaperRow]:
    """Write out section 5.3, whose text gives one number and says that the other seven are 0."""
    if rows[0].table != "5.3":
        return rows
    given = {(row.dataset, row.key): row for row in rows}
    return [
        given.get(
            (dataset, key), replace(rows[0], dataset=dataset, key=key, method=name, value=0.0)
        )
        for dataset in ("SVHN", "CIFAR-10", "CIFAR-100", "Tiny-ImageNet")
        for key, name in (("mixup", "MixUp"), ("alps", "ALPS"))
    ]


def _from_row(table: str, row: PaperRow, smoke: Recipe | None) -> list[Cell]:
    recipe = recipe_name(row.paper, row.dataset, row.model)
    threat = _threat(row) if row.attack else None
    condition = row.condition
    if smoke is not None and recipe is not None:
        recipe = smoke.name
        threat = _at_budget(threat, smoke.evaluation)
        condition = _retold(condition, threat)
    decimals, decimals_std = _DECIMALS[row.paper]
    cell = Cell(
        table=table,
        dataset=row.dataset,
        model=row.model,
        method=row.method,
        key=row.key,
        condition=condition,
        metric=row.metric,
        threat=threat,
        paper=row.value,
        paper_std=row.std,
        decimals=decimals,
        decimals_std=decimals_std,
        recipe=recipe,
    )
    if threat is None or math.isinf(threat.eps) or smoke is not None:
        return [cell]
    return [cell, replace(cell, threat=replace(threat, space="normalised"))]


def _threat(row: PaperRow) -> Threat:
    eps = float(numerals.read_number(row.eps))
    step = eps if row.step == "eps" else float(numerals.read_number(row.step))
    return Threat(
        name=row.attack,
        eps=eps,
        step_size=step,
        steps=row.steps or 1,
        random_start=row.random_start,
        black_box=bool(row.source),
    )


def _at_budget(threat: Threat | None, taken: Evaluation) -> Threat | None:
    if threat is None or math.isinf(threat.eps):
        return threat
    return replace(threat, eps=taken.eps, step_size=taken.step_size)


def _retold(condition: str, threat: Threat | None) -> str:
    """Put the budget that is really used in the place of the one that the paper prints."""
    if threat is None or math.isinf(threat.eps):
        return condition
    for word, value in (("eps", threat.eps), ("step", threat.step_size)):
        condition = re.sub(
            rf"\b{word}=[\d./]+", f"{word}={numerals.write_number(value)}", condition
        )
    return condition


def recipe_name(paper: str, dataset: str, model: str) -> str | None:
    """Find the recipe of a data set and a model as a paper prints them.

    Args:
        paper: The paper's name.
        dataset: Such as "CIFAR-10".
        model: Such as "PreActResNet18".

    Returns:
        Such as "alps/cifar10-preactresnet18"; None where there is no such recipe.
    """
    wanted = _plain(dataset + model)
    found = (name for name in _recipes(paper) if _plain(name.partition("/")[2]) == wanted)
    return next(found, None)


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _recipes(paper: str) -> list[str]:
    return [name for name in files.names() if name.startswith(f"{paper.lower()}/")]


def _stand_in(scale: str, overrides: Mapping[str, Any]) -> Recipe:
    """Resolve the one recipe that stands for all of ALPS's at scale smoke: cells are shared."""
    return at_scale(_recipes("ALPS")[0], scale, overrides)


def _controls(found: Iterable[Cell]) -> list[Cell]:
    """Repeat every column of ALPS's row for each control, without a paper's number."""
    return [
        replace(cell, key=key, method=name, paper=None, paper_std=None)
        for key, name in CONTROLS.items()
        for cell in found
        if cell.key == "alps"
    ]
