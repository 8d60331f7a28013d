"""The training loop: an objective, a loader and a model come in, one record per epoch comes out.

The loop knows no method, no data set and no file format. Every draw of epoch e is a function of
(seed, e): the loader's from the key (seed, "order", e), the objective's from
(seed, "objective", e), the model's own (dropout) from (seed, "model", e). Nothing is read from the
device inside an epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from vicinal._checks import InputError, NotFinite, count, number
from vicinal._typing import Model
from vicinal.engine.batches import Loader, batches_of, counted_here
from vicinal.engine.compiled import Compiled
from vicinal.engine.distributed import Processes, processes
from vicinal.engine.ema import Average
from vicinal.engine.optimizers import OptimizerSpec, build_optimizer
from vicinal.engine.precision import Precision, to_channels_last
from vicinal.engine.risk import Loss
from vicinal.engine.run_folder import RunFolder
from vicinal.engine.schedule import Schedule
from vicinal.engine.seeding import deterministic, generator, isolated
from vicinal.engine.selection import Best, Validate
from vicinal.engine.step import Work, make_step
from vicinal.engine.switches import Select, Switches
from vicinal.maths.share import Scope
from vicinal.records import Record

__all__ = ["Diverged", "Loader", "Loss", "train"]


class Diverged(InputError):
    """The loss, a logit or a weight became infinite or NaN; the last good checkpoint stands."""


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What stays the same throughout a run."""

    work: Work
    loader: Loader
    schedule: Schedule
    epochs: int
    steps: int
    seed: int
    validate: Validate | None
    best: Best | None
    report: Callable[[int, int], None] | None

    @property
    def team(self) -> Processes:
        """The processes that train together."""
        return self.work.team

    @property
    def judged(self) -> Model:
        """The model that is validated and handed over: the averaged one, where there is one."""
        return self.work.average.model if self.work.average else self.work.model


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
    ema: float | None = None,
    accumulate: int = 1,
    compile: str | None = None,
    validate: Validate | None = None,
    select: Select = "last",
    mix_scope: Scope = "local",
    run_dir: Path | None = None,
    checkpoint_every: int = 1,
    max_seconds: float = math.inf,
    report: Callable[[int, int], None] | None = None,
) -> Iterator[Record]:
    r"""Train a model, epoch by epoch. A generator: nothing happens until it is iterated.

    With `run_dir` the run can be killed at any moment and called again with the same arguments: it
    goes on after the last checkpoint and, on the same device and thread count, ends with the same
    weights. A finished run yields nothing. When the last record is yielded the model holds the
    run's final weights, those of weights.safetensors.

    Args:
        model: Trained in place where it lives; in train mode during an epoch, and left in eval mode
            at each yield and at the end, however that comes.
        objective: (model, x, y, rng=rng) -> scalar loss; called once per micro-batch.
        loader: `len(loader)` batches an epoch from `loader.epoch(rng)`.
        optimizer: Its kind and its peak rate, such as `SGD(lr=0.1)`.
        schedule: Which part of the peak each step takes, such as `Cyclic(peak=0.15)`.
        epochs: Length of the run, at least 1.
        seed: Which draws, a non-negative integer.
        precision: "fp32" or "bf16".
        channels_last: Whether convolutions see their weights and images channels-last.
        ema: Decay of averaged weights, which are then the ones validated and the run's final ones;
            0.995 is usual. None: the last step's weights.
        accumulate: Into how many micro-batches each batch is cut, for memory's sake; `make_step`
            says what that means for mixing, draws and BatchNorm.
        compile: Backend of `torch.compile` for the model's passes in training, such as "inductor".
        validate: (model, epoch) -> fields for the epoch's record, called after every epoch; none
            where it does not judge one. Of several processes the first one's answer counts.
        select: "last", or "best": the run's final weights are those whose `score` in the record of
            `validate` was highest, the earliest of several.
        mix_scope: Of several processes: whether an image's partner comes from the own rows of a
            batch, "local", or from all, "global".
        run_dir: Folder for metrics.jsonl, checkpoint.pt and weights.safetensors; none, no files.
        checkpoint_every: Epochs between checkpoints; a kill loses at most as many.
        max_seconds: The call ends, checkpointed, after the first epoch that reaches this time.
        report: Called after every step with (steps done, steps of the epoch), for a progress bar.

    Yields:
        One record per epoch, already on disk: kind, epoch (from 1), epochs, loss (mean over the
        images), lr (of the last step), seconds, images_per_second (the validation's not counted),
        and the fields of `validate`.

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
    count("checkpoint_every", checkpoint_every)
    number("max_seconds", max_seconds, low=0.0)
    switches = Switches(
        precision=precision,
        channels_last=channels_last,
        ema=ema,
        accumulate=accumulate,
        compile=compile,
        select=select,
        mix_scope=mix_scope,
    )
    job = _Job(
        work=_work(model, objective, optimizer, switches),
        loader=loader,
        schedule=schedule,
        epochs=count("epochs", epochs),
        steps=count("len(loader)", len(loader)),
        seed=count("seed", seed, low=0),
        validate=validate,
        best=_best(switches, validate),
        report=report,
    )
    folder = None if run_dir is None else _folder(job, Path(run_dir), optimizer)
    try:
        done = _restored(job, folder) if folder else 0
        for epoch in range(done + 1, job.epochs + 1):
            record = {**_one_epoch(job, epoch), **_validated(job, epoch)}
            late = job.team.led(lambda: time.perf_counter() - began >= max_seconds)
            if folder:
                _keep(job, folder, record, checkpointed=late or epoch % checkpoint_every == 0)
            if epoch == job.epochs:
                _finish(job, folder)
            yield record
            if late:
                return
    finally:
        model.eval()


def _work(model: Model, objective: Loss, optimizer: OptimizerSpec, switches: Switches) -> Work:
    if switches.channels_last:
        to_channels_last(model)
    called = Compiled(model, backend=switches.compile) if switches.compile else model
    team = processes()
    return Work(
        model=model,
        called=called,
        objective=objective,
        optimizer=build_optimizer(model.parameters(), optimizer),
        switches=switches,
        average=Average(model, decay=switches.ema) if switches.ema else None,
        team=team,
        risk=team.risk(called, objective),
    )


def _best(switches: Switches, validate: Validate | None) -> Best | None:
    if switches.select == "last":
        return None
    if validate is None:
        raise InputError(
            "`select` can be 'best' only with `validate`, a judgement on held-out images; got "
            "none. Hold some out, or select the last?"
        )
    return Best()


def _folder(job: _Job, path: Path, optimizer: OptimizerSpec) -> RunFolder:
    """Describe the run's folder: what a resume compares, and what it restores."""
    things = {
        "objective": job.work.objective,
        "optimizer": optimizer,
        "schedule": job.schedule,
    }
    numbers = {"epochs": job.epochs, "seed": job.seed, "len(loader)": job.steps}
    kept = {"average": job.work.average, "best": job.best}
    return RunFolder(
        path=path,
        arguments={**numbers, **job.work.switches.words()},
        things=things,
        also={name: part for name, part in kept.items() if part is not None},
    )


