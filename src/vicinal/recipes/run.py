"""A run is a folder: train a recipe into it, go on with it, load the model out of it.

    environment.json      versions, device, threads, processor, command, date, where the data lay
    recipe.yaml           the resolved recipe, written before the first checkpoint
    metrics.jsonl         one line per epoch
    checkpoint.pt         what is needed to go on, replaced atomically
    weights.safetensors   the trained weights, written at the end: the averaged ones where the
                          recipe has `ema`, the best epoch's where it says `select: best`
    last.safetensors      the last epoch's, where the best were selected
    tensorboard           scalars of the epochs, where asked for

The seed governs the initial weights, the order and augmentation of the data, and the objective's
draws. The model normalises by mean and standard deviation of the full training split, also where
only a subset of it is trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vicinal import engine, records
from vicinal._checks import InputError
from vicinal.objectives import ManifoldMixUp
from vicinal.recipes import files, loading, own_set, resolve
from vicinal.recipes.device import pick_device
from vicinal.recipes.folder import (
    data_folder,
    default_folder,
    open_folder,
    run_device,
    tell_processes,
)
from vicinal.recipes.lock import alone
from vicinal.recipes.progress import training_bar
from vicinal.recipes.schema import Recipe
from vicinal.recipes.tensorboard import summary_writer, written
from vicinal.recipes.too_large import in_one_sentence
from vicinal.recipes.validation import check_selection, validator
from vicinal.records import Record

__all__ = [
    "Run",
    "follow",
    "load",
    "resume",
    "stream",
    "train",
]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run.

    Args:
        path: Its folder.
        recipe: The resolved recipe.
        metrics: One record per epoch.
    """

    path: Path
    recipe: Recipe
    metrics: list[Record]


def train(
    recipe: str,
    *,
    data_dir: str | Path | None = None,
    method: str | None = None,
    preset: str = "paper",
    scale: str = "full",
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    run_dir: str | Path | None = None,
    device: str = "auto",
    progress: bool = False,
    tensorboard: bool = False,
) -> Run:
    """Train one method of a recipe into a run folder, or go on with what lies there.

    Somebody's own set ("npz", "image-folder") with fewer images than the scale's subset is trained
    on whole; a `train_subset` among the overrides that it does not have is an error.

    Args:
        recipe: The recipe's name, such as "alps/cifar10-preactresnet18", or a `.yaml` file.
        data_dir: Where the data sets lie; bundled ones need none.
        method: The row, such as "mixup"; by default the paper's own method.
        preset: "paper", or "tuned": weight decay 5e-4, averaged weights, bf16, the best epoch on
            held-out training images, 8/255 for methods that attack.
        scale: "smoke", "small", "medium" or "full" (the paper's).
        seed: Governs initial weights, data order, augmentation and the objective's draws.
        overrides: Fields by dotted name, such as {"epochs": 15, "objective.eps": 0.3}.
        run_dir: The folder; by default runs/<recipe>-<method>-<scale>-seed<seed>, the preset after
            the method where it is not the paper's.
        device: "auto", "cpu", "cuda" or "mps".
        progress: Whether to show a progress bar on stderr.
        tensorboard: Whether to write the epochs' scalars for TensorBoard into the run folder.

    Returns:
        The run.

    Example:
        >>> import tempfile
        >>> import torch
        >>> few = {"epochs": 1, "train_subset": 200}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = train("alps/cifar10-vgg16", scale="smoke", overrides=few, run_dir=folder)
        ...     model = load(run.path)
        >>> run.recipe.method, len(run.metrics), model(torch.rand(2, 1, 8, 8)).shape
        ('alps', 1, torch.Size([2, 10]))
    """
    chosen = files.recipe(
        recipe, method=method, preset=preset, scale=scale, seed=seed, overrides=overrides
    )
    folder = default_folder(chosen) if run_dir is None else Path(run_dir)
    where = data_folder(folder, data_dir)
    chosen = own_set.fitted(chosen, given=overrides or (), data_dir=where)
    steps = follow if progress else stream
    return _finish(
        steps(chosen, run_dir=folder, data_dir=data_dir, device=device, tensorboard=tensorboard),
        folder,
    )


