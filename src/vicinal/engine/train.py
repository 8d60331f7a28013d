"""The training loop: an objective, a loader and a model come in, one record per epoch comes out.

The loop knows no method, no data set and no file format. Every draw of epoch e is a function of
(seed, e): the loader's from the key (seed, "order", e), the objective's from
(seed, "objective", e), the model's own (dropout) from (seed, "model", e). Nothing is read from the
device inside an epoch.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, get_args

import torch
from torch import Tensor

from vicinal._checks import InputError, NotFinite, choice, count, number
from vicinal._typing import Batch, Model
from vicinal.engine.optimizers import OptimizerSpec, build_optimizer
from vicinal.engine.precision import Precision, autocast, on_device, to_channels_last
from vicinal.engine.run_folder import RunFolder
from vicinal.engine.schedule import Schedule
from vicinal.engine.seeding import deterministic, generator, isolated
from vicinal.records import Record

__all__ = ["Diverged", "Loader", "Loss", "train"]


class Diverged(InputError):
    """The loss, a logit or a weight became infinite or NaN; the last good checkpoint stands."""


class Loader(Protocol):
    """Training data in batches, whose order and augmentation come from a generator."""

    def __len__(self) -> int:
        """Return the number of batches of every epoch."""
        ...

    def epoch(self, rng: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch, drawing from `rng` (a CPU generator) alone."""
        ...


class Loss(Protocol):
    """What training needs of an objective."""

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the scalar loss of a batch."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What stays the same throughout a run."""

    model: Model
    objective: Loss
    loader: Loader
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    epochs: int
    steps: int
    seed: int
    precision: Precision
    channels_last: bool
    report: Callable[[int, int], None] | None

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return next(self.model.parameters()).device


def train(
    model: Model,
    objective: Loss,
    loader: Loader,
    *,
    optimizer: OptimizerSpec,
    schedule: Schedule,
    epochs: int,
    seed: int = 0,
    precision: Precision = "fp32",
    channels_last: bool = False,
    run_dir: Path | None = None,
    checkpoint_every: int = 1,
    max_seconds: float = math.inf,
    report: Callable[[int, int], None] | None = None,
) -> Iterator[Record]:
    r"""Train a model, epoch by epoch. A generator: nothing happens until it is iterated.

    With `run_dir` the run can be killed at any moment and called again with the same arguments: it
    goes on after the last checkpoint and, on the same device and thread count, ends with the same
    weights. A finished run yields nothing and leaves the model with its final weights.

    Args:
        model: Trained in place where it lives; in train mode during an epoch, and left in eval mode
            at each yield and at the end, however that comes.
        objective: (model, x, y, rng=rng) -> scalar loss; called once per batch.
        loader: `len(loader)` batches an epoch from `loader.epoch(rng)`.
        optimizer: Its kind and its peak rate, such as `SGD(lr=0.1)`.
        schedule: Which part of the peak each step takes, such as `Cyclic(peak=0.15)`.
        epochs: Length of the run, at least 1.
        seed: Which draws, a non-negative integer.
        precision: "fp32" or "bf16".
        channels_last: Whether convolutions see their weights and images channels-last.
        run_dir: Folder for metrics.jsonl, checkpoint.pt and weights.safetensors; none, no files.
        checkpoint_every: Epochs between checkpoints; a kill loses at most as many.
        max_seconds: The call ends, checkpointed, after the first epoch that reaches this time.
        report: Called after every step with (steps done, steps of the epoch), for a progress bar.

    Yields:
        One record per epoch, already on disk: kind, epoch (from 1), epochs, loss (mean over the
        images), lr (of the last step), seconds, images_per_second.

    Example:
        >>> class Points:
        ...     def __len__(self):
        ...         return 2
        ...
        ...     def epoch(self, rng):
        ...         for _ in range(2):
        ...             x = torch.rand(8, 1, 2, 2, generator=rng)
        ...             yield x, (x.mean(dim=(1, 2, 3)) > 0.5).long()
        >>> def cross_entropy(model, x, y, *, rng=None):
        ...     return torch.nn.functional.cross_entropy(model(x), y)
        >>> from vicinal.engine import SGD, Cyclic
        >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> for record in train(
        ...     net, cross_entropy, Points(), optimizer=SGD(), schedule=Cyclic(), epochs=2
        ... ):
        ...     print(record["epoch"], round(record["lr"], 3))
        1 0.075
        2 0.025

    Differs from a hand-written loop: cuDNN is held to deterministic algorithms, and torch's global
    generators are given back after every epoch as they were.
    """
    began = time.perf_counter()
    choice("precision", precision, get_args(Precision))
    count("checkpoint_every", checkpoint_every)
    number("max_seconds", max_seconds, low=0.0)
    job = _Job(
        model=to_channels_last(model) if channels_last else model,
        objective=objective,
        loader=loader,
        optimizer=build_optimizer(model.parameters(), optimizer),
        schedule=schedule,
        epochs=count("epochs", epochs),
        steps=count("len(loader)", len(loader)),
        seed=count("seed", seed, low=0),
        precision=precision,
        channels_last=channels_last,
        report=report,
    )
    folder = None
    if run_dir is not None:
        folder = RunFolder(path=Path(run_dir), arguments=_arguments(job, optimizer))
    try:
        done = folder.restore(model, job.optimizer) if folder else 0
        for epoch in range(done + 1, job.epochs + 1):
            record = _one_epoch(job, epoch)
            late = time.perf_counter() - began >= max_seconds
            if folder:
                due = late or epoch % checkpoint_every == 0
                folder.keep(record, model, job.optimizer, checkpointed=due)
            yield record
            if late:
                return
    finally:
        model.eval()


