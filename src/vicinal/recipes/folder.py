"""The folder of a run: its name, who may train into it, and where its data lay.

The engine writes metrics, checkpoint and weights; before its first checkpoint stand here the
environment and, last, the resolved recipe: a folder without it holds no run.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vicinal import engine, records
from vicinal._checks import InputError
from vicinal.recipes import files
from vicinal.recipes.device import DEVICES, pick_device
from vicinal.recipes.environment import environment
from vicinal.recipes.schema import Recipe

__all__ = [
    "data_folder",
    "default_folder",
    "first_difference",
    "open_folder",
    "recorded",
    "recorded_threads",
    "run_device",
    "tell_processes",
]

_log = logging.getLogger("vicinal")

_WORDS_ONLY = ("title", "tables", "paper", "workers")
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
            found = first_difference(mine, other, f"{prefix}{key}.")
            if found is None:
                continue
            return found
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
    there = recorded(folder).get("data_dir")
    return Path(there) if there else None


def recorded(folder: Path) -> dict[str, Any]:
    """Read under which circumstances a run began.

    Args:
        folder: The run folder.

    Returns:
        What its environment.json holds; nothing where there is none that can be read.
    """
    try:
        facts = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def recorded_threads(folder: Path) -> int | None:
    """Read with how many threads a run began: another number gives other bits.

    Args:
        folder: The run folder.

    Returns:
        The number, if it is known.
    """
    threads = recorded(folder).get("threads")
    return threads if type(threads) is int and threads >= 1 else None


def tell_processes(recipe: Recipe, folder: Path) -> None:
    """Log what it means that several processes train, and whether as many did before.

    Args:
        recipe: The recipe.
        folder: The run folder, made.
    """
    team, before = engine.processes(), recorded(folder).get("processes", 1)
    if not team.first:
        return
    if team.world != before:
        _log.warning("%s began with %s processes; %d go on.", folder, before, team.world)
    if team.several:
        _log.warning(
            "%d processes share every batch of %d; methods that mix find partners %s "
            "(mix_scope %s).",
            team.world,
            recipe.batch_size,
            "in the whole batch" if recipe.mix_scope == "global" else "among a process's own rows",
            recipe.mix_scope,
        )


def run_device(folder: Path, device: str) -> torch.device:
    """Pick the device of a run: the one that it began on, unless another is named.

    Args:
        folder: The run folder.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        The device.
    """
    kind = str(recorded(folder).get("device", "")).partition(":")[0]
    if device != "auto" or kind not in DEVICES:
        return pick_device(device)
    try:
        return pick_device(kind)
    except InputError:
        usual = pick_device("auto")
        _log.warning("%s began on %s, which is not here: %s goes on.", folder, kind, usual)
        return usual


def default_folder(recipe: Recipe) -> Path:
    """Name the run folder of a recipe.

    Args:
        recipe: The resolved recipe.

    Returns:
        runs/<recipe>-<method>-<scale>-seed<seed>, the recipe's slash as a dash; after the method
        the preset, where it is not the paper's.
    """
    name = recipe.name.replace("/", "-")
    method = recipe.method if recipe.preset == "paper" else f"{recipe.method}-{recipe.preset}"
    return Path("runs") / f"{name}-{method}-{recipe.scale}-seed{recipe.seed}"
