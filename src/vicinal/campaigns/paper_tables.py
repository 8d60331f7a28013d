"""A paper's rows as cells: each number with its exact attack, from `recipes.paper_tables`.

At scale smoke the data set and the net of every recipe are the scale's, and all budgets of a table
grow by one factor, as those of the recipe's training do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from vicinal.campaigns.cell import Cell
from vicinal.campaigns.own_tables import at_scale
from vicinal.campaigns.threats import Threat
from vicinal.corruptions import CORRUPTIONS
from vicinal.recipes import files, numerals, paper_tables
from vicinal.recipes.paper_tables import PaperRow

__all__ = ["SUBJECTS", "paper_cells", "recipe_name", "recipes_of", "retold", "row_cell"]

SUBJECTS = {
    "bat/table-1": "accuracy of PGD training with 7 and with 2 steps",
    "bat/table-2": "squared norms of input gradients, with and without adversarial training",
    "bat/table-3": "accuracy of one-step adversarial training, by target and random start",
    "bat/table-4": "accuracy of three of them under one-step attacks",
    "bat/table-5": "accuracy of BAT's image and label, apart and together, on CIFAR-10",
    "bat/table-6": "accuracy of BAT under stronger attacks, training budgets 8 and 4",
    "bat/table-7": "accuracy of BAT under black-box attacks",
    "bat/table-8": "accuracy of BAT on SVHN",
    "bat/table-9": "accuracy of BAT on ImageNet",
    "bat/section-5.2.1": "accuracy of BAT under 1000 steps",
    "avmixup/table-1": "accuracy of AVmixup on CIFAR-10, white-box",
    "avmixup/table-2": "accuracy under PGD-20 from each other's nets",
    "avmixup/table-3": "accuracy of AVmixup in the code of TRADES",
    "avmixup/table-4": "accuracy of AVmixup on CIFAR-100, SVHN and Tiny-ImageNet",
    "avmixup/table-5": "accuracy of Feature Scatter, alone and with AVmixup",
    "avmixup/table-6": "the same by AVmixup's two lambdas",
    "m-tlat/table-1": "robustness scores of M-TLAT and IAT: corruptions, shifts, attacks",
    "m-tlat/table-1a": "its corruptions alone",
    "m-tlat/table-1b": "its shifts alone",
    "m-tlat/table-1c": "its attacks alone",
    "m-tlat/table-2": "robustness scores of MixUp and TLAT alone",
    "m-tlat/table-2a": "its corruptions alone",
    "m-tlat/table-2b": "its shifts alone",
    "m-tlat/table-2c": "its attacks alone",
    "m-tlat/table-3": "clean accuracy by the label of the adversaries",
}
"""The tables of BAT, AVmixup and M-TLAT, and what their numbers are."""

_PAPERS = {"bat": "BAT", "avmixup": "AVmixup", "m-tlat": "M-TLAT"}
_DECIMALS = {"ALPS": (2, 3), "BAT": (1, 1), "AVmixup": (2, 2), "M-TLAT": (1, 1)}
"""Digits after the point in a paper's tables: of a value, of its spread."""

_OTHER_RECIPE = {("AVmixup", "3"): "avmixup/cifar10-wrn-34-10-trades"}
"""Where a table has another set-up than its paper's other tables of the same set and net."""

_OTHER_SOURCE = {("M-TLAT", "VGG"): "m-tlat/imagenet-100-vgg16"}
"""The recipe of a source that is another net than the row's own."""

_CONFIDENCE = {"M-TLAT": 50.0}
"""By how much the errors of a paper's CW-L2 must win."""

_NAMES = {"cwl2": "cw_l2", "mifgsm": "mi_fgsm"}
"""Attacks that the table of the papers calls otherwise than `vicinal.attacks`."""

_DIGITS = 12


def paper_cells(table: str, *, scale: str, overrides: Mapping[str, Any]) -> list[Cell]:
    """Turn a table of BAT, AVmixup or M-TLAT into its cells.

    Args:
        table: A key of `SUBJECTS`; "m-tlat/table-1" is the paper's 1a, 1b and 1c together.
        scale: The recipes' scale.
        overrides: Fields of the recipes; those of `evaluation` change budgets at scale smoke.

    Returns:
        The cells, in the order of the paper.

    Example:
        >>> cell = paper_cells("bat/table-6", scale="full", overrides={})[2]
        >>> cell.method, cell.condition, cell.threat.loss, cell.paper
        ('R-MC-LA, trained at 8/255', 'CW20', 'margin', 53.7)
    """
    rows = _rows(table)
    twice = _ambiguous(rows)
    factors: dict[str, float] = {}
    found = []
    for row in rows:
        recipe = _recipe_of(row)
        cell = row_cell(table, row, recipe=recipe)
        if row.method in twice:
            cell = replace(cell, method=f"{row.method}, trained at {row.epsilon_train}")
        if recipe is not None and scale == "smoke":
            if recipe not in factors:
                factors[recipe] = _factor(recipe, overrides)
            cell = _grown(cell, factors[recipe])
        found.append(cell)
    return found


