"""ALPS's tables as cells.

Tables 5 and 6 get every attack twice: in pixel space, as the paper says, and in normalised space
(per channel std x eps), as its numbers suggest; the two are columns of their own. At scale smoke
one recipe stands for all, so that tables share its nets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from vicinal.campaigns.cell import Cell
from vicinal.campaigns.own_tables import at_scale
from vicinal.campaigns.paper_tables import recipe_name, recipes_of, retold, row_cell
from vicinal.campaigns.threats import Threat
from vicinal.recipes import paper_tables
from vicinal.recipes.paper_tables import PaperRow
from vicinal.recipes.schema import Evaluation, Recipe

__all__ = ["CONTROLS", "SUBJECTS", "alps_cells", "controls_of"]

CONTROLS = {"alps-eps0": "ALPS, mixing alone", "alps-label": "ALPS, label alone"}
"""What the adversarial label is compared with: ALPS with eps 0, and its label move on x itself."""

SUBJECTS = {
    "1": "clean error on SVHN",
    "2": "clean error on CIFAR-10",
    "3": "clean error on CIFAR-100",
    "4": "clean top-1 and top-5 error on Tiny-ImageNet",
    "5": "error under FGSM, white-box and black-box",
    "6": "error under PGD-10, white-box and black-box",
    "5.3": "accuracy under unbounded PGD-200, a check for gradient masking",
}
"""What the numbers of each table are."""


def alps_cells(table: str, *, scale: str, overrides: Mapping[str, Any]) -> list[Cell]:
    """Turn one of ALPS's tables into its cells.

    Args:
        table: Such as "alps/table-2".
        scale: The recipes' scale.
        overrides: Fields of the recipes; those of `evaluation` change budgets that a recipe gives.

    Returns:
        The cells, in the order of the paper.

    Example:
        >>> cells = alps_cells("alps/table-6", scale="full", overrides={})
        >>> [cell.threat.space for cell in cells[:2]]
        ['pixel', 'normalised']
    """
    stand_in = at_scale(recipes_of("ALPS")[0], scale, overrides)
    smoke = stand_in if scale == "smoke" else None
    rows = _completed(paper_tables.rows("ALPS", table.rpartition("-")[2]))
    return [cell for row in rows for cell in _from_row(table, row, smoke)]


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
    cell = row_cell(table, row, recipe=recipe_name(row.paper, row.dataset, row.model))
    if smoke is not None and cell.recipe is not None:
        threat = _at_budget(cell.threat, smoke.evaluation)
        condition = retold(cell.condition, threat)
        return [replace(cell, recipe=smoke.name, threat=threat, condition=condition)]
    if cell.threat is None or math.isinf(cell.threat.eps) or smoke is not None:
        return [cell]
    return [cell, replace(cell, threat=replace(cell.threat, space="normalised"))]


def _at_budget(threat: Threat | None, taken: Evaluation) -> Threat | None:
    if threat is None or math.isinf(threat.eps):
        return threat
    return replace(threat, eps=taken.eps, step_size=taken.step_size)


def controls_of(found: Iterable[Cell]) -> list[Cell]:
    """Repeat every column of ALPS's row for each control, without a paper's number.

    Args:
        found: The cells of a table.

    Returns:
        The controls' cells; none where the table has no row of ALPS.
    """
    return [
        replace(cell, key=key, method=name, paper=None, paper_std=None)
        for key, name in CONTROLS.items()
        for cell in found
        if cell.key == "alps"
    ]
