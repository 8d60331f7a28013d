r"""PGD as an attack (Madry et al. 2018): restarts, a target, and the strongest iterate kept.

"PGD-n" of the papers is `steps=n`; their CW attack is `loss="margin"`; the unbounded sanity check
of ALPS 5.3 is `eps=inf, steps=200, step_size=0.01, random_start=False`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import InputError, choice, count, images, labels, logits
from vicinal._typing import Model, Norm, Passes
from vicinal.attacks.result import Result
from vicinal.attacks.strongest import Strongest
from vicinal.gradients import clean_logits, detached
from vicinal.inputs.pgd import check_ball, climb, pgd
from vicinal.inputs.targets import check_target, choose_target
from vicinal.maths.balls import distance
from vicinal.maths.losses import LOSSES

__all__ = ["PGD"]


@dataclass(frozen=True, kw_only=True)
class PGD:
    r"""Climb the loss within a ball, from one or several starts, and keep the worst per image.

    Args:
        eps: Radius in pixel units, or one per channel (C,) for linf; infinity for no ball.
        step_size: Step in pixel units.
        steps: How many steps, at least 1.
        restarts: How many starts; more than one needs `random_start`.
        random_start: Begin at a uniform draw from the ball.
        norm: "linf" or "l2".
        loss: What is climbed, "ce" or "margin".
        target: None for any error; "least_likely", "most_confusing", "random" or classes (N,).
        iterate: "worst" keeps the strongest of all iterates; "last" judges only the last iterate of
            each start, as the papers do.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        >>> x, y = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])
        >>> result = PGD(eps=4 / 255, step_size=1 / 255, steps=10)(model, x, y)
        >>> bool((result.norms <= 4 / 255 + 1e-6).all())
        True

    Cost: restarts x (steps + 1) forward and restarts x steps backward passes; one forward more with
    a target. Images must lie in [0, 1]; labels, range and logits are checked at the door.
    """

    eps: float | Tensor
    step_size: float | Tensor
    steps: int
    restarts: int = 1
    random_start: bool = True
    norm: Norm = "linf"
    loss: str = "ce"
    target: str | Tensor | None = None
    iterate: str = "worst"

    def __post_init__(self) -> None:
        check_ball(self.eps, self.step_size, self.norm, self.random_start)
        count("steps", self.steps)
        count("restarts", self.restarts, low=1)
        choice("loss", self.loss, LOSSES)
        choice("iterate", self.iterate, ("worst", "last"))
        check_target(self.target)
        if self.restarts > 1 and not self.random_start:
            raise InputError(
                "`random_start` must be True for more than one restart: without it every restart "
                f"is the same search; got {self.restarts} restarts."
            )

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
        t = None
        if self.target is not None:
            t = choose_target(self.target, _checked(clean_logits(model, x), y), y, rng=rng)
        loss = climb(self.loss, y, t, values=True)
        best = Strongest(y, t, loss)
        for _ in range(self.restarts):
            last = pgd(
                model,
                x,
                loss,
                eps=self.eps,
                step_size=self.step_size,
                steps=self.steps,
                norm=self.norm,
                random_start=self.random_start,
                rng=rng,
                visit=best.visit if self.iterate == "worst" else None,
            )
            best.visit(last, _checked(clean_logits(model, last), y))
        return self._result(x, best, t, began)

    def _result(self, x: Tensor, best: Strongest, t: Tensor | None, began: float) -> Result:
        found = best.found()
        return Result(
            adv=found.x,
            success=found.rank > 0,
            norms=distance(found.x, x, norm=self.norm),
            passes=Passes(
                self.restarts * (self.steps + 1) + (t is not None), self.restarts * self.steps
            ),
            seconds=time.perf_counter() - began,
            target=t,
            target_hit=None if t is None else found.rank == 2,
        )


def _checked(z: Tensor, y: Tensor) -> Tensor:
    logits(z, n=y.shape[0])
    labels(y, n=y.shape[0], num_classes=z.shape[1])
    return z
