"""The folder of a run: its name, who may train into it, and where its data lay.

The engine writes metrics, checkpoint and weights; here are the resolved recipe, written before
anything else, and the environment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vicinal import records
from vicinal._checks import InputError
from vicinal.recipes import files
from vicinal.recipes.environment import environment
from vicinal.recipes.schema import Recipe

__all__ = ["data_folder", "default_folder", "first_difference", "open_folder"]

_WORDS_ONLY = ("title", "tables", "paper")
"""Fields that change nothing about a run."""


def open_folder(
    recipe: Recipe, folder: Path, *, device: torch.device, data_dir: str | Path | None
) -> None:
    """Make a run folder, its recipe first, or check that the one there holds the same recipe.

    Args:
        recipe: The resolved recipe, with what its model knows of the data.
        folder: The run folder.
        device: Where the run computes.
        data_dir: Where the data sets lie.

    Raises:
        InputError: If the folder cannot be made, or holds a run of another recipe.
    """
    file = folder / "recipe.yaml"
    if file.exists():
        _check_same(recipe, files.read(file), folder)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"could not make the run folder {folder}: {error.strerror}.") from error
    facts = environment(device, data_dir=data_dir)
    records.write_text(folder / "environment.json", json.dumps(facts, indent=2) + "\n")
    records.write_text(file, files.write(recipe))


def _check_same(recipe: Recipe, there: Recipe, folder: Path) -> None:
    difference = first_difference(recipe.model_dump(), there.model_dump())
    if difference is not None:
        field, ours, theirs = difference
        raise InputError(
            f"{folder} holds a run of another recipe: `{field}` is {theirs!r} there and {ours!r} "
            "here. Choose another --run-dir, or --resume to go on with the one there."
        )


def first_difference(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str = ""
) -> tuple[str, object, object] | None:
    """Find the first field that makes two recipes different runs.

    Args:
        ours: One recipe's fields, nested.
        theirs: The other's.
        prefix: The name of the part that they are fields of, with a dot.

    Returns:
        The field's dotted name and its two values; None where nothing differs that matters.

    Example:
        >>> first_difference({"seed": 0, "model": {"width": 4}}, {"seed": 0, "model": {"width": 8}})
        ('model.width', 4, 8)
    """
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        mine, other = ours.get(key), theirs.get(key)
        if mine == other or f"{prefix}{key}" in _WORDS_ONLY:
            continue
        if isinstance(mine, Mapping) and isinstance(other, Mapping):
            return first_difference(mine, other, f"{prefix}{key}.")
        return f"{prefix}{key}", mine, other
    return None


def data_folder(folder: Path, data_dir: str | Path | None) -> Path | None:
    """Find the data of a run.

    Args:
        folder: The run folder.
        data_dir: The folder given, which wins.

    Returns:
        The folder given, or else the one that the run began with, if there was one.
    """
    if data_dir is not None:
        return Path(data_dir)
    file = folder / "environment.json"
    if not file.is_file():
        return None
    try:
        there = json.loads(file.read_text(encoding="utf-8")).get("data_dir")
    except (OSError, ValueError, AttributeError):
        return None
    return Path(there) if there else None


def default_folder(recipe: Recipe) -> Path:
    """Name the run folder of a recipe.

    Args:
        recipe: The resolved recipe.

    Returns:
        runs/<recipe>-<method>-<scale>-seed<seed>, the recipe's slash as a dash.
    """
    name = recipe.name.replace("/", "-")
    return Path("runs") / f"{name}-{recipe.method}-{recipe.scale}-seed{recipe.seed}"
