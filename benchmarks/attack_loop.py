"""What the PGD loop adds to the passes that it cannot do without.

The base is ten forward passes with the gradient of the loss with respect to the images, on a net in
eval mode whose weights need no gradient. `inputs.PGD` makes just as many passes. `attacks.PGD` also
judges its last iterate, one forward more; it is held against the ten passes and, with the time of
that forward added to the base round by round, against the passes that it makes.

Target: the interval of the loop, against as many passes as it makes, reaches 1.05.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.nets import batch_of, preactresnet18
from benchmarks.progress import Bar
from benchmarks.settings import Settings
from benchmarks.timing import Comparison, Figure, Work, compare, interleave
from vicinal import attacks, inputs

__all__ = ["bare_passes", "measure", "still_twin"]

TARGET = 1.05
_EPS, _STEP = 8 / 255, 2 / 255


def measure(settings: Settings, bar: Bar) -> list[Comparison | Figure]:
    """Time PGD in pairs with bare passes.

    Args:
        settings: The sizes.
        bar: Where progress is shown.

    Returns:
        The input move, the attack against both bases, and the time of the judging forward.
    """
    net, steps = preactresnet18(settings), settings.pgd_steps
    x, y = batch_of(settings)
    with torch.no_grad():
        for _ in range(3):
            net(x)  # running statistics of a net that was trained, not those of its start
    net.eval()
    twin = still_twin(net)
    move = inputs.PGD(eps=_EPS, step_size=_STEP, steps=steps)
    attack = attacks.PGD(eps=_EPS, step_size=_STEP, steps=steps)
    bar.begin(f"PGD-{steps}", runs=4 * settings.pairs)
    samples = interleave(
        bare_passes(twin, x, y, steps=steps),
        {"inputs.PGD": lambda: move(net, x, y), "attacks.PGD": lambda: attack(net, x, y)},
        pairs=settings.pairs,
        device=settings.device,
        warmup=settings.warmup,
        alongside={"judging": _forward(twin, x)},
        tick=bar.tick,
    )
    bare, judged = f"{steps} bare passes", f"{steps} bare passes and the judging forward"
    return [
        compare(samples, "inputs.PGD", against=bare, at_most=TARGET),
        compare(samples, "attacks.PGD", against=judged, plus="judging", at_most=TARGET),
        compare(samples, "attacks.PGD", against=bare),
        _judging(samples.alongside["judging"], settings),
    ]


def _judging(spent: list[float], settings: Settings) -> Figure:
    how = f"one eval forward, fp32, batch {settings.batch}, median of {settings.pairs}"
    return Figure(name="judging forward", value=sorted(spent)[len(spent) // 2], unit="s", how=how)


def still_twin(net: nn.Module) -> nn.Module:
    """Copy a net into eval mode and without weight gradients, its weights in the same memory.

    Args:
        net: The net, left as it is.

    Returns:
        The twin.
    """
    twin = copy.deepcopy(net).eval().requires_grad_(False)
    for own, weight in zip(twin.parameters(), net.parameters(), strict=True):
        own.data = weight.data
    return twin


def bare_passes(twin: nn.Module, x: Tensor, y: Tensor, *, steps: int) -> Work:
    """Make the work of the passes alone: forward, cross-entropy, gradient of the images.

    Args:
        twin: The net in eval mode, its weights without gradients.
        x: Images (N, C, H, W).
        y: Classes (N,).
        steps: How many passes.

    Returns:
        The work.
    """

    def work() -> None:
        for _ in range(steps):
            at = x.detach().requires_grad_(True)
            loss = functional.cross_entropy(twin(at), y, reduction="sum")
            torch.autograd.grad(loss, at)

    return work


def _forward(twin: nn.Module, x: Tensor) -> Work:
    def work() -> None:
        with torch.no_grad():
            twin(x)

    return work
