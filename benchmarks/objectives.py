"""What each objective adds to the model passes that it cannot do without.

Every objective tells how many passes its step takes. The base is a step of so many bare ones, on
the same net, batch and precision, written as one would by hand:

* looks: forward passes in eval mode, without a graph;
* inner passes: forward and the gradient of the images, on a twin in eval mode whose weights are in
  the same memory and need no gradient;
* outer passes: forward in train mode and the gradient of the weights, one backward for the sum of
  all risks; where an objective makes its outer passes twice (AWP), so does the base;
* the optimizer's step, and that the gradients are emptied before it.

All that an objective does around them, such as draws, signs, projections, transport plans and
labels, is what the ratio shows. Objectives of the same passes share a base, which also stands next
to itself: the noise.

Target: the interval of each reaches 1.05, and 1.10 where feature scattering solves a transport
problem at every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.attack_loop import bare_passes, still_twin
from benchmarks.nets import batch_of, preactresnet18, still_sgd, training_step
from benchmarks.progress import Bar
from benchmarks.settings import Settings
from benchmarks.timing import Comparison, Figure, Work, compare, interleave
from vicinal import objectives
from vicinal._typing import Batch
from vicinal.objectives import Objective

__all__ = ["Bare", "bare_of", "bare_step", "candidates", "measure"]

TARGET, WITH_TRANSPORT = 1.05, 1.10
_EPS, _STEP = 8 / 255, 2 / 255


@dataclass(frozen=True, kw_only=True)
class Bare:
    """The model passes of a step, by kind.

    Args:
        looks: Forward passes in eval mode without a graph.
        inner: Forward passes in eval mode with the gradient of the images.
        outer: Forward passes in train mode whose losses are added up.
        rounds: How often the outer passes are made, each time with the gradient of the weights.
    """

    looks: int
    inner: int
    outer: int
    rounds: int = 1

    def __str__(self) -> str:
        """Tell the kinds that there are."""
        kinds = {"look": self.looks, "inner": self.inner, "outer": self.rounds * self.outer}
        return f"bare passes: {', '.join(f'{n} {kind}' for kind, n in kinds.items() if n)}"


def bare_of(objective: Objective) -> Bare:
    """Sort the passes that an objective tells.

    Args:
        objective: The objective.

    Returns:
        Its passes by kind: what has no backward pass looks, what is no risk is inner.
    """
    forward, backward = objective.passes
    risks = int(getattr(objective, "risks", 1))
    rounds = 2 if isinstance(objective, objectives.AWP) else 1
    return Bare(
        looks=forward - backward, inner=backward - risks, outer=risks // rounds, rounds=rounds
    )


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An objective and the ratio that it ought to reach.

    Args:
        name: What it is called in the table.
        objective: The objective.
        at_most: The target.
    """

    name: str
    objective: Objective
    at_most: float = TARGET


def candidates(*, steps: int) -> list[Candidate]:
    """List the objectives, at the budgets of their papers where these train on CIFAR-10.

    Args:
        steps: Of every multi-step search.

    Returns:
        The candidates; those of one kind of passes stand together.
    """
    ball: dict[str, Any] = {"eps": _EPS, "step_size": _STEP, "steps": steps}
    trained = objectives.AdversarialTraining
    pgd = trained(**ball)
    named: dict[str, Objective] = {
        "LabelSmoothing": objectives.LabelSmoothing(),
        "GaussianVicinity": objectives.GaussianVicinity(),
        "MixUp": objectives.MixUp(),
        "CutMix": objectives.CutMix(),
        "ManifoldMixUp": objectives.ManifoldMixUp(),
        "ALPS": objectives.ALPS(),
        "FGSM": trained.one_step(eps=_EPS),
        "R-FGSM": trained.one_step(eps=_EPS, random_start=True),
        "N-FGSM": trained.n_fgsm(eps=_EPS),
        "MC": trained.one_step(eps=_EPS, target="most_confusing"),
        "BAT R-MC": objectives.BAT(label="keep"),
        "BAT R-MC-LA": objectives.BAT(),
        "TLAT": objectives.TLAT(),
        "M-TLAT": objectives.MTLAT(),
        f"PGD-{steps}": pgd,
        f"PGD-{steps}, l2": trained(eps=0.5, step_size=0.125, steps=steps, norm="l2"),
        f"AVmixup over PGD-{steps}": objectives.AVmixup(**ball),
        f"TRADES, {steps} steps": objectives.TRADES(**ball),
        f"MART, {steps} steps": objectives.MART(**ball),
        f"IAT, {steps} steps": objectives.IAT(**ball),
        f"AWP over PGD-{steps}": objectives.AWP(objective=pgd),
    }
    scattered: dict[str, Objective] = {
        "FeatureScatter": objectives.FeatureScatter(),
        "AVmixup over FeatureScatter": objectives.AVmixup.over_feature_scatter(),
    }
    plain = [Candidate(name=name, objective=one) for name, one in named.items()]
    return plain + [
        Candidate(name=name, objective=one, at_most=WITH_TRANSPORT)
        for name, one in scattered.items()
    ]