def _restored(job: _Job, folder: RunFolder) -> int:
    """Bring every process to the last checkpoint, which the first one alone reads, or the end."""
    model, optimizer, team = job.work.model, job.work.optimizer, job.team
    done = team.led(lambda: folder.restore(model, optimizer))
    team.align(list(model.state_dict().values()))
    if team.several:
        parts = {"optimizer": optimizer, **folder.also}
        states = team.led(lambda: {name: part.state_dict() for name, part in parts.items()})
        for name, part in parts.items():
            part.load_state_dict(states[name])
    if done == job.epochs:
        _finish(job, folder)
    return done


def _keep(job: _Job, folder: RunFolder, record: Record, *, checkpointed: bool) -> None:
    model, optimizer = job.work.model, job.work.optimizer
    job.team.led(lambda: folder.keep(record, model, optimizer, checkpointed=checkpointed))


def _finish(job: _Job, folder: RunFolder | None) -> None:
    """Write the run's final weights and hand them over in the model."""
    last = job.judged.state_dict()
    chosen = job.best.weights if job.best else last
    if folder:
        job.team.led(partial(folder.finish, chosen, last))
    if chosen is not last or job.work.average:
        job.work.model.load_state_dict(chosen)


def _one_epoch(job: _Job, epoch: int) -> Record:
    """Make the steps of one epoch, then read its loss from the device."""
    began = time.perf_counter()
    job.work.called.train()
    with isolated(*job.team.keys(job.seed, "model", epoch)), deterministic():
        total, own = _steps(job, epoch)
    job.work.called.eval()
    loss, images = _read_once(job, total, own, epoch)
    seconds = time.perf_counter() - began
    return {
        "kind": "epoch",
        "epoch": epoch,
        "epochs": job.epochs,
        "loss": loss / images,
        "lr": job.work.optimizer.param_groups[0]["lr"],
        "seconds": seconds,
        "images_per_second": images / seconds,
    }


