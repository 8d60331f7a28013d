"""The work of a campaign: train one net into its run folder, or measure one that is trained.

A number is kept in its run's results.jsonl under the attack's text, the number of images and the
source; what stands there is never computed again. Every attack draws from a generator of its own,
seeded by its text, so that the order in which numbers come about changes none of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from vicinal import data, records
from vicinal._checks import InputError
from vicinal.campaigns import provenance
from vicinal.campaigns.gradient_norms import NORMS, measure_norms
from vicinal.campaigns.under_corruption import is_corruption, measure_corruption
from vicinal.evaluation import evaluate
from vicinal.evaluation.results import CLEAN
from vicinal.recipes import attack_words, files, loading, resolve, run
from vicinal.recipes.schema import Augment, Recipe

__all__ = ["BATCH", "CLEAN", "Evaluating", "Measurement", "Training", "is_trained", "is_transfer"]
__all__ += ["measured", "work"]

BATCH = 500
"""Images at a time: fixed, because the draws of a random start depend on it."""


_OURS = {"attack", "n", "hardware", "threads", "date"}
"""The fields by which a campaign's record is known."""


_ASIDE = {"title", "tables", "paper", "evaluation", "workers"}
"""Fields of a recipe that change no weight."""


class Measurement(NamedTuple):
    """One number of one net: the attack's text, on how many of the first test images."""

    attack: str
    n: int


def is_transfer(measurement: Measurement) -> bool:
    """Tell whether a measurement needs the black-box source.

    Args:
        measurement: The measurement.

    Returns:
        Whether its examples are made on another net.
    """
    return measurement.attack.startswith("transfer(")


@dataclass(frozen=True, kw_only=True)
class Training:
    """Train one method of a recipe with one seed.

    Args:
        recipe: The recipe's name.
        method: The row.
        scale: The recipe's scale.
        seed: The seed.
        overrides: Fields of the recipe by dotted name.
        run_dir: The run folder; one that was interrupted is gone on with.
        data_dir: Where the data sets lie.
        device: Where to compute.
    """

    recipe: str
    method: str
    scale: str
    seed: int
    overrides: Mapping[str, Any]
    run_dir: Path
    data_dir: Path | None
    device: str

    @property
    def key(self) -> str:
        """What it does, in words; no other task of a campaign does the same."""
        return f"train {self.run_dir.parent.name} {self.run_dir.name}"


@dataclass(frozen=True, kw_only=True)
class Evaluating:
    """Take measurements of one trained net.

    Args:
        run_dir: Its run folder.
        measurements: What is missing there.
        source_dir: The run folder of the net that makes black-box examples, where one is needed.
        part: What tells it from the net's other evaluations, such as "by ls-0.8"; mostly nothing.
        data_dir: Where the data sets lie.
        device: Where to compute.
    """

    run_dir: Path
    measurements: tuple[Measurement, ...]
    source_dir: Path | None
    data_dir: Path | None
    device: str
    part: str = ""

    @property
    def key(self) -> str:
        """What it does, in words; no other task of a campaign does the same."""
        words = ("evaluate", self.run_dir.parent.name, self.run_dir.name, self.part)
        return " ".join(word for word in words if word)


def work(task: Training | Evaluating) -> None:
    """Do one task.

    Args:
        task: What to do.
    """
    if isinstance(task, Training):
        train(task)
    else:
        measure(task)


def train(task: Training) -> None:
    """Train a net into its run folder.

    Args:
        task: What to train.
    """
    run.train(
        task.recipe,
        data_dir=task.data_dir,
        method=task.method,
        scale=task.scale,
        seed=task.seed,
        overrides=_as_planned(task),
        run_dir=task.run_dir,
        device=task.device,
        progress=False,
    )


def _as_planned(task: Training) -> dict[str, Any]:
    """Ask for the scale's subset by name: a smaller set would give a run of another recipe."""
    planned = files.recipe(
        task.recipe, method=task.method, scale=task.scale, overrides=task.overrides
    )
    return {"train_subset": planned.train_subset, **task.overrides}


