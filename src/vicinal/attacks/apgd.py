r"""APGD (Croce and Hein 2020): ascent without a step size to choose, towards one class or several.

How a step is taken is in `adaptive`. Here: where a search begins (on the surface of the ball), what
it climbs, and for which images it goes on. APGD-T of AutoAttack is `loss="dlr", targets=9`. Not
here: l1.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import InputError, budget, choice, count, images, labels, number
from vicinal._typing import LossOfLogits, Model, Norm, Passes
from vicinal.attacks.adaptive import AdaptiveWalk
from vicinal.attacks.eot import Draws, mean_logits, mean_slope, over_draws
from vicinal.attacks.levers import Levers, precision_within
from vicinal.attacks.result import Result
from vicinal.attacks.search import checked
from vicinal.attacks.strongest import Iterate, Strongest, stronger
from vicinal.attacks.survivors import Survivors, pick
from vicinal.gradients import ascend, clean_logits, detached, frozen, undisturbed
from vicinal.inputs.pgd import climb
from vicinal.inputs.targets import check_target, choose_target
from vicinal.maths.balls import distance, surface
from vicinal.maths.losses import LOSSES, log_odds, margin
from vicinal.maths.simplex import true_class

__all__ = ["APGD"]


@dataclass(frozen=True, kw_only=True)
class APGD:
    r"""Climb a loss with steps that begin at 2 eps and halve themselves where they overshoot.

    The loss "dlr" divides a difference of logits by the distance of the first from the third, and
    towards a target from the third and the fourth. Where there is no third (2 classes), or towards
    a target no fourth (3), it is the difference itself.

    Args:
        eps: Radius in pixel units, or one per channel (C,) for linf.
        norm: "linf" or "l2".
        steps: Steps of every search, by which its checkpoints are set.
        restarts: Starts for every target.
        loss: What is climbed, "ce", "margin" or "dlr".
        target: None for any error; "least_likely", "most_confusing", "random" or classes (N,).
        targets: Aim at so many of the likeliest wrong classes one after the other, at most K - 1;
            any error counts. None for no such round.
        rho: The share of steps between checkpoints that must raise the loss.
        compact_every: Fooled images leave the batch every so many steps; with a target, those that
            hit it. None keeps all to the end.
        precision: Arithmetic of the search, "fp32", "bf16" (autocast), or "auto": bf16 where the
            processor is fast at it and the ball is linf and 4/255 or wider.
        channels_last: Search in channels-last.
        folded: Search with BatchNorm folded into the convolution before it, where there is one.
        eot: Average the gradient over so many draws of a model that draws at random.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 5))
        >>> x, y = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])
        >>> result = APGD(eps=4 / 255, loss="dlr", targets=3)(model, x, y)
        >>> bool((result.norms <= 4 / 255 + 1e-6).all())
        True

    Cost for an image that stays: restarts x targets searches of steps + 1 forward and steps
    backward passes, one forward pass for the clean image and one for the verdict, which the model
    gives in its own arithmetic; all of it `eot` times. An image that is wrong already costs the
    first alone.

    Differs from the paper: for "ce" and classes it is the log odds that are climbed, which rise and
    point as the cross-entropy does but do not underflow where the model is sure; at a checkpoint a
    step is halved also where exactly the share rho of the steps raised the loss, as in the authors'
    code; unlike there the first of these is compared with the start, as the paper has it, and the
    last gradient, which decides nothing, is not taken.
    """

    eps: float | Tensor
    norm: Norm = "linf"
    steps: int = 100
    restarts: int = 1
    loss: str = "ce"
    target: str | Tensor | None = None
    targets: int | None = None
    rho: float = 0.75
    compact_every: int | None = 5
    precision: str = "fp32"
    channels_last: bool = False
    folded: bool = False
    eot: int = 1

    def __post_init__(self) -> None:
        choice("norm", self.norm, ("linf", "l2"))
        budget("eps", self.eps, norm=self.norm, unbounded=False)
        number("rho", self.rho, low=0.0, high=1.0)
        choice("loss", self.loss, LOSSES)
        check_target(self.target)
        for name in ("steps", "restarts", "eot"):
            count(name, getattr(self, name))
        for name in ("targets", "compact_every"):
            if getattr(self, name) is not None:
                count(name, getattr(self, name))
        if self.target is not None and self.targets is not None:
            raise InputError(
                "`targets` must be None where `target` says which class is aimed at; got "
                f"{self.targets}."
            )
        _ = self.levers

    @property
    def levers(self) -> Levers:
        """What makes the search fast."""
        precision = precision_within(self.precision, eps=self.eps, norm=self.norm)
        return Levers(precision=precision, channels_last=self.channels_last, folded=self.folded)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Attack one batch.

        Args:
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
        x, y = detached(x), detached(y)
        hunt = _Hunt(self, model, x, y)
        with frozen(model), frozen(hunt.searched), undisturbed(x):
            target, runs = hunt.run(rng)
            found = hunt.judged()
        forward = runs * (self.steps + 1) + 2
        return Result(
            adv=found.x,
            success=found.rank > 0,
            norms=distance(found.x, x, norm=self.norm),
            passes=Passes(self.eot * forward, self.eot * runs * self.steps),
            seconds=time.perf_counter() - began,
            target=target,
            target_hit=None if target is None else found.rank == 2,
            clean_correct=hunt.clean_correct,
            spent=hunt.spent,
        )


class _Hunt:
    """What one call keeps: the strongest of every image, and those that are searched still."""

    def __init__(self, attack: APGD, model: Model, x: Tensor, y: Tensor) -> None:
        self._attack, self._x, self._y = attack, x, y
        self._model = _drawing(model, attack.eot)
        self.searched = attack.levers.lower(model, x.device)
        self._left = Survivors(x.shape[0], device=x.device, every=attack.compact_every)

    @property
    def spent(self) -> Passes:
        """Passes so far, over all images."""
        once, eot = self._left.spent, self._attack.eot
        return Passes(eot * once.forward, eot * once.backward)

    def run(self, rng: torch.Generator | None) -> tuple[Tensor | None, int]:
        """Search from every start towards every goal; tell a single target, and how many runs."""
        z = checked(self._look(self._model, self._x), self._y)
        self.clean_correct = z.argmax(dim=1) == true_class(self._y)
        target, goals = self._goals(z, rng)
        self._aim, self._enough = target, 1 if target is None else 2
        first = Strongest(self._y, target, self._measure(self._y, target))
        first.visit(self._x, z)
        clean = first.found()
        # Of the images that are right, any iterate of the search is stronger.
        height = torch.where(clean.rank > 0, clean.height, -torch.inf)
        self._best = Iterate(self._x.clone(), clean.rank, height)
        self._let_go()
        for goal in goals:
            for _ in range(self._attack.restarts):
                self._search(goal, rng)
        return target, len(goals) * self._attack.restarts

    def _goals(
        self, z: Tensor, rng: torch.Generator | None
    ) -> tuple[Tensor | None, list[Tensor] | list[None]]:
        attack = self._attack
        if attack.target is not None:
            target = choose_target(attack.target, z, self._y, rng=rng)
            return target, [target]
        if attack.targets is None:
            return None, [None]
        wrong = z.scatter(1, true_class(self._y).unsqueeze(1), -torch.inf)
        likely = wrong.topk(min(attack.targets, z.shape[1] - 1), dim=1).indices
        return None, list(likely.unbind(dim=1))

    def _measure(self, y: Tensor, t: Tensor | None) -> LossOfLogits:
        """Say what makes an iterate strong; losses towards different classes do not compare."""
        if self._attack.targets is not None:
            return lambda z: margin(z, y)
        return self._height(y, t)

    def _height(self, y: Tensor, t: Tensor | None) -> LossOfLogits:
        """Say what is climbed; for one draw the log odds, as the steps do not see their scale."""
        attack = self._attack
        if attack.loss != "ce" or attack.eot > 1 or (t is None and y.ndim == 2):
            return climb(attack.loss, y, t, values=False)
        return (lambda z: log_odds(z, y)) if t is None else (lambda z: -log_odds(z, t))

    def _search(self, goal: Tensor | None, rng: torch.Generator | None) -> None:
        attack, left = self._attack, self._left
        # Drawn for the whole batch, whoever is left of it: a start does not depend on batch mates.
        start = surface(self._x, eps=attack.eps, norm=attack.norm, rng=rng).clamp_(0.0, 1.0)
        x, at = pick(left.rows, self._x, start)
        walk = AdaptiveWalk(x, eps=attack.eps, norm=attack.norm, steps=attack.steps, rho=attack.rho)
        for steps, ends in self._stretches():
            if len(left) == 0:
                return
            at, seen = self._climb(walk, at, goal, steps)
            if ends:
                seen.visit(at, self._look(_drawing(self.searched, attack.eot), at))
            stay = self._settle(seen.found())
            walk.keep(stay)
            (at,) = pick(stay, at)

    def _stretches(self) -> Iterator[tuple[int, bool]]:
        """Cut the steps of a search into stretches, and tell which is the last."""
        total = self._attack.steps
        every = self._attack.compact_every or total
        for done in range(0, total, every):
            yield min(every, total - done), done + every >= total

    def _climb(
        self, walk: AdaptiveWalk, at: Tensor, goal: Tensor | None, steps: int
    ) -> tuple[Tensor, Strongest]:
        y, t, aim = self._labels(goal)
        loss, draws = self._height(y, t), self._attack.eot
        seen, height = Strongest(y, aim, self._measure(y, t)), over_draws(loss, draws)

        def visit(x: Tensor, z: Tensor) -> None:
            seen.visit(x, mean_logits(z, draws))
            walk.visit(height(z))

        at = ascend(
            self.searched,
            at,
            loss,
            steps=steps,
            move=walk.step,
            visit=visit,
            slope=mean_slope(draws),
        )
        self._left.spend(forward=steps, backward=steps)
        return at, seen

    def _labels(self, goal: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Give classes, goals and single targets of the images that are left."""
        (y,) = pick(self._left.rows, self._y)
        t = None if goal is None else pick(self._left.rows, goal)[0]
        return y, t, None if self._aim is None else t

    def _look(self, model: Model, x: Tensor) -> Tensor:
        self._left.spend(forward=1, images=x.shape[0])
        return mean_logits(clean_logits(model, x), self._attack.eot)

    def _settle(self, found: Iterate) -> Tensor | None:
        """Enter what a stretch found, and let the fooled go. The device is waited for."""
        if self._attack.compact_every is None:
            self._enter(found)
            return None
        fooled = (found.rank >= self._enough).nonzero().squeeze(1)
        self._enter(self._confirmed(found, fooled))
        return self._let_go()

    def _enter(self, found: Iterate) -> None:
        old = Iterate(*pick(self._left.rows, *self._best))
        for whole, part in zip(self._best, stronger(old, found), strict=True):
            self._left.put(whole, part)

    def _let_go(self) -> Tensor | None:
        if self._attack.compact_every is None:
            return None
        (rank,) = pick(self._left.rows, self._best.rank)
        return self._left.leave(rank >= self._enough)

    def _confirmed(self, found: Iterate, rows: Tensor) -> Iterate:
        """Let the model itself judge some of what was found for the images that are left."""
        if rows.shape[0] == 0:
            return found
        x, y = pick(rows, found.x, pick(self._left.rows, self._y)[0])
        t = None if self._aim is None else pick(rows, pick(self._left.rows, self._aim)[0])[0]
        judge = Strongest(y, t, self._measure(y, t))
        judge.visit(x, checked(self._look(self._model, x), y))
        judged = zip(found, judge.found(), strict=True)
        return Iterate(*(old.index_copy(0, rows, new) for old, new in judged))

    def judged(self) -> Iterate:
        """Give the strongest of every image; of those that never left it is judged now."""
        if len(self._left) > 0:
            rows = self._left.rows
            everyone = torch.arange(rows.shape[0], device=rows.device)
            found = self._confirmed(Iterate(*pick(rows, *self._best)), everyone)
            for whole, part in zip(self._best, found, strict=True):
                self._left.put(whole, part)
        return self._best


def _drawing(model: Model, n: int) -> Model:
    return model if n == 1 else Draws(model, n=n)
