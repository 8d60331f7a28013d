"""Tables of our own, without a paper's numbers: a demonstration, 30 classes, a sweep of ALPS."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vicinal.campaigns.cell import Cell
from vicinal.campaigns.threats import Threat
from vicinal.recipes import files
from vicinal.recipes.schema import Evaluation, Recipe

__all__ = ["TABLES", "at_scale", "own_cells"]

_DEMO = "alps/demo"
_SWEEP = "alps/sweep"
_THIRTY = "alps/tiny-imagenet-30"
_SUBJECT = "clean and attacked error of five methods"

TABLES = {
    _DEMO: f"{_SUBJECT}, our own table",
    _SWEEP: "ALPS's eps and mode, judged on held-out training images, our own table",
    _THIRTY: f"{_SUBJECT} on 30 classes of Tiny-ImageNet, our own table",
}
"""Each name and what its numbers are."""

METHODS = {
    "erm": "ERM",
    "dropout": "Dropout",
    "label-smoothing": "Label Smoothing",
    "mixup": "MixUp",
    "alps": "ALPS",
}
_SETTINGS = {
    f"eps{eps}-mode{mode}": f"ALPS, eps {eps}, mode {mode}"
    for eps in ("0.1", "0.2", "0.4")
    for mode in ("0.8", "0.9")
}
"""The rows of the sweep: key and name."""


def own_cells(table: str, *, scale: str, overrides: Mapping[str, Any]) -> list[Cell]:
    """Turn one of our tables into its cells.

    Args:
        table: A key of `TABLES`.
        scale: The recipes' scale.
        overrides: Fields of the recipes; those of `evaluation` change budgets that a recipe gives.

    Returns:
        The cells, rows by columns.

    Example:
        >>> cells = own_cells("alps/sweep", scale="small", overrides={})
        >>> cells[0].method, cells[0].condition, cells[0].key
        ('ALPS, eps 0.1, mode 0.8', 'clean', 'eps0.1-mode0.8')
    """
    if table == _SWEEP:
        return _sweep(at_scale("alps/cifar10-preactresnet18-sweep", scale, overrides))
    if table == _DEMO:
        return _five_methods(table, at_scale("alps/cifar10-preactresnet18", scale, overrides))
    nets = ("preactresnet18",) if scale == "smoke" else ("preactresnet18", "vgg16")
    found = [at_scale(f"{_THIRTY}-{net}", scale, overrides) for net in nets]
    return [cell for resolved in found for cell in _five_methods(table, resolved)]


def at_scale(recipe: str, scale: str, overrides: Mapping[str, Any]) -> Recipe:
    """Resolve a recipe for the budgets that its table needs.

    Args:
        recipe: Its name.
        scale: Its scale.
        overrides: Fields of it, of which only those of `evaluation` count.

    Returns:
        The recipe.
    """
    budgets = {name: value for name, value in overrides.items() if name.startswith("evaluation.")}
    return files.recipe(recipe, scale=scale, overrides=budgets)


def _five_methods(table: str, resolved: Recipe) -> list[Cell]:
    return [
        _cell(table, resolved, key=key, method=name, condition=condition, threat=threat)
        for key, name in METHODS.items()
        for condition, threat in _demo_columns(resolved.evaluation)
    ]


def _sweep(resolved: Recipe) -> list[Cell]:
    return [
        replace(
            _cell(_SWEEP, resolved, key=key, method=name, condition=condition, threat=threat),
            decimals=2,
        )
        for key, name in _SETTINGS.items()
        for condition, threat in _spaces(_demo_columns(resolved.evaluation)[:3])
    ]


def _spaces(columns: list[tuple[str, Threat | None]]) -> list[tuple[str, Threat | None]]:
    """Add to every attack in pixel space the same one in normalised space."""
    return [
        (condition if space == "pixel" else f"{condition}, {space}", threat)
        for condition, pixel in columns
        for space, threat in (
            ("pixel", pixel),
            *([] if pixel is None else [("normalised", replace(pixel, space="normalised"))]),
        )
    ]


def _cell(
    table: str, resolved: Recipe, *, key: str, method: str, condition: str, threat: Threat | None
) -> Cell:
    return Cell(
        table=table,
        dataset=resolved.dataset,
        model=resolved.model.name,
        method=method,
        key=key,
        condition=condition,
        metric="top1_error",
        threat=threat,
        decimals=1,
        recipe=resolved.name,
    )


def _demo_columns(taken: Evaluation) -> list[tuple[str, Threat | None]]:
    fgsm = Threat(name="fgsm", eps=taken.eps)
    pgd = Threat(
        name="pgd",
        eps=taken.eps,
        step_size=taken.step_size,
        steps=taken.steps,
        random_start=True,
    )
    unbounded = Threat(name="pgd", eps=math.inf, step_size=0.01, steps=200)
    return [
        ("clean", None),
        ("white-box FGSM", fgsm),
        (f"white-box PGD-{taken.steps}", pgd),
        ("black-box FGSM", replace(fgsm, black_box=True)),
        (f"black-box PGD-{taken.steps}", replace(pgd, black_box=True)),
        ("unbounded PGD-200", unbounded),
    ]