def is_trained(run_dir: Path, recipe: Recipe) -> bool:
    """Tell whether a run folder holds the trained net of a recipe.

    Args:
        run_dir: The run folder, which need not exist.
        recipe: What must have been trained there.

    Returns:
        Whether its weights are there.

    Raises:
        InputError: If the folder holds a run of another recipe.
    """
    file = run_dir / "recipe.yaml"
    if not file.exists():
        return False
    there, wanted = (_trained_by(one, fixed=recipe) for one in (files.read(file), recipe))
    other = [name for name in wanted if there[name] != wanted[name]]
    if other:
        raise InputError(
            f"{run_dir} holds a run of another recipe: its `{other[0]}` is {there[other[0]]!r}, "
            f"this campaign's {wanted[other[0]]!r}. Choose another --out, or remove that folder."
        )
    return (run_dir / "weights.safetensors").is_file()


def _trained_by(recipe: Recipe, *, fixed: Recipe) -> dict[str, Any]:
    """Keep the fields that decide what is trained, without those that come from the data set.

    Args:
        recipe: The recipe.
        fixed: One that has not met its data: what it says of mean and deviation counts.

    Returns:
        Fields, nested.
    """
    fields = recipe.model_dump(exclude=_ASIDE | {"model"})
    model = recipe.model.model_dump(exclude=set(resolve.OF_THE_DATA) - set(fixed.model.arguments))
    return {**fields, "model": model}


def measured(run_dir: Path) -> dict[Measurement, dict[str, Any]]:
    """Read what campaigns have measured of a net.

    Records of other commands do not count: their draws differ, and they do not say how they came
    about.

    Args:
        run_dir: Its run folder.

    Returns:
        Each measurement and its record.
    """
    found = records.read(run_dir / "results.jsonl")
    return {Measurement(r["attack"], r["n"]): r for r in found if r.keys() >= _OURS}


def measure(task: Evaluating) -> None:
    """Take the measurements that are missing, each written down as soon as it is taken.

    Args:
        task: What to measure.

    Raises:
        InputError: If one of them cannot be taken; the others are.
    """
    net = run.load(task.run_dir, device=task.device)
    # Another memory format would change the last bits of what is measured.
    recipe = files.read(task.run_dir / "recipe.yaml").model_copy(update={"channels_last": False})
    images = loading.judged_on(recipe, _images(recipe.dataset, recipe.augment, task.data_dir))
    failures = []
    for measurement in task.measurements:
        try:
            few = data.first(images, measurement.n)
            batches = loading.batches(recipe, few, batch_size=BATCH)
            record = _measure(net, batches, measurement, task)
        except InputError as error:
            failures.append(f"{measurement.attack}: {error}")
        else:
            records.append(task.run_dir / "results.jsonl", record)
    if failures:
        raise InputError(failures[0])


def _measure(
    net: nn.Module, batches: loading.Loader, measurement: Measurement, task: Evaluating
) -> dict[str, Any]:
    text = measurement.attack
    rng = torch.Generator().manual_seed(zlib.crc32(text.encode()))
    if is_corruption(text):
        found = measure_corruption(net, batches, text, rng=rng)
    elif text == NORMS:
        found = measure_norms(net, batches)
    else:
        named = {} if text == CLEAN else {text: attack_words.parse_attack(text, load=_loader(task))}
        judged = evaluate(net, batches, attacks=named, rng=rng).records
        found = next(record for record in judged if record["attack"] == text)
    source = task.source_dir if is_transfer(measurement) else None
    return {
        **found,
        "source": None if source is None else source.name,
        **provenance.circumstances(task.device),
    }


def _loader(task: Evaluating) -> Callable[[str], nn.Module]:
    def load(_: str) -> nn.Module:
        if task.source_dir is None:
            raise InputError("a black-box attack needs a source; this measurement has none.")
        return run.load(task.source_dir, device=task.device)

    return load


@lru_cache(maxsize=1)
def _images(dataset: str, augment: Augment, data_dir: Path | None) -> loading.Images:
    """Open a data set once per process."""
    return loading.open_named(dataset, augment, data_dir)
