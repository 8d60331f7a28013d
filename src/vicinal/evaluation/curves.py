"""Accuracy against the strength of an attack: over eps, over steps, over restarts.

A stronger attacker can do all that a weaker one can. So an image broken in a small ball is broken
in every larger one, by the same adversarial image, and one broken after a few steps or restarts
stays broken: the points of a curve carry what was found before them and never rise. What each
attack of an eps curve found by itself is kept beside them as `raw`: where that rises, the attack
fails, which the masking verdict looks for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor

from vicinal._checks import InputError, count
from vicinal._typing import Attack, AttackResult, Batch, Batches, Model, Passes
from vicinal.attacks import PGD
from vicinal.evaluation.evaluate import evaluate
from vicinal.evaluation.identity import keys_of
from vicinal.evaluation.ledger import Ledger
from vicinal.evaluation.packing import fingerprint
from vicinal.evaluation.preflight import device_of
from vicinal.evaluation.results import CLEAN, Verdicts
from vicinal.evaluation.threat import About, about
from vicinal.evaluation.trace import Trace, Traced
from vicinal.metrics import Interval, wilson
from vicinal.records import Record

__all__ = ["Curve", "Point", "over_eps", "over_restarts", "over_steps", "radii"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """The accuracy at one strength, with Wilson's 95 % interval.

    Args:
        at: The radius, the number of steps or of restarts.
        n: Images.
        correct: Those that are still right.
    """

    at: float
    n: int
    correct: int

    @property
    def accuracy(self) -> float:
        """The share of images still right, in [0, 1]."""
        return self.correct / self.n

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval of the accuracy."""
        return wilson(self.correct, self.n)

    @property
    def record(self) -> Record:
        """The point as data, JSON-able."""
        low, high = self.interval
        counts = {"at": self.at, "n": self.n, "correct": self.correct}
        return {**counts, "accuracy": self.accuracy, "low": low, "high": high}


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Accuracies against a strength, which never rise.

    Args:
        over: "eps", "steps" or "restarts".
        points: From the weakest attack; the first is the clean accuracy, at 0.
        raw: What each attack found by itself, where that may differ.
        ended: Whether the curve was run down to chance, or to 0.
        facts: What its record says of the searches: every ball and parameter, the images, passes
            and seconds.
    """

    over: str
    points: tuple[Point, ...]
    raw: tuple[Point, ...] = field(default=(), repr=False)
    ended: bool = False
    facts: Record = field(default_factory=dict, repr=False, compare=False)

    @property
    def record(self) -> Record:
        """The curve as data, JSON-able."""
        return {
            "kind": "curve",
            "over": self.over,
            "ended": self.ended,
            "carried": "an image broken by a weaker attack counts as broken by a stronger one",
            "points": [point.record for point in self.points],
            "raw": [point.record for point in self.raw],
            **self.facts,
        }

    def __str__(self) -> str:
        """Write one line per point; of many steps or restarts only some: 1, 2, 5, 10, 20..."""
        lines = [f"{self.over:>9} {'accuracy %':>10}  95 % interval"]
        for point in self._shown:
            low, high = (100 * end for end in point.interval)
            lines.append(f"{point.at:>9.4g} {100 * point.accuracy:>10.2f}  {low:.2f} to {high:.2f}")
        return "\n".join(lines)

    @property
    def _shown(self) -> list[Point]:
        last = len(self.points) - 1
        whole = self.over == "eps" or last < _MANY
        return [p for k, p in enumerate(self.points) if whole or k == last or _is_round(k)]


_MANY = 20
"""A curve of more points is printed in part."""


def _is_round(k: int) -> bool:
    return k in {0, 3} or str(k).rstrip("0") in {"1", "2", "5"}


def _curve(over: str, ats: Sequence[float], rows: Sequence[Tensor]) -> Curve:
    """Make a curve of verdicts, one row (N,) for each strength, each carrying those before it."""
    carried = torch.stack(list(rows)).cummin(dim=0).values
    points = _points(ats, carried)
    return Curve(over=over, points=points, raw=_points(ats, torch.stack(list(rows))))


def _points(ats: Sequence[float], rows: Tensor) -> tuple[Point, ...]:
    return tuple(
        Point(at=at, n=len(row), correct=int(row.sum())) for at, row in zip(ats, rows, strict=True)
    )


def radii(eps: float, *, largest: float = 1.0) -> tuple[float, ...]:
    """Choose the radii of a curve around a budget: a quarter, a half, and doubled to the largest.

    Args:
        eps: The budget.
        largest: Where to end; 1 holds every linf ball of pixels in [0, 1].

    Returns:
        Radii, growing.

    Raises:
        InputError: If eps is not above 0 and finite.

    Example:
        >>> radii(0.125)
        (0.03125, 0.0625, 0.125, 0.25, 0.5, 1.0)
    """
    if not 0 < eps < math.inf:
        raise InputError(f"`eps` must be above 0 and finite; got {eps}.")
    found = [eps / 4, eps / 2, eps]
    while found[-1] < largest:
        found.append(min(2 * found[-1], largest))
    return tuple(found)


def over_eps(
    model: Model,
    data: Batch | Batches,
    attack: Callable[[float], Attack],
    *,
    eps: Sequence[float],
    chance: float | None = None,
    rng: torch.Generator | None = None,
    ledger: Ledger | None = None,
) -> Curve:
    """Attack with growing radii, and cut the curve where nothing is left to find.

    Args:
        model: The model; left as it was.
        data: Batches (x, y), or one pair.
        attack: Builds the attack of a radius.
        eps: Radii, see `radii`.
        chance: The accuracy at which the curve ends; 1/K when not given.
        rng: Where random starts come from; torch's global generator when not given.
        ledger: Where finished batches are kept and looked for, as `evaluate` has it; `rng` must be
            given then.

    Returns:
        The curve, from eps 0; `raw` has what each attack found by itself.

    Raises:
        InputError: If there is no radius, or one is not above the one before.

    Example:
        >>> from vicinal.attacks import FGSM
        >>> model, x = torch.nn.Flatten(), torch.tensor([0.75, 0.5]).view(1, 2, 1, 1)
        >>> curve = over_eps(
        ...     model, (x, torch.tensor([0])), lambda eps: FGSM(eps=eps), eps=(0.1, 0.2, 0.4)
        ... )
        >>> [(point.at, point.accuracy) for point in curve.points], curve.ended
        ([(0.0, 1.0), (0.1, 1.0), (0.2, 0.0)], True)

    Cost: one clean forward pass, and the passes of every attack; images that leave once fooled
    (`compact_every`) make large radii cheap.
    """
    ats = [0.0, *eps]
    if len(ats) < 2 or any(low >= high for low, high in pairwise(ats)):
        raise InputError(f"`eps` must hold growing radii above 0; got {tuple(eps)}.")
    attacks = {f"eps {at!r}": attack(at) for at in eps}
    verdicts = _judged(model, data, attacks, rng=rng, ledger=ledger)
    z = verdicts[CLEAN].logits
    least = chance if chance is not None else 0.0 if z is None else 1 / z.shape[1]
    curve = _curve("eps", ats, [verdicts[name].correct for name in (CLEAN, *attacks)])
    low = [point.accuracy <= least for point in curve.points]
    ended = any(low)
    stop = low.index(True) + 1 if ended else len(low)
    facts = _facts(verdicts, [verdicts[name].about for name in attacks])
    return replace(curve, points=curve.points[:stop], ended=ended, facts=facts)


def over_steps(
    model: Model,
    data: Batch | Batches,
    attack: PGD,
    *,
    rng: torch.Generator | None = None,
    ledger: Ledger | None = None,
) -> Curve:
    """Tell the accuracy after every step of one search, from a single run of it.

    Args:
        model: The model; left as it was.
        data: Batches (x, y), or one pair.
        attack: The search, with as many steps as the curve shall have; one restart, no target.
        rng: Where its start comes from; torch's global generator when not given.
        ledger: Where finished batches are kept and looked for, as `evaluate` has it; `rng` must be
            given then.

    Returns:
        The curve: at 0 clean images and the start together, then after each step.

    Raises:
        InputError: If the attack has restarts, a target, levers or several draws of the model.

    Example:
        >>> model, x = torch.nn.Flatten(), torch.tensor([0.75, 0.5]).view(1, 2, 1, 1)
        >>> search = PGD(eps=0.3, step_size=0.05, steps=4, random_start=False)
        >>> curve = over_steps(model, (x, torch.tensor([0])), search)
        >>> [point.accuracy for point in curve.points]
        [1.0, 1.0, 1.0, 0.0, 0.0]

    Cost: the passes of the attack, and the clean images' forward pass.
    """
    verdicts = _judged(model, data, {"steps": Trace(attack)}, rng=rng, ledger=ledger)
    rows = _trail(verdicts["steps"]) & verdicts[CLEAN].correct
    ats = [float(step) for step in range(attack.steps + 1)]
    facts = _facts(verdicts, [about(attack, device=device_of(model))])
    return replace(_curve("steps", ats, list(rows)), raw=(), facts=facts)


def over_restarts(
    model: Model,
    data: Batch | Batches,
    attack: Attack,
    *,
    restarts: int,
    rng: torch.Generator | None = None,
    ledger: Ledger | None = None,
) -> Curve:
    """Tell the accuracy after every restart of an attack.

    Args:
        model: The model; left as it was.
        data: Batches (x, y), or one pair.
        attack: One that begins at random.
        restarts: How many times it is run; an image that is broken is not attacked again.
        rng: Where the starts come from; torch's global generator when not given.
        ledger: Where finished batches are kept and looked for, as `evaluate` has it; `rng` must be
            given then.

    Returns:
        The curve, from the clean accuracy at 0.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        >>> x, y = torch.rand(8, 1, 4, 4), torch.arange(8) % 3
        >>> attack = PGD(eps=0.05, step_size=0.0125, steps=5)
        >>> len(over_restarts(model, (x, y), attack, restarts=3).points)
        4

    Cost: the passes of the attack for each restart, of the images that are not broken yet, and the
    clean images' forward pass.
    """
    again = _Again(attack, count("restarts", restarts))
    verdicts = _judged(model, data, {"restarts": again}, rng=rng, ledger=ledger)
    rows = [verdicts[CLEAN].correct, *_trail(verdicts["restarts"])]
    ats = [float(each) for each in range(restarts + 1)]
    facts = _facts(verdicts, [about(attack, device=device_of(model))])
    return replace(_curve("restarts", ats, rows), raw=(), facts=facts)


def _judged(
    model: Model,
    data: Batch | Batches,
    attacks: Mapping[str, Attack],
    *,
    rng: torch.Generator | None,
    ledger: Ledger | None,
) -> Mapping[str, Verdicts]:
    if ledger is not None:
        ledger = replace(ledger, keys=keys_of(attacks, device=device_of(model)))
    return evaluate(model, data, attacks=attacks, rng=rng, ledger=ledger).verdicts


def _facts(verdicts: Mapping[str, Verdicts], attacks: Sequence[About | None]) -> Record:
    """Say which searches made a curve (one, or one for each radius), of what, at what cost."""
    prints, every = verdicts[CLEAN].prints, verdicts.values()
    said = [{"threat": str(one.threat), "parameters": one.parameters} for one in attacks if one]
    return {
        "attacks": said,
        "images": None if prints is None else fingerprint(prints),
        "forward": sum(one.forward for one in every),
        "backward": sum(one.backward for one in every),
        "seconds": round(sum(one.seconds for one in every), 3),
    }


def _trail(verdicts: Verdicts) -> Tensor:
    """Give a row (N,) for each stage of an attack that notes them."""
    trail = verdicts.trail
    return verdicts.correct[None] if trail is None else trail.T


class _Again:
    """An attack run again and again on what is left of a batch; it notes who withstood each run."""

    def __init__(self, attack: Attack, restarts: int) -> None:
        self._attack, self._restarts = attack, restarts
        self.eps, self.norm = getattr(attack, "eps", math.inf), getattr(attack, "norm", "linf")

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Traced:
        right = torch.ones(len(x), dtype=torch.bool, device=x.device)
        adv, norms = x.clone(), torch.zeros(len(x), device=x.device)
        passes, seconds, noted = Passes(0, 0), 0.0, list[Tensor]()
        for _ in range(self._restarts):
            rows = right.nonzero().squeeze(1)
            if len(rows):
                found = self._attack(model, x[rows], y[rows], rng=rng)
                adv[rows], norms[rows] = found.adv, found.norms.to(norms.dtype)
                right[rows] = ~found.success
                passes, seconds = _added(passes, found, len(rows)), seconds + found.seconds
            noted.append(right.cpu().clone())
        n = len(x)
        most = Passes(math.ceil(passes.forward / n), math.ceil(passes.backward / n))
        return Traced(
            adv=adv,
            success=~right,
            norms=norms,
            passes=most,
            seconds=seconds,
            spent=passes,
            trail=torch.stack(noted, dim=1),
        )


def _added(passes: Passes, found: AttackResult, n: int) -> Passes:
    own = Passes(n * found.passes.forward, n * found.passes.backward)
    spent: Passes = getattr(found, "image_passes", own)
    return Passes(passes.forward + spent.forward, passes.backward + spent.backward)
