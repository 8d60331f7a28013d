"""Number formats, memory layouts and compilation, against plain fp32; seconds per CIFAR-10 epoch.

Seconds per epoch are told twice: reckoned from the median training step (391 of them at batch 128,
nothing else), and from an epoch of the engine, loader and augmentation included, over a subset,
times the steps of a whole epoch over those of the subset.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from benchmarks.nets import (
    batch_of,
    loader_of,
    preactresnet18,
    steps_per_epoch,
    still_sgd,
    training_step,
)
from benchmarks.progress import Bar
from benchmarks.settings import Settings
from benchmarks.timing import Comparison, Figure, Work, compare, interleave, seconds
from vicinal._checks import InputError
from vicinal.engine import SGD, Constant, Precision, on_device, to_channels_last, train
from vicinal.engine.compiled import Compiled
from vicinal.objectives import ERM

__all__ = ["Format", "formats", "measure"]


@dataclass(frozen=True, kw_only=True)
class Format:
    """How a net computes.

    Args:
        precision: "fp32" or "bf16".
        channels_last: The layout of weights and images.
        compiled: Whether through torch.compile, as the switch of the engine does it.
    """

    precision: Precision = "fp32"
    channels_last: bool = False
    compiled: bool = False

    @property
    def name(self) -> str:
        """What the report calls it."""
        parts = [self.precision, "channels-last" * self.channels_last, "compile" * self.compiled]
        return " + ".join(part for part in parts if part)


PLAIN = Format()
FAST = Format(precision="bf16", channels_last=True)


def formats(*, compiled: bool) -> list[Format]:
    """List what stands against plain fp32.

    Args:
        compiled: Whether compiled forms are among them.

    Returns:
        The formats.
    """
    eager = [Format(precision="bf16"), Format(channels_last=True), FAST]
    if not compiled:
        return eager
    both = Format(precision="bf16", channels_last=True, compiled=True)
    return [*eager, Format(compiled=True), both]


def measure(settings: Settings, bar: Bar) -> list[Comparison | Figure]:
    """Time training steps of every format in pairs with plain fp32, then engine epochs.

    Args:
        settings: The sizes.
        bar: Where progress is shown.

    Returns:
        One comparison per format, seconds per epoch, and seconds of compilation.
    """
    works, compiling = _started(settings, bar)
    bar.begin("formats", runs=2 * settings.pairs * (len(works) + len(works) % 2))
    samples = interleave(
        _step(PLAIN, settings),
        works,
        pairs=settings.pairs,
        device=settings.device,
        warmup=settings.warmup,
        tick=bar.tick,
    )
    found = [compare(samples, name, against=PLAIN.name) for name in works]
    spent = [(PLAIN.name, found[0].base_seconds), *((row.name, row.seconds) for row in found)]
    reckoned = [_reckoned(name, each, settings) for name, each in spent]
    measured = [_measured(form, settings) for form in (PLAIN, FAST)]
    return [*found, *reckoned, *measured, *compiling]


def _started(settings: Settings, bar: Bar) -> tuple[dict[str, Work], list[Figure]]:
    """Run every format once, which compiles it; leave out what this machine cannot compile."""
    works: dict[str, Work] = {}
    compiling: list[Figure] = []
    for form in formats(compiled=settings.compiled):
        work = _step(form, settings)
        try:
            spent = seconds(work, settings.device)
        except InputError as error:
            bar.say(f"{form.name} left out: {error}")
            continue
        works[form.name] = work
        if form.compiled:
            how = "the first run, compiled anew or from the cache of an earlier process"
            name = f"{form.name}: compilation"
            compiling.append(Figure(name=name, value=spent, unit="s", how=how))
    return works, compiling


def _step(form: Format, settings: Settings) -> Work:
    net = preactresnet18(settings)
    if form.channels_last:
        to_channels_last(net)
    x, y = batch_of(settings)
    batch = on_device(x, settings.device, channels_last=form.channels_last), y
    return training_step(
        Compiled(net, backend="inductor") if form.compiled else net,
        still_sgd(net),
        ERM(),
        batch,
        repeats=settings.repeats,
        precision=form.precision,
    )


def _reckoned(name: str, spent: float, settings: Settings) -> Figure:
    steps = steps_per_epoch(settings.batch)
    how = f"reckoned: {steps} median steps of batch {settings.batch}"
    value = spent / settings.repeats * steps
    return Figure(name=f"CIFAR-10 epoch, {name}", value=value, unit="s", how=how)


def _measured(form: Format, settings: Settings) -> Figure:
    net, steps = preactresnet18(settings), settings.subset_steps
    loader = loader_of(settings, images=steps * settings.batch, channels_last=form.channels_last)
    records = train(
        net,
        ERM(),
        loader,
        optimizer=SGD(lr=1e-3),
        schedule=Constant(),
        epochs=4,
        precision=form.precision,
        channels_last=form.channels_last,
    )
    spent = median([record["seconds"] for record in records][1:])
    whole = steps_per_epoch(settings.batch)
    how = f"engine epochs of {steps} steps, the median of 3 times {whole}/{steps}"
    return Figure(
        name=f"CIFAR-10 epoch, {form.name}", value=spent * whole / steps, unit="s", how=how
    )