def _rows(table: str) -> list[PaperRow]:
    paper = _PAPERS[table.partition("/")[0]]
    number = table.rpartition("-")[2]
    parts = [part for part in paper_tables.tables()[paper] if number in {part, part.rstrip("abc")}]
    return [row for part in parts for row in paper_tables.rows(paper, part)]


def _ambiguous(rows: Iterable[PaperRow]) -> set[str]:
    """Find the names that several methods of a table share, told apart by their budgets."""
    keys: dict[str, set[str]] = {}
    for row in rows:
        keys.setdefault(row.method, set()).add(row.key)
    return {name for name, those in keys.items() if len(those) > 1}


def _recipe_of(row: PaperRow) -> str | None:
    if row.key == "cited":
        return None
    other = _OTHER_RECIPE.get((row.paper, row.table))
    return other or recipe_name(row.paper, row.dataset, row.model)


def row_cell(table: str, row: PaperRow, *, recipe: str | None) -> Cell:
    """Turn one row into its cell, at the paper's budget.

    Args:
        table: The table's name.
        row: The row.
        recipe: The recipe that trains its net; None where there is none.

    Returns:
        The cell.
    """
    decimals, decimals_std = _DECIMALS[row.paper]
    lacking = _lacking(row)
    return Cell(
        table=table,
        dataset=row.dataset,
        model=row.model,
        method=row.method,
        key=row.key,
        condition=row.condition,
        metric=row.metric,
        threat=_threat(row) if row.attack and not lacking else None,
        paper=row.value,
        paper_std=row.std,
        decimals=2 if row.metric == "robustness_score" else decimals,
        decimals_std=decimals_std,
        recipe=recipe,
        lacking=lacking,
    )


def _lacking(row: PaperRow) -> str:
    unknown = row.attack == "corruption" and row.condition not in CORRUPTIONS
    return "corruptions" if unknown else ""


def _threat(row: PaperRow) -> Threat:
    if row.attack == "corruption":
        return Threat(name="corruption", eps=math.inf, corruption=row.condition)
    if row.attack == "cwl2":
        confidence = _CONFIDENCE.get(row.paper, 0.0)
        return Threat(name="cw_l2", eps=math.inf, steps=row.steps or 1, confidence=confidence)
    eps = float(numerals.read_number(row.eps))
    # FGSM knows no random start; PGD with one full step is the same with one.
    name = "pgd" if row.attack == "fgsm" and row.random_start else row.attack
    return Threat(
        name=_NAMES.get(name, name),
        eps=eps,
        step_size=_step(row.step, eps),
        steps=row.steps or 1,
        random_start=row.random_start,
        black_box=bool(row.source),
        loss=row.loss or "ce",
        target=None if row.target in {"", "none"} else row.target,
        source=_source(row),
        source_recipe=_OTHER_SOURCE.get((row.paper, row.source), ""),
    )


def _step(text: str, eps: float) -> float:
    """Read a step: a number, "eps", or "eps/10"."""
    if not text.startswith("eps"):
        return float(numerals.read_number(text))
    return eps / float(text.removeprefix("eps").removeprefix("/") or 1)


def _source(row: PaperRow) -> str:
    """Find the method of a source that the paper names by its row, or calls "another" such."""
    name = row.source.removeprefix("another ")
    if name in {"", "ERM", "undefended"}:
        return "erm"
    named = (one for one in paper_tables.rows(row.paper, row.table) if one.method == name)
    found = next(named, None)
    return "erm" if found is None else found.key


def _factor(recipe: str, overrides: Mapping[str, Any]) -> float:
    """Tell by how much the budgets at scale smoke are larger than the paper's."""
    return at_scale(recipe, "smoke", overrides).evaluation.eps / files.recipe(recipe).evaluation.eps


def _grown(cell: Cell, factor: float) -> Cell:
    if cell.threat is None or math.isinf(cell.threat.eps):
        return cell
    eps, step = (round(v * factor, _DIGITS) for v in (cell.threat.eps, cell.threat.step_size))
    threat = replace(cell.threat, eps=eps, step_size=step)
    return replace(cell, threat=threat, condition=retold(cell.condition, threat))


def retold(condition: str, threat: Threat | None) -> str:
    """Put the budget that is really used in the place of the one that the paper prints.

    Args:
        condition: The paper's words, such as "PGD-10 eps=0.04".
        threat: The attack; None for clean images.

    Returns:
        The words.
    """
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
    found = (name for name in recipes_of(paper) if _plain(name.partition("/")[2]) == wanted)
    return next(found, None)


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def recipes_of(paper: str) -> list[str]:
    """List the recipes of a paper.

    Args:
        paper: Its name.

    Returns:
        Their names.
    """
    return [name for name in files.names() if name.startswith(f"{paper.lower()}/")]
