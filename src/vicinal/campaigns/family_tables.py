"""Tables of the whole family: every method in one set-up, clean and attacked, no paper's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vicinal.campaigns.cell import Cell
from vicinal.campaigns.family_claims import claimed
from vicinal.campaigns.own_tables import at_scale
from vicinal.campaigns.threats import Threat
from vicinal.corruptions import SETS
from vicinal.recipes.schema import Evaluation, Recipe

__all__ = ["METHODS", "SUBJECTS", "family_cells"]

_RECIPES = {
    "family/demo": "family/digits-digits_net",
    "family/small": "family/cifar10-preactresnet18",
    "family/corruptions": "family/cifar10-preactresnet18",
}
SUBJECTS = {
    "family/demo": "clean and attacked accuracy of every method on digits, our own table",
    "family/small": "clean and attacked accuracy of every method on CIFAR-10, our own table",
    "family/corruptions": "accuracy of the same nets under 19 corruptions, our own table",
}
"""Each name and what its numbers are."""

METHODS = {
    "erm": "ERM",
    "dropout": "Dropout",
    "label-smoothing": "Label Smoothing",
    "gaussian": "Gaussian vicinity",
    "mixup": "MixUp",
    "cutmix": "CutMix",
    "manifold-mixup": "Manifold MixUp",
    "alps": "ALPS",
    "fgsm": "FGSM",
    "r-fgsm": "R-FGSM",
    "n-fgsm": "N-FGSM",
    "ll": "LL",
    "r-ll": "R-LL",
    "mc": "MC",
    "r-mc": "R-MC",
    "r-mc-ls": "BAT, R-MC-LS",
    "r-mc-la": "BAT, R-MC-LA",
    "feature-scatter": "Feature Scatter",
    "fs-avmixup": "Feature Scatter + AVmixup",
    "pgd-10": "PGD-10",
    "pgd-10-half": "PGD-10, half clean",
    "ls-0.8": "PGD-10, LS0.8",
    "madry-la": "BAT, Madry-LA",
    "avmixup": "AVmixup",
    "trades": "TRADES",
    "mart": "MART",
    "tlat": "TLAT",
    "mtlat": "M-TLAT",
    "iat": "IAT",
    "pgd-10-awp": "PGD-10 + AWP",
    "trades-awp": "TRADES + AWP",
}
"""The rows: key and name."""

_STEPS = 20


def family_cells(table: str, *, scale: str, overrides: Mapping[str, Any]) -> list[Cell]:
    """Turn one of these tables into its cells.

    Args:
        table: A key of `SUBJECTS`.
        scale: The recipes' scale.
        overrides: Fields of the recipe; those of `evaluation` change the budget.

    Returns:
        The cells, rows by columns.

    Example:
        >>> cells = family_cells("family/small", scale="small", overrides={})
        >>> [cell.condition for cell in cells[:3]]
        ['clean', 'PGD-20', 'PGD-20 on the margin']
    """
    resolved = at_scale(_RECIPES[table], scale, overrides)
    if table == "family/corruptions":
        return [cell for key in METHODS for cell in _under_corruptions(table, key, resolved)]
    columns = _columns(resolved.evaluation)
    if table == "family/small":
        del columns["FGSM"]
    return [
        Cell(
            table=table,
            dataset=resolved.dataset,
            model=resolved.model.name,
            method=name,
            key=key,
            condition=condition,
            metric="accuracy",
            threat=threat,
            paper=claimed(key, threat) if resolved.dataset == "cifar10" else None,
            decimals=1,
            recipe=resolved.name,
        )
        for key, name in METHODS.items()
        for condition, threat in columns.items()
    ]


def _under_corruptions(table: str, key: str, resolved: Recipe) -> list[Cell]:
    """Lay out a row: everything is read out of one measurement, on the same images."""
    cell = Cell(
        table=table,
        dataset=resolved.dataset,
        model=resolved.model.name,
        method=METHODS[key],
        key=key,
        condition="mean",
        metric="accuracy",
        threat=Threat(name="corruption", eps=math.inf, corruption="all"),
        decimals=1,
        recipe=resolved.name,
    )
    names = ("clean", *SETS["all"])
    parts = [replace(cell, condition=name.replace("_", " "), part=name) for name in names]
    score = replace(cell, metric="robustness_score", decimals=3)
    return [parts[0], cell, *parts[1:], score]


def _columns(taken: Evaluation) -> dict[str, Threat | None]:
    pgd = Threat(
        name="pgd",
        eps=taken.eps,
        step_size=taken.step_size,
        steps=_STEPS,
        random_start=True,
    )
    return {
        "clean": None,
        "FGSM": Threat(name="fgsm", eps=taken.eps),
        f"PGD-{_STEPS}": pgd,
        f"PGD-{_STEPS} on the margin": replace(pgd, loss="margin"),
    }
