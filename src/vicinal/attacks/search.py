"""One call of an attack that climbs in balls: restarts, the fooled leaving, and the verdict.

PGD and MI-FGSM differ in how a step is taken; what is here they share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import InputError, count, images, labels, logits
from vicinal._typing import Model, Norm, Passes
from vicinal.attacks.eot import Draws, mean_logits, mean_slope
from vicinal.attacks.levers import Levers
from vicinal.attacks.result import Result
from vicinal.attacks.strongest import Iterate, Strongest
from vicinal.attacks.survivors import Survivors, pick
from vicinal.attacks.walk import BallWalk
from vicinal.gradients import ascend, clean_logits, detached, frozen, undisturbed
from vicinal.inputs.pgd import climb
from vicinal.inputs.targets import choose_target
from vicinal.maths.balls import distance, sample, to_levels
from vicinal.maths.simplex import true_class

__all__ = ["Plan", "check_plan", "checked", "search"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an attack that climbs in balls asks for; the fields are those of `PGD`.

    Args:
        momentum: The decay of the gradients carried along; None for none.
    """

    eps: float | Tensor
    step_size: float | Tensor
    steps: int
    restarts: int
    random_start: bool
    norm: Norm
    loss: str
    target: str | Tensor | None
    iterate: str
    momentum: float | None
    compact_every: int | None
    levers: Levers
    rounded: bool
    eot: int

    @property
    def rejudges(self) -> bool:
        """Whether the verdict takes a pass of its own: on rounded pixels, or without levers.

        Also where a model draws: of many iterates judged once each, some are lucky, and only what
        is drawn after the search is unbiased.
        """
        return self.rounded or self.levers.used or self.eot > 1

    @property
    def passes(self) -> Passes:
        """Passes of an image that never leaves."""
        looks = (self.target is not None) + self.rejudges
        forward = self.restarts * (self.steps + 1) + looks
        return Passes(self.eot * forward, self.eot * self.restarts * self.steps)


def check_plan(plan: Plan) -> None:
    """Check what is new in a plan: when images leave, and how the search and its verdict are made.

    Args:
        plan: The plan.

    Raises:
        InputError: If a field is off.
    """
    count("eot", plan.eot)
    if not isinstance(plan.rounded, bool):
        raise InputError(f"`rounded` must be True or False; got {plan.rounded!r}.")
    if plan.compact_every is None:
        return
    count("compact_every", plan.compact_every)
    if plan.iterate != "worst":
        raise InputError(
            "`compact_every` must be None where the last iterate is judged: an image that was "
            f"fooled on the way may be right there; got {plan.compact_every}."
        )


def checked(z: Tensor, y: Tensor) -> Tensor:
    """Check logits, and labels against them; the device is waited for.

    Args:
        z: Logits, shape (N, K).
        y: Classes (N,) or distributions (N, K).

    Returns:
        The logits.
    """
    logits(z, n=y.shape[0])
    labels(y, n=y.shape[0], num_classes=z.shape[1])
    return z


def search(
    plan: Plan, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
) -> Result:
    """Attack one batch.

    Args:
        plan: The attack.
        model: The model; left as it was.
        x: Images, shape (N, C, H, W), in [0, 1]; not modified.
        y: Classes (N,) or distributions (N, K).
        rng: Where starts and random targets come from; torch's global generator when not given.

    Returns:
        The result.
    """
    began = time.perf_counter()
    images(x)
    labels(y, n=x.shape[0])
    with undisturbed(x):
        run = _Run(plan, model, detached(x), detached(y), rng)
    with frozen(model), frozen(run.searched), undisturbed(x):
        for start in run.starts(rng):
            run.climb(start)
        found = run.found()
    return Result(
        adv=found.x,
        success=found.rank > 0,
        norms=distance(found.x, detached(x), norm=plan.norm),
        passes=plan.passes,
        seconds=time.perf_counter() - began,
        target=run.target,
        target_hit=None if run.target is None else found.rank == 2,
        clean_correct=run.clean_correct,
        spent=None if plan.compact_every is None else run.spent,
    )


