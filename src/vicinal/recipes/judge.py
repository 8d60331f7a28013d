"""Judge a run: clean error on all test images, attacks on the first n, records into its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from vicinal import data, engine
from vicinal._typing import Attack, Norm
from vicinal.evaluation import Threat
from vicinal.recipes import files, job, loading
from vicinal.recipes.attack_words import describe, parse_attack
from vicinal.recipes.device import pick_device
from vicinal.recipes.folder import data_folder
from vicinal.recipes.resolve import objective
from vicinal.recipes.run import load
from vicinal.recipes.schema import Evaluation, Recipe
from vicinal.records import Record

__all__ = ["attacks_of", "evaluate_run", "job_of"]


def attacks_of(
    path: str | Path,
    texts: Sequence[str],
    *,
    device: str = "cpu",
    budget: Evaluation | None = None,
    norm: Norm = "linf",
) -> dict[str, Attack]:
    """Build the attacks that texts name, with the budget of a run's recipe where they give none.

    Args:
        path: The run folder.
        texts: Such as "fgsm" or "pgd(eps=4/255, step_size=1/255, steps=10)".
        device: Where the source of a transfer shall lie.
        budget: What attacks take that leave theirs out; that of the run's recipe when not given.
        norm: In which the budget is. An attack that searches in another must say radius and step.

    Returns:
        Each attack by its full text.
    """
    budget = budget or files.read(Path(path) / "recipe.yaml").evaluation
    found = {}
    source = partial(load, device=device)
    for text in texts:
        attack = parse_attack(text, budget=budget, norm=norm, load=source)
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

    A call that was interrupted goes on where it stopped when it is made again.

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
    where = pick_device(device)
    named = attacks_of(path, attacks, device=where.type)
    whole = job_of(path, named, n=n, data_dir=data_dir, device=where.type, seed=seed)
    return job.run(whole, progress=progress).records


def job_of(
    path: str | Path,
    attacks: Mapping[str, Attack],
    *,
    n: int | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    seed: int = 0,
    threat: Threat | None = None,
    adversarial: Path | None = None,
    command: str | None = None,
) -> job.Job:
    """Lay out what judging a run means, without judging it.

    Args:
        path: The run folder.
        attacks: Attacks by name.
        n: How many test images are attacked, the first ones; by default as many as the recipe says.
        data_dir: Where the data sets lie; by default where they lay when the run began.
        device: "auto", "cpu", "cuda" or "mps".
        seed: Governs the attacks' random starts.
        threat: The threat model of the worst case; by default that which most attacks share.
        adversarial: Where adversarial images go; None for nowhere.
        command: The command that repeats it, for the records.

    Returns:
        The job.
    """
    folder, where = Path(path), pick_device(device)
    recipe = files.read(folder / "recipe.yaml")
    model = load(folder, device=where.type)
    images = loading.open_images(recipe, data_folder(folder, data_dir))
    split = loading.judged_on(recipe, images)
    if recipe.channels_last:
        engine.to_channels_last(model)
    wanted = n if n is not None else recipe.evaluation.attack_subset
    few = split if wanted is None else data.first(split, min(wanted, len(split)))
    told = {"split": recipe.evaluation.split, "seed": seed, "device": where.type}
    facts = {**_facts(recipe), **told, **job.circumstances(where, command=command)}
    return job.Job(
        model=model,
        whole=split,
        few=few,
        batches=partial(_batches, recipe),
        attacks=attacks,
        folder=folder,
        facts=facts,
        num_classes=images.num_classes,
        class_names=images.class_names,
        seed=seed,
        threat=threat,
        adversarial=adversarial,
    )


def _batches(recipe: Recipe, split: loading.Piece) -> loading.Loader:
    team = engine.processes()
    return loading.batches(recipe, split, rank=team.rank, world=team.world)


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