def bare_step(
    net: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, bare: Bare, *, repeats: int
) -> Work:
    """Make the work of a training step of bare passes.

    Args:
        net: The net, in train mode.
        optimizer: Over its parameters.
        batch: Images and classes, on the device.
        bare: How many passes of each kind.
        repeats: Steps in one run.

    Returns:
        The work.
    """
    x, y = batch
    twin = still_twin(net)
    inner = bare_passes(twin, x, y, steps=bare.inner)

    def work() -> None:
        for _ in range(repeats):
            optimizer.zero_grad(set_to_none=True)
            for _ in range(bare.looks):
                with torch.no_grad():
                    twin(x)
            inner()
            for _ in range(bare.rounds):
                _risks(net, x, y, bare.outer).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return work


def _risks(net: nn.Module, x: Tensor, y: Tensor, outer: int) -> Tensor:
    return torch.stack([functional.cross_entropy(net(x), y) for _ in range(outer)]).sum()


def measure(settings: Settings, bar: Bar) -> list[Comparison | Figure]:
    """Time a training step of every objective in pairs with its bare passes.

    Args:
        settings: The sizes; on a CPU the narrow net is taken, or it would last for hours.
        bar: Where progress is shown.

    Returns:
        One comparison per objective, and the images per second of one outer pass.
    """
    narrow = settings.device.type == "cpu"
    width = settings.small_width if narrow else settings.width
    net, (x, y) = preactresnet18(settings, width=width), batch_of(settings)
    with torch.no_grad():
        for _ in range(3):
            net(x)  # running statistics of a net that was trained, not those of its start
    optimizer = still_sgd(net)
    groups: dict[Bare, list[Candidate]] = {}
    for candidate in candidates(steps=settings.pgd_steps):
        groups.setdefault(bare_of(candidate.objective), []).append(candidate)
    found: list[Comparison] = []
    for bare, group in groups.items():
        found += _group(net, optimizer, (x, y), bare, group, settings=settings, bar=bar)
    speed = settings.batch * settings.repeats / found[0].base_seconds
    how = f"a step of one bare outer pass, PreActResNet18 of width {width}, fp32, batch {len(x)}"
    return [*found, Figure(name="one outer pass", value=speed, unit="images/s", how=how)]


def _group(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    bare: Bare,
    group: list[Candidate],
    *,
    settings: Settings,
    bar: Bar,
) -> list[Comparison]:
    """Time the objectives of the same passes."""
    repeats, pairs = settings.repeats, settings.pairs
    works = {
        one.name: training_step(net, optimizer, one.objective, batch, repeats=repeats)
        for one in group
    }
    bar.begin(str(bare), runs=2 * pairs * (len(works) + len(works) % 2))
    samples = interleave(
        bare_step(net, optimizer, batch, bare, repeats=repeats),
        works,
        pairs=pairs,
        device=settings.device,
        warmup=settings.warmup,
        tick=bar.tick,
    )
    return [compare(samples, one.name, against=str(bare), at_most=one.at_most) for one in group]
