"""What the engine and the loader add: a whole epoch of them over a bare loop on a resident batch.

The net is that of the scale `small`, a sixteenth of the papers', so that what surrounds a step is
seen; a few steps make the epoch, so what an epoch does once (the check of the weights, the draws)
weighs more than in one of 391 steps.
"""

from __future__ import annotations

from torch import nn
from torch.nn import functional

from benchmarks.nets import batch_of, loader_of, preactresnet18, still_sgd
from benchmarks.progress import Bar
from benchmarks.settings import Settings
from benchmarks.timing import Comparison, Figure, Work, compare, interleave
from vicinal._typing import Batch
from vicinal.engine import SGD, Constant, train
from vicinal.objectives import ERM

__all__ = ["measure"]

_RATE = 1e-6


def measure(settings: Settings, bar: Bar) -> list[Comparison | Figure]:
    """Time an engine epoch in pairs with as many bare steps.

    Args:
        settings: The sizes.
        bar: Where progress is shown.

    Returns:
        One comparison.
    """
    net, steps = preactresnet18(settings, width=settings.small_width), settings.epoch_steps
    loader = loader_of(settings, images=steps * settings.batch)

    def engine_epoch() -> None:
        spec = SGD(lr=_RATE, momentum=0.9, weight_decay=5e-4)
        for _ in train(net, ERM(), loader, optimizer=spec, schedule=Constant(), epochs=1):
            pass

    bar.begin("engine epoch", runs=4 * settings.pairs)
    name = "engine epoch, loader included"
    samples = interleave(
        bare_epoch(net, batch_of(settings), steps=steps),
        {name: engine_epoch},
        pairs=settings.pairs,
        device=settings.device,
        warmup=settings.warmup,
        tick=bar.tick,
    )
    return [compare(samples, name, against=f"{steps} bare steps on a resident batch")]


def bare_epoch(net: nn.Module, batch: Batch, *, steps: int) -> Work:
    """Make the work of a hand-written loop that only torch knows about.

    Args:
        net: The net.
        batch: Images and classes, on the device.
        steps: How many steps.

    Returns:
        The work.
    """
    optimizer = still_sgd(net)
    x, y = batch

    def work() -> None:
        net.train()
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(net(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return work
