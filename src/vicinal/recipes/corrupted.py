"""Judge a run under corruptions: made from its test images, or published as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from vicinal import data, engine
from vicinal._checks import InputError
from vicinal._typing import Batches
from vicinal.corruptions import Corruption
from vicinal.evaluation import CorruptionResults, Ledger, corrupted, on_files
from vicinal.evaluation.corrupted import aside_of
from vicinal.evaluation.corruption_results import averaged
from vicinal.recipes import files, loading
from vicinal.recipes.corruption_baseline import Setting, baseline_of, fitting
from vicinal.recipes.corruption_ledger import ledger_in, resumed
from vicinal.recipes.corruption_words import read_corruptions, read_severities
from vicinal.recipes.device import pick_device
from vicinal.recipes.folder import data_folder
from vicinal.recipes.job import Job, circumstances
from vicinal.recipes.progress import counting
from vicinal.recipes.run import load
from vicinal.recipes.schema import Recipe
from vicinal.records import Record

__all__ = ["Ask", "baseline_of", "corrupt_job", "corrupt_run", "judged"]


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Which corruptions, how strong, and beside what.

    Args:
        corruptions: "common", "all", "extra", names with commas between, or a published set of
            `data.CORRUPTED`, such as "cifar10-c", whose files are judged as they are.
        severities: Such as "1-5" or "3".
        n: How many test images, the first ones; all when not given.
        baseline: A key of `metrics.BASELINES`, or a run folder judged before; none when not given.
        frost: The folder of the original frost textures.
        procedural: Whether what is not comparable counts in the means all the same.
        seed: Governs every draw.
    """

    corruptions: str = "all"
    severities: str = "1-5"
    n: int | None = None
    baseline: str | None = None
    frost: Path | None = None
    procedural: bool = False
    seed: int = 0


def corrupt_run(
    path: str | Path,
    ask: Ask | None = None,
    *,
    data_dir: str | Path | None = None,
    device: str = "auto",
    progress: bool = False,
    command: str | None = None,
) -> list[Record]:
    """Judge the model of a run folder under corruptions; the records go to its results.jsonl.

    Broken off, the same call goes on where it stopped.

    Args:
        path: The run folder.
        ask: Which corruptions, how strong, and beside what.
        data_dir: Where the data sets lie; by default where they lay when the run began.
        device: "auto", "cpu", "cuda" or "mps".
        progress: Whether to show progress bars on stderr.
        command: The command that repeats it, for the records.

    Returns:
        Records of kind "corruption", each severity and each corruption's mean, and one last of
        kind "corruptions": means, R, mCE.

    Example:
        >>> import tempfile
        >>> from vicinal.recipes.run import train
        >>> few, ask = {"epochs": 1, "train_subset": 200}, Ask(corruptions="gaussian_noise", n=50)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = train("alps/cifar10-vgg16", scale="smoke", overrides=few, run_dir=folder)
        ...     found = corrupt_run(folder, ask)
        >>> len(found), found[-1]["over"]
        (7, ['gaussian_noise'])
    """
    folder, asked = Path(path), Ask() if ask is None else ask
    recipe = files.read(folder / "recipe.yaml")
    where = pick_device(device)
    model = load(folder, device=where.type)
    images = _images(model, recipe, data_folder(folder, data_dir))
    facts = {**_facts(recipe), "seed": asked.seed, "device": where.type}
    facts |= circumstances(where, command=command)
    return _kept(model, images, asked, facts, folder, progress)