class _Run:
    """What one call keeps: the images that are left, and the strongest iterate of each."""

    def __init__(
        self, plan: Plan, model: Model, x: Tensor, y: Tensor, rng: torch.Generator | None
    ) -> None:
        self._plan, self._model = plan, _drawing(model, plan.eot)
        self.searched = plan.levers.lower(model, x.device)
        self._all, self._x, self._y = x, x, y
        self._left = Survivors(x.shape[0], device=x.device, every=plan.compact_every)
        self.target, self.clean_correct = None, None
        if plan.target is not None:
            z = checked(self._look(self._model, x), y)
            self.clean_correct = z.argmax(dim=1) == true_class(y)
            self.target = choose_target(plan.target, z, y, rng=rng)
        self._t = self.target
        self._loss = climb(plan.loss, y, self._t, values=True)
        self._best = Strongest(y, self._t, self._loss)
        self._gone: Iterate | None = None
        self._seen: Tensor | None = None

    @property
    def spent(self) -> Passes:
        """Passes so far, over all images."""
        one = self._left.spent
        return Passes(self._plan.eot * one.forward, self._plan.eot * one.backward)

    def starts(self, rng: torch.Generator | None) -> Iterator[Tensor]:
        """Draw where each restart begins, for the whole batch, whoever is left of it."""
        plan = self._plan
        for _ in range(plan.restarts):
            start = self._all
            if plan.random_start:
                start = sample(self._all, eps=plan.eps, norm=plan.norm, rng=rng).clamp_(0.0, 1.0)
            yield start if len(self._left) == len(start) else start[self._left.rows]

    def climb(self, at: Tensor) -> None:
        """Climb from one start, and judge where it ends."""
        plan, done = self._plan, 0
        walk = BallWalk(
            self._x, eps=plan.eps, step_size=plan.step_size, norm=plan.norm, momentum=plan.momentum
        )
        while done < plan.steps and len(self._left) > 0:
            steps = min(plan.compact_every or plan.steps, plan.steps - done)
            at = ascend(
                self.searched,
                at,
                self._loss,
                steps=steps,
                move=walk.step,
                visit=self._visitor(),
                slope=mean_slope(plan.eot),
            )
            done += steps
            self._left.spend(forward=steps, backward=steps)
            if self._left.due(done):
                stay = self._let_go()
                walk.keep(stay)
                (at,) = pick(stay, at)
        if len(self._left) > 0:
            searched = _drawing(self.searched, plan.eot)
            self._best.visit(at, checked(self._look(searched, at), self._y))

    def _visitor(self) -> Callable[[Tensor, Tensor], None]:
        first = self._gone is None and not (self._plan.random_start or self._plan.levers.used)
        keeps = self._plan.iterate == "worst"

        def visit(x: Tensor, z: Tensor) -> None:
            z = mean_logits(z, self._plan.eot)
            if first and self.clean_correct is None:
                self.clean_correct = z.argmax(dim=1) == true_class(self._y)
            if keeps:
                self._best.visit(x, z)
            if self._plan.compact_every is not None:
                # Zeros where all is finite: a sum of the logits themselves might overflow.
                self._seen = z - z if self._seen is None else self._seen + (z - z)

        return visit

    def _look(self, model: Model, x: Tensor) -> Tensor:
        """Ask a model, and count it; x holds the images that are left."""
        self._left.spend(forward=1)
        return mean_logits(clean_logits(model, x), self._plan.eot)

    def _let_go(self) -> Tensor | None:
        """Let the fooled go, those whose target was hit where there is one. The device waits."""
        if self._seen is not None:
            self._seen = checked(self._seen, self._y)
        top = 1 if self._t is None else 2
        found = self._best.found()
        if self._plan.rejudges:
            found = self._confirmed(found, (found.rank >= top).nonzero().squeeze(1))
            self._best.replace(found)
        self._gone = self._kept(found)
        stay = self._left.leave(found.rank >= top)
        if stay is not None:
            self._x, self._y = pick(stay, self._x, self._y)
            self._t = None if self._t is None else pick(stay, self._t)[0]
            self._seen = None
            self._loss = climb(self._plan.loss, self._y, self._t, values=False)
            self._best = self._best.pick(stay, self._y, self._t, self._loss)
        return stay

    def _kept(self, found: Iterate) -> Iterate:
        """Write what was found for the images that are left into the whole batch."""
        if self._gone is None:
            return Iterate(*(part.clone() for part in found))
        return Iterate(*map(self._left.put, self._gone, found))

    def _confirmed(self, found: Iterate, rows: Tensor) -> Iterate:
        """Let the model itself judge some of what was found, on 8-bit pixels where asked to."""
        if rows.shape[0] == 0:
            return found
        x, y = pick(rows, found.x, self._y)
        t = None if self._t is None else pick(rows, self._t)[0]
        if self._plan.rounded:
            clean = pick(rows, self._x)[0]
            x = to_levels(x, clean, eps=self._plan.eps, norm=self._plan.norm)
        self._left.spend(forward=1, images=rows.shape[0])
        z = checked(mean_logits(clean_logits(self._model, x), self._plan.eot), y)
        judge = Strongest(y, t, climb(self._plan.loss, y, t, values=False))
        judge.visit(x, z)
        return Iterate(
            *(old.index_copy(0, rows, new) for old, new in zip(found, judge.found(), strict=True))
        )

    def found(self) -> Iterate:
        """Give the strongest iterate of every image, judged."""
        if len(self._left) > 0:
            best = self._best.found()
            if self._plan.rejudges:
                best = self._confirmed(best, torch.arange(len(self._left), device=best.x.device))
            self._gone = best if self._gone is None else self._kept(best)
        if self._gone is None:
            raise RuntimeError("no image was attacked")
        return self._gone


def _drawing(model: Model, n: int) -> Model:
    return model if n == 1 else Draws(model, n=n)