def resume(
    run_dir: str | Path,
    *,
    data_dir: str | Path | None = None,
    device: str = "auto",
    progress: bool = False,
    tensorboard: bool = False,
) -> Run:
    """Go on with an interrupted run; a finished one is returned as it is.

    Args:
        run_dir: The run folder.
        data_dir: Where the data sets lie; by default where they lay when the run began.
        device: "cpu", "cuda", "mps", or "auto" for the one that the run began on; the same bits
            come out on the same device and number of threads only.
        progress: Whether to show a progress bar on stderr.
        tensorboard: Whether to write the epochs' scalars for TensorBoard into the run folder.

    Returns:
        The run.
    """
    folder = Path(run_dir)
    chosen = files.read(folder / "recipe.yaml")
    steps = follow if progress else stream
    return _finish(
        steps(chosen, run_dir=folder, data_dir=data_dir, device=device, tensorboard=tensorboard),
        folder,
    )


def _finish(steps: Iterator[Record], folder: Path) -> Run:
    for _ in steps:
        pass
    metrics = records.read(folder / engine.METRICS)
    return Run(path=folder, recipe=files.read(folder / "recipe.yaml"), metrics=metrics)


def _nothing() -> None:
    pass


def _is_left(run_dir: Path) -> bool:
    """Tell whether there is something left to train: the weights are written last."""
    return not (run_dir / engine.WEIGHTS).is_file()


def follow(
    recipe: Recipe,
    *,
    run_dir: Path,
    data_dir: str | Path | None = None,
    device: str = "auto",
    tensorboard: bool = False,
    begin: Callable[[], None] = _nothing,
) -> Iterator[Record]:
    """Train a resolved recipe as `stream` does, with a progress bar on stderr.

    Args:
        recipe: The resolved recipe.
        run_dir: The run folder.
        data_dir: Where the data sets lie.
        device: "auto", "cpu", "cuda" or "mps".
        tensorboard: Whether to write scalars for TensorBoard into the folder.
        begin: Called once before the first epoch that is left to do; never if none is.

    Yields:
        One record per epoch.
    """
    # Whatever can refuse the run does so before a bar is drawn.
    job = _prepare(
        recipe, run_dir=run_dir, data_dir=data_dir, device=device, tensorboard=tensorboard
    )
    with _opened(job, run_dir, data_dir=data_dir):
        left = _is_left(run_dir)
        if left:
            begin()
        if not left or not engine.processes().first:
            yield from _epochs(job, run_dir=run_dir, report=None)
            return
        done = len(records.read(run_dir / engine.METRICS))
        with training_bar(recipe, done=done) as bar:
            for record in _epochs(job, run_dir=run_dir, report=bar.step):
                bar.epoch(record)
                yield record


