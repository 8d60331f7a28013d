"""Judge a run: clean error on all test images, attacks on the first n, records into its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from torch import nn

from vicinal import data, engine, records
from vicinal._typing import Attack, Batch
from vicinal.evaluation.results import CLEAN
from vicinal.recipes import files, loading, together
from vicinal.recipes.attack_words import describe, parse_attack
from vicinal.recipes.device import pick_device
from vicinal.recipes.folder import data_folder
from vicinal.recipes.progress import counting
from vicinal.recipes.resolve import objective
from vicinal.recipes.run import load
from vicinal.recipes.schema import Recipe
from vicinal.records import Record

__all__ = ["attacks_of", "evaluate_run"]


def attacks_of(path: str | Path, texts: Sequence[str], *, device: str = "cpu") -> dict[str, Attack]:
    """Build the attacks that texts name, with the budget of a run's recipe where they give none.

    Args:
        path: The run folder.
        texts: Such as "fgsm" or "pgd(eps=4/255, step_size=1/255, steps=10)".
        device: Where the source of a transfer shall lie.

    Returns:
        Each attack by its full text.
    """
    budget = files.read(Path(path) / "recipe.yaml").evaluation
    found = {}
    for text in texts:
        attack = parse_attack(text, budget=budget, load=lambda run: load(run, device=device))
        found[describe(text, attack)] = attack
    return found


def evaluate_run(
    path: str | Path,
    *,
    attacks: Sequence[str] = (),
    n: int | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: bool = False,
) -> list[Record]:
    """Judge the model of a run folder and append the records to its results.jsonl.

    Args:
        path: The run folder.
        attacks: Attacks as texts; what they leave out of a budget is the recipe's.
        n: How many test images are attacked, the first ones; by default as many as the recipe says.
        data_dir: Where the data sets lie; by default where they lay when the run began.
        device: "auto", "cpu", "cuda" or "mps".
        seed: Governs the attacks' random starts.
        progress: Whether to show progress bars on stderr.

    Returns:
        One record per attack, clean images first: error, accuracy, norms, passes, seconds.

    Example:
        >>> import tempfile
        >>> from vicinal.recipes.run import train
        >>> few = {"epochs": 1, "train_subset": 200}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = train("alps/cifar10-vgg16", scale="smoke", overrides=few, run_dir=folder)
        ...     [record["attack"] for record in evaluate_run(folder, attacks=["fgsm"], n=100)]
        ['clean', 'fgsm(eps=0.1)']
    """
    folder = Path(path)
    recipe = files.read(folder / "recipe.yaml")
    where = pick_device(device)
    model = load(folder, device=where.type)
    named = attacks_of(folder, attacks, device=where.type)
    split = loading.judged_on(recipe, loading.open_images(recipe, data_folder(folder, data_dir)))
    if recipe.channels_last:
        engine.to_channels_last(model)
    wanted = n if n is not None else recipe.evaluation.attack_subset
    few = split if wanted is None else data.first(split, min(wanted, len(split)))
    keys = (seed, "evaluation")
    found = _judged(model, _batches(recipe, few), attacks=named, keys=keys, progress=progress)
    if len(few) < len(split):
        whole = _judged(model, _batches(recipe, split), attacks={}, keys=keys, progress=progress)
        found = [*whole, *(record for record in found if record["attack"] != CLEAN)]
    facts = {**_facts(recipe), "split": recipe.evaluation.split, "seed": seed, "device": where.type}
    judged = [{**record, **facts} for record in found]
    engine.processes().led(lambda: _keep(folder / "results.jsonl", judged))
    return judged


def _batches(recipe: Recipe, split: loading.Piece) -> loading.Loader:
    team = engine.processes()
    return loading.batches(recipe, split, rank=team.rank, world=team.world)


def _judged(
    model: nn.Module,
    batches: loading.Loader,
    *,
    attacks: Mapping[str, Attack],
    keys: tuple[int | str, ...],
    progress: bool,
) -> list[Record]:
    own = sum(rows.stop - rows.start for rows in batches.portions)
    bars = counting(own) if progress and engine.processes().first else nullcontext()
    with bars as report:
        told = None if report is None or attacks else _told(batches, report)
        return together.evaluate(
            model, batches, attacks=attacks, keys=keys, read=told, report=report
        ).records


def _told(batches: Iterable[Batch], report: Callable[[str, int], None]) -> Iterator[Batch]:
    """Report clean images as they are done; an evaluation itself reports attacked ones only."""
    for x, y in batches:
        yield x, y
        report(CLEAN, len(y))


def _facts(recipe: Recipe) -> Record:
    """Say in every record which model was judged."""
    return {
        "recipe": recipe.name,
        "method": recipe.method,
        "objective": repr(objective(recipe)),
        "scale": recipe.scale,
        "dataset": recipe.dataset,
        "model": recipe.model.name,
        "train_seed": recipe.seed,
    }


def _keep(file: Path, found: Sequence[Record]) -> None:
    for record in found:
        records.append(file, record)