def _steps(job: _Job, epoch: int) -> tuple[Tensor, int]:
    """Make the steps; return the summed loss of the own images, and how many they are."""
    device = job.work.device
    total, images, step = torch.zeros((), device=device), 0, 0
    keys = (job.seed, "objective", epoch)
    rng = job.team.generator(*keys, device=device, scope=job.work.switches.mix_scope)
    order = generator(job.seed, "order", epoch)
    for step, (x, y) in enumerate(batches_of(job.loader, order, rng=rng), 1):
        _set_rate(job, epoch - 1 + (step - 0.5) / job.steps)
        try:
            n = counted_here(x.shape[0], rng)
            total += n * make_step(job.work, x, y, rng=rng)
        except NotFinite as error:
            raise _diverged(job, epoch, "a logit") from error
        images += n
        if job.report:
            job.report(step, job.steps)
    _check_steps(step, job.steps)
    return total, images


def _validated(job: _Job, epoch: int) -> Record:
    """Judge the weights after an epoch with the same draws each time, and remember the best."""
    if job.validate is None:
        return {}
    with isolated(job.seed, "validation"), deterministic():
        found = job.team.collect(job.validate(job.judged, epoch))[0]
    if job.best and found:
        job.best.see(job.judged, {**found, "epoch": epoch})
    return found


def _check_steps(made: int, promised: int) -> None:
    if made != promised:
        raise InputError(f"`loader` must yield len(loader) = {promised} batches; got {made}.")


def _set_rate(job: _Job, progress_epochs: float) -> None:
    factor = job.schedule.factor(progress_epochs, job.epochs)
    for group in job.work.optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def _read_once(job: _Job, total: Tensor, images: int, epoch: int) -> tuple[float, int]:
    """Read the summed loss, and whether the weights are finite: the last step may break them."""
    # Running statistics are each process's own until now.
    for model in (job.work.model, job.judged):
        job.team.align(list(model.buffers()))
    with torch.no_grad():
        state = [
            tensor for tensor in job.work.model.state_dict().values() if tensor.is_floating_point()
        ]
        finite = torch.stack([tensor.isfinite().all().to(total.device) for tensor in state]).all()
        own, sound = torch.stack([total, finite.to(total.dtype)]).tolist()
    loss, seen = job.team.total([own, images])
    if not (math.isfinite(loss) and sound):
        raise _diverged(job, epoch, "the loss" if not math.isfinite(loss) else "a weight")
    return loss, int(seen)


def _diverged(job: _Job, epoch: int, what: str) -> Diverged:
    peak = max(group["initial_lr"] for group in job.work.optimizer.param_groups)
    fix = ", train in fp32" if job.work.switches.precision == "bf16" else ""
    return Diverged(
        f"training diverged in epoch {epoch} of {job.epochs}: {what} became infinite or NaN at "
        f"a peak rate of {peak:g}. Lower `lr`, warm it up (schedule cyclic or cosine){fix}, or "
        "look for bad pixels in the data?"
    )
