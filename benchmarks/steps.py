"""What a regularizer adds to ERM's training step: one resident batch, the same net and optimizer.

Target: the interval of ALPS, MixUp and label smoothing reaches 1.02.
"""

from __future__ import annotations

from benchmarks.nets import batch_of, preactresnet18, still_sgd, training_step
from benchmarks.progress import Bar
from benchmarks.settings import Settings
from benchmarks.timing import Comparison, Figure, compare, interleave
from vicinal import objectives
from vicinal.objectives import Objective

__all__ = ["CANDIDATES", "measure"]

TARGET = 1.02
CANDIDATES: dict[str, Objective] = {
    "ALPS": objectives.ALPS(),
    "MixUp": objectives.MixUp(),
    "LabelSmoothing": objectives.LabelSmoothing(),
    "CutMix": objectives.CutMix(),
    "ManifoldMixUp": objectives.ManifoldMixUp(),
    "GaussianVicinity": objectives.GaussianVicinity(),
}
"""What stands against ERM, with the defaults of the library."""
WITH_TARGET = ("ALPS", "MixUp", "LabelSmoothing")


def measure(settings: Settings, bar: Bar) -> list[Comparison | Figure]:
    """Time whole training steps in pairs with ERM's.

    Args:
        settings: The sizes.
        bar: Where progress is shown.

    Returns:
        One comparison per regularizer, and the images per second of ERM.
    """
    net, batch = preactresnet18(settings), batch_of(settings)
    optimizer, repeats = still_sgd(net), settings.repeats
    base = training_step(net, optimizer, objectives.ERM(), batch, repeats=repeats)
    works = {
        name: training_step(net, optimizer, objective, batch, repeats=repeats)
        for name, objective in CANDIDATES.items()
    }
    bar.begin("training steps", runs=2 * settings.pairs * len(works))
    samples = interleave(
        base,
        works,
        pairs=settings.pairs,
        device=settings.device,
        warmup=settings.warmup,
        tick=bar.tick,
    )
    found = [
        compare(samples, name, against="ERM", at_most=TARGET if name in WITH_TARGET else None)
        for name in works
    ]
    speed = settings.batch * repeats / found[0].base_seconds
    how = f"training step of ERM, fp32, batch {settings.batch}, median of {settings.pairs}"
    return [*found, Figure(name="ERM", value=speed, unit="images/s", how=how)]