def corrupt_job(
    job: Job,
    ask: Ask | None = None,
    *,
    data_dir: str | Path | None = None,
    progress: bool = False,
) -> list[Record]:
    """Judge the model of a job, anybody's, under corruptions; the records go to its folder.

    Args:
        job: The model and the images, such as `foreign.job_of` lays out; its attacks are not run.
        ask: Which corruptions, how strong, and beside what; its seed counts, not the job's.
        data_dir: Where published corrupted sets lie.
        progress: Whether to show progress bars on stderr.

    Returns:
        Records as of `corrupt_run`.

    Raises:
        InputError: If there are several processes.

    Example:
        >>> import tempfile
        >>> from vicinal.models import digits_net
        >>> from vicinal.recipes import foreign
        >>> ask = Ask(corruptions="brightness", severities="5", n=50)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     where = {"dataset": "digits", "folder": Path(folder)}
        ...     found = corrupt_job(foreign.job_of(digits_net(), name="net", **where), ask)
        >>> [record["severity"] for record in found[:-1]], found[0]["model"]
        ([5, None], 'net')
    """
    if engine.processes().several:
        raise InputError("a model of your own is corrupted by one process; leave out torchrun.")
    asked = Ask() if ask is None else ask
    images = _Images(
        whole=job.whole,
        batches=job.batches,
        dataset=str(job.facts["dataset"]),
        split=str(job.facts["split"]),
        data_dir=None if data_dir is None else Path(data_dir),
    )
    return _kept(job.model, images, asked, job.facts, job.folder, progress)


def _kept(
    model: nn.Module, images: _Images, ask: Ask, facts: Record, folder: Path, progress: bool
) -> list[Record]:
    """Go on where an earlier call stopped, and write the records, each with what it is about."""
    about = {**facts, "seed": ask.seed}
    about["files"] = ask.corruptions if ask.corruptions in data.CORRUPTED else None
    which = [images.dataset, images.split, len(images.whole)]
    with resumed(folder, model, asked=f"{which} {ask}") as kept:
        done = kept.finished()
        if done is not None:
            return done
        results = _results(model, images, ask, progress=progress, ledger=kept.ledger)
        found = [{**record, **about} for record in results.records]
        kept.finish(found)
    return found


def judged(
    model: nn.Module,
    recipe: Recipe,
    ask: Ask,
    *,
    data_dir: Path | None,
    progress: bool = False,
    kept: Path | None = None,
) -> CorruptionResults:
    """Judge a model on the images that its recipe is judged on, under corruptions.

    Of several processes each judges its part of the corruptions.

    Args:
        model: The model.
        recipe: Its recipe.
        ask: Which corruptions, how strong, and beside what.
        data_dir: Where the data sets lie.
        progress: Whether to show progress bars on stderr.
        kept: A folder of this model's own, held by the caller, where finished batches are kept
            and found; None for nowhere.

    Returns:
        The results.
    """
    ledger = None if kept is None else ledger_in(kept / "corruptions")
    images = _images(model, recipe, data_dir)
    return _results(model, images, ask, progress=progress, ledger=ledger)


def _images(model: nn.Module, recipe: Recipe, data_dir: Path | None) -> _Images:
    """Open the images that a recipe is judged on, and lay its model out for them."""
    if recipe.channels_last:
        engine.to_channels_last(model)
    return _Images(
        whole=loading.judged_on(recipe, loading.open_images(recipe, data_dir)),
        batches=partial(loading.batches, recipe),
        dataset=recipe.dataset,
        split=recipe.evaluation.split,
        data_dir=data_dir,
    )


@dataclass(frozen=True, kw_only=True)
class _Images:
    """What is corrupted: all images of a split, how they become batches, and where sets lie."""

    whole: loading.Piece
    batches: Callable[[loading.Piece], loading.Loader]
    dataset: str
    split: str
    data_dir: Path | None

    def first(self, n: int | None) -> loading.Loader:
        """Give the batches of the first n images, or of all."""
        whole = self.whole
        return self.batches(whole if n is None else data.first(whole, min(n, len(whole))))


def _results(
    model: nn.Module,
    images: _Images,
    ask: Ask,
    *,
    progress: bool,
    ledger: Ledger | None = None,
) -> CorruptionResults:
    # Looked for first: a baseline that does not fit must not be found out after hours.
    baseline = None if ask.baseline is None else fitting(ask.baseline, *_asked(images, ask))
    if ask.corruptions in data.CORRUPTED:
        own = _on_files(model, images, ask, progress=progress, ledger=ledger)
    else:
        own = _on_the_fly(model, ask, images.first(ask.n), progress=progress, ledger=ledger)
    return replace(own, baseline=baseline)