def _arguments(job: _Job, optimizer: OptimizerSpec) -> dict[str, int | str]:
    """Describe what must be the same for a run to be resumed."""
    described = {
        "objective": repr(job.objective),
        "optimizer": repr(optimizer),
        "schedule": repr(job.schedule),
    }
    # A plain function's repr holds its address, which differs in every process.
    words = {name: re.sub(r" at 0x[0-9a-fA-F]+", "", word) for name, word in described.items()}
    numbers = {"epochs": job.epochs, "seed": job.seed, "len(loader)": job.steps}
    return {**numbers, "precision": job.precision, **words}


def _one_epoch(job: _Job, epoch: int) -> Record:
    """Make the steps of one epoch, then read its loss from the device."""
    began = time.perf_counter()
    total, images, step = torch.zeros((), device=job.device), 0, 0
    rng = generator(job.seed, "objective", epoch, device=job.device)
    job.model.train()
    with isolated(job.seed, "model", epoch), deterministic():
        batches = job.loader.epoch(generator(job.seed, "order", epoch))
        for step, (x, y) in enumerate(batches, 1):
            _set_rate(job, epoch - 1 + (step - 0.5) / job.steps)
            try:
                total += x.shape[0] * _step(job, x, y, rng)
            except NotFinite as error:
                raise _diverged(job, epoch, "a logit") from error
            images += x.shape[0]
            if job.report:
                job.report(step, job.steps)
    job.model.eval()
    _check_steps(step, job.steps)
    loss = _read_once(job, total, epoch) / images
    seconds = time.perf_counter() - began
    return {
        "kind": "epoch",
        "epoch": epoch,
        "epochs": job.epochs,
        "loss": loss,
        "lr": job.optimizer.param_groups[0]["lr"],
        "seconds": seconds,
        "images_per_second": images / seconds,
    }


def _check_steps(made: int, promised: int) -> None:
    if made != promised:
        raise InputError(f"`loader` must yield len(loader) = {promised} batches; got {made}.")


def _set_rate(job: _Job, progress_epochs: float) -> None:
    factor = job.schedule.factor(progress_epochs, job.epochs)
    for group in job.optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def _step(job: _Job, x: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
    """Make one step; the loss before it stays on the device."""
    x = on_device(x, job.device, channels_last=job.channels_last)
    y = on_device(y, job.device)
    job.optimizer.zero_grad(set_to_none=True)
    with autocast(job.precision, job.device):
        loss = job.objective(job.model, x, y, rng=rng)
    if loss.ndim != 0:
        raise InputError(
            f"`objective` must return a scalar loss; got shape {tuple(loss.shape)}. Take its mean?"
        )
    loss.backward()  # type: ignore[no-untyped-call]
    job.optimizer.step()
    return loss.detach().float()


def _read_once(job: _Job, total: Tensor, epoch: int) -> float:
    """Read the summed loss, and whether the weights are finite: the last step may break them."""
    with torch.no_grad():
        state = [tensor for tensor in job.model.state_dict().values() if tensor.is_floating_point()]
        finite = torch.stack([tensor.isfinite().all().to(total.device) for tensor in state]).all()
        loss, sound = torch.stack([total, finite.to(total.dtype)]).tolist()
    if not (math.isfinite(loss) and sound):
        raise _diverged(job, epoch, "the loss" if not math.isfinite(loss) else "a weight")
    return float(loss)


def _diverged(job: _Job, epoch: int, what: str) -> Diverged:
    peak = max(group["initial_lr"] for group in job.optimizer.param_groups)
    fix = ", train in fp32" if job.precision == "bf16" else ""
    return Diverged(
        f"training diverged in epoch {epoch} of {job.epochs}: {what} became infinite or NaN at "
        f"a peak rate of {peak:g}. Lower `lr`, warm it up (schedule cyclic or cosine){fix}, or "
        "look for bad pixels in the data?"
    )