def stream(
    recipe: Recipe,
    *,
    run_dir: Path,
    data_dir: str | Path | None = None,
    device: str = "auto",
    report: Callable[[int, int], None] | None = None,
    tensorboard: bool = False,
    begin: Callable[[], None] = _nothing,
) -> Iterator[Record]:
    """Train a resolved recipe, yielding one record per epoch as it ends.

    Args:
        recipe: The resolved recipe.
        run_dir: The run folder; made where missing, gone on with where it holds the same recipe.
        data_dir: Where the data sets lie.
        device: "auto", "cpu", "cuda" or "mps".
        report: Called after every step with (steps done, steps of the epoch).
        tensorboard: Whether to write scalars for TensorBoard into the folder.
        begin: Called once before the first epoch that is left to do; never if none is.

    Yields:
        Records with `epoch` (from 1) and `loss`; those of epochs already done are not repeated.
    """
    job = _prepare(
        recipe, run_dir=run_dir, data_dir=data_dir, device=device, tensorboard=tensorboard
    )
    with _opened(job, run_dir, data_dir=data_dir):
        if _is_left(run_dir):
            begin()
        yield from _epochs(job, run_dir=run_dir, report=report)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What stands ready to be trained."""

    recipe: Recipe
    device: torch.device
    model: nn.Module
    loader: loading.Loader
    validate: engine.Validate | None
    tensorboard: bool


def _prepare(
    recipe: Recipe,
    *,
    run_dir: Path,
    data_dir: str | Path | None,
    device: str,
    tensorboard: bool,
) -> _Job:
    where = run_device(run_dir, device)
    _check_partners(recipe)
    check_selection(recipe)
    if tensorboard:
        summary_writer()
    images = loading.open_images(recipe, data_folder(run_dir, data_dir))
    recipe = loading.with_data(recipe, images)
    model = _initial_model(recipe).to(where)
    if recipe.sync_batchnorm:
        model = engine.in_step(model)
    _check_layers(recipe, model)
    team = engine.processes()
    part = {"rank": team.rank, "world": team.world}
    loader = loading.training_loader(recipe, images, where, **part)
    validate = None
    if recipe.validation is not None:
        validate = validator(recipe, loading.validation_batches(recipe, images, where, **part))
    return _Job(
        recipe=recipe,
        device=where,
        model=model,
        loader=loader,
        validate=validate,
        tensorboard=tensorboard,
    )


@contextmanager
def _opened(job: _Job, run_dir: Path, *, data_dir: str | Path | None) -> Generator[None]:
    """Hold the run folder while it is trained into, by the first process for all of them."""
    team = engine.processes()
    with ExitStack() as stack:

        def take() -> None:
            stack.enter_context(alone(run_dir, work="training", option="--run-dir"))
            open_folder(job.recipe, run_dir, device=job.device, data_dir=data_dir)

        # Last of what can refuse the recipe: a refused one leaves no folder behind.
        team.led(take)
        tell_processes(job.recipe, run_dir)
        yield


def _check_layers(recipe: Recipe, model: nn.Module) -> None:
    """Let an objective that names layers of the model look for them before a folder is made."""
    objective = resolve.objective(recipe)
    if isinstance(objective, ManifoldMixUp):
        objective.check(model)


def _check_partners(recipe: Recipe) -> None:
    if recipe.batch_size == 1 and resolve.mixes(recipe):
        raise InputError(
            f"`batch_size` must be at least 2 for {recipe.objective.name}, which mixes every image "
            "with another of its batch; got 1."
        )


def _epochs(
    job: _Job, *, run_dir: Path, report: Callable[[int, int], None] | None
) -> Iterator[Record]:
    recipe, write_too = job.recipe, job.tensorboard and engine.processes().first
    with in_one_sentence(recipe), written(run_dir, on=write_too) as write:
        for record in engine.train(
            job.model,
            resolve.objective(recipe),
            job.loader,
            optimizer=resolve.optimizer(recipe),
            schedule=resolve.schedule(recipe),
            epochs=recipe.epochs,
            seed=recipe.seed,
            precision=recipe.precision,
            channels_last=recipe.channels_last,
            ema=recipe.ema,
            accumulate=recipe.accumulate,
            compile="inductor" if recipe.compile else None,
            validate=job.validate,
            select=recipe.select,
            mix_scope=recipe.mix_scope,
            run_dir=run_dir,
            report=report,
        ):
            write(record)
            yield record


def _initial_model(recipe: Recipe) -> nn.Module:
    """Build the net from the recipe's seed; torch's global generator is left as it was."""
    with engine.isolated(recipe.seed, "initial weights"):
        return resolve.model(recipe)


def load(path: str | Path, *, device: str = "cpu") -> nn.Module:
    """Load the trained model of a run folder, in eval mode.

    Args:
        path: The run folder.
        device: Where the model shall lie: "cpu", "cuda", "mps" or "auto".

    Returns:
        The model with the run's final weights: the averaged ones where the recipe has `ema`, those
        of the best epoch where it selects it. Pixels in [0, 1] go in, logits come out.

    Raises:
        InputError: If the folder holds no finished run.
    """
    folder = Path(path)
    recipe = files.read(folder / "recipe.yaml")
    weights = folder / engine.WEIGHTS
    if not weights.is_file():
        raise InputError(
            f"{folder} holds no weights yet: finish it with `vicinal train --resume {folder}`."
        )
    net = _initial_model(recipe)
    engine.load_weights(weights, net)
    return net.to(pick_device(device)).eval()