def _asked(images: _Images, ask: Ask) -> tuple[Setting, tuple[str, ...]]:
    """Say what will be judged, and over which corruptions the mean will be."""
    severities, files_of = read_severities(ask.severities), None
    if ask.corruptions in data.CORRUPTED:
        found, files_of = data.load_corrupted(ask.corruptions, images.data_dir), ask.corruptions
        n, over = len(found.part(found.corruptions[0], severities[0])), averaged(found.corruptions)
    else:
        named = read_corruptions(ask.corruptions, frost=ask.frost)
        n, over = len(images.whole), averaged(named, aside_of(named, procedural=ask.procedural))
    setting = Setting(
        dataset=images.dataset,
        files=files_of,
        split=images.split,
        n=n if ask.n is None else min(ask.n, n),
        severities=severities,
    )
    return setting, over


def _on_the_fly(
    model: nn.Module,
    ask: Ask,
    clean: loading.Loader,
    *,
    progress: bool,
    ledger: Ledger | None,
) -> CorruptionResults:
    team, named = engine.processes(), read_corruptions(ask.corruptions, frost=ask.frost)
    severities = read_severities(ask.severities)
    if len(named) < team.world:
        raise InputError(
            f"there must be a corruption for each of the {team.world} processes; got {len(named)}."
        )
    mine: dict[str, Corruption[Any, Any]] = dict(list(named.items())[team.rank :: team.world])
    with _bars(len(clean.split) * len(severities), shown=progress and team.first) as report:
        own = corrupted(
            model,
            clean,
            corruptions=mine,
            severities=severities,
            rng=engine.generator(ask.seed, "corruptions"),
            procedural=ask.procedural,
            report=report,
            ledger=ledger,
        )
    return _together(team.collect(own) if team.several else [own], tuple(named))


def _together(parts: Sequence[CorruptionResults], names: Sequence[str]) -> CorruptionResults:
    """Put the processes' corruptions side by side again, in the order asked for."""
    correct = {name: counts for part in parts for name, counts in part.correct.items()}
    return replace(
        parts[0],
        correct={name: correct[name] for name in names},
        aside=frozenset().union(*(part.aside for part in parts)),
        ece={name: sure for part in parts for name, sure in part.ece.items()},
        forward=sum(part.forward for part in parts),
        seconds=max(part.seconds for part in parts),
    )


def _on_files(
    model: nn.Module,
    images: _Images,
    ask: Ask,
    *,
    progress: bool,
    ledger: Ledger | None,
) -> CorruptionResults:
    """Judge on a published set; every process judges all of it."""
    found = data.load_corrupted(ask.corruptions, images.data_dir)
    severities, clean = read_severities(ask.severities), images.first(ask.n)
    shown = progress and engine.processes().first
    # Published sets are of test images; Tiny-ImageNet-C's were cut from other pictures even so.
    namesake = ask.corruptions.removesuffix("-c") == images.dataset
    twin = namesake and images.split == "test" and "tiny" not in images.dataset
    with _bars((ask.n or len(clean.split)) * len(severities), shown=shown) as report:
        parts = _parts(found, images, severities, ask.n)
        twins = clean if twin else ()
        return on_files(model, parts, clean=twins, report=report, ledger=ledger)


def _parts(
    found: data.CorruptedSet, images: _Images, severities: Sequence[int], n: int | None
) -> Iterator[tuple[str, int, Batches]]:
    for name in found.corruptions:
        for severity in severities:
            part = found.part(name, severity)
            few = part if n is None else data.first(part, min(n, len(part)))
            yield name, severity, images.batches(few)


def _bars(total: int, *, shown: bool) -> Any:  # ruff: ignore[any-type] — one of two contexts
    return counting(total) if shown else nullcontext()


def _facts(recipe: Recipe) -> Record:
    """Say in every record which model was judged."""
    return {
        "recipe": recipe.name,
        "method": recipe.method,
        "scale": recipe.scale,
        "dataset": recipe.dataset,
        "model": recipe.model.name,
        "train_seed": recipe.seed,
        "split": recipe.evaluation.split,
    }
