r"""PGD as an attack (Madry et al. 2018): restarts, a target, and the strongest iterate kept.

"PGD-n" of the papers is `steps=n`; their CW attack is `loss="margin"`; the unbounded sanity check
of ALPS 5.3 is `eps=inf, steps=200, step_size=0.01, random_start=False`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import InputError, choice, count
from vicinal._typing import Model, Norm
from vicinal.attacks.levers import Levers, precision_within
from vicinal.attacks.result import Result
from vicinal.attacks.search import Plan, check_plan, search
from vicinal.inputs.pgd import check_ball
from vicinal.inputs.targets import check_target
from vicinal.maths.losses import LOSSES

__all__ = ["PGD", "check_stride"]


def check_stride(eps: float | Tensor, step_size: float | Tensor) -> None:
    """Refuse a step of 0 in a ball wider than 0: the search would stay where it began.

    Args:
        eps: Radius of the ball, or one per channel (C,).
        step_size: The step, or one per channel (C,).

    Raises:
        InputError: If the step is 0.
    """
    width, stride = (float(torch.as_tensor(one).max()) for one in (eps, step_size))
    if stride == 0 < width:
        hint = "" if width == math.inf else f" Did you mean a quarter of eps, {width / 4:g}?"
        raise InputError(
            f"`step_size` must be above 0: the search would stay where it began; got 0.{hint}"
        )


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
        loss: What is climbed, "ce", "margin" or "dlr".
        target: None for any error; "least_likely", "most_confusing", "random" or classes (N,).
        iterate: "worst" keeps the strongest of all iterates; "last" judges only the last iterate of
            each start, as the papers do.
        compact_every: Fooled images leave the batch every so many steps, and later restarts go on
            with those that are left; with a target, those that hit it. None keeps all to the end.
        precision: Arithmetic of the search, "fp32", "bf16" (autocast), or "auto": bf16 where the
            processor is fast at it and the ball is linf and 4/255 or wider.
        channels_last: Search in channels-last.
        folded: Search with BatchNorm folded into the convolution before it, where there is one.
        rounded: Judge, and return, the images rounded to 8 bits, to levels within the ball.
        eot: Average the gradient over so many draws of a model that draws at random.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        >>> x, y = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])
        >>> result = PGD(eps=4 / 255, step_size=1 / 255, steps=10)(model, x, y)
        >>> bool((result.norms <= 4 / 255 + 1e-6).all())
        True

    Cost: restarts x (steps + 1) forward and restarts x steps backward passes; one forward more with
    a target. With `precision`, `channels_last`, `folded`, `rounded` or `eot` above 1 the model
    itself judges what was found, by draws of its own: one forward more. All of it `eot` times. An
    image that leaves costs no more: `spent` of the result counts image by image. Images must lie in
    [0, 1]; labels, range and logits are checked at the door.
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
    compact_every: int | None = None
    precision: str = "fp32"
    channels_last: bool = False
    folded: bool = False
    rounded: bool = False
    eot: int = 1

    def __post_init__(self) -> None:
        check_ball(self.eps, self.step_size, self.norm, self.random_start)
        check_stride(self.eps, self.step_size)
        count("steps", self.steps)
        count("restarts", self.restarts, low=1)
        choice("loss", self.loss, LOSSES)
        choice("iterate", self.iterate, ("worst", "last"))
        check_target(self.target)
        check_plan(self._plan)
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
        return search(self._plan, model, x, y, rng=rng)

    @property
    def levers(self) -> Levers:
        """What makes the search fast."""
        precision = precision_within(self.precision, eps=self.eps, norm=self.norm)
        return Levers(precision=precision, channels_last=self.channels_last, folded=self.folded)

    @property
    def _plan(self) -> Plan:
        return Plan(
            eps=self.eps,
            step_size=self.step_size,
            steps=self.steps,
            restarts=self.restarts,
            random_start=self.random_start,
            norm=self.norm,
            loss=self.loss,
            target=self.target,
            iterate=self.iterate,
            momentum=None,
            compact_every=self.compact_every,
            levers=self.levers,
            rounded=self.rounded,
            eot=self.eot,
        )
