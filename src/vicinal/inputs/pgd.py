r"""Projected gradient ascent around an image (Madry et al. 2018), the search behind most others.

.. math:: x^{t+1} = \Pi_{B(x, \epsilon) \cap [0, 1]}
          \left( x^t + \alpha\, d(\nabla_x \ell(f(x^t), y)) \right)

with d the sign for linf, the unit gradient for l2. With a target the loss towards it is descended.
Not here: restarts and the choice of the strongest iterate, which are the attack's (`attacks.PGD`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import InputError, budget, choice, count, labels, number
from vicinal._typing import BatchNormMode, LossOfLogits, Model, Norm, Passes
from vicinal.gradients import ascend, clean_logits, detached, differentiable, frozen
from vicinal.inputs.targets import check_target, choose_target
from vicinal.maths.balls import per_channel, project, sample, steepest
from vicinal.maths.losses import LOSSES, TARGETED
from vicinal.maths.mixing import Neighbour

__all__ = ["PGD", "aim", "climb", "pgd"]


def climb(loss: str, y: Tensor, t: Tensor | None, *, values: bool) -> LossOfLogits:
    """Say what an attack climbs: away from y, or, with a target, towards t.

    Args:
        loss: "ce", "margin" or "dlr".
        y: Classes (N,) or distributions (N, K).
        t: Target classes (N,), or None.
        values: Whether to check, at the first logits, that they have a column for every class of
            y (an accelerator waits for that).

    Returns:
        Logits (N, K) to losses (N,) that rise as the attack succeeds.
    """
    name = LOSSES[choice("loss", loss, LOSSES)]
    own, towards = detached(y), None if t is None else detached(t)
    first = iter((values,))

    def height(z: Tensor) -> Tensor:
        labels(y, n=z.shape[0], num_classes=z.shape[1], values=next(first, False))
        if towards is None:
            return name(z, own)
        return TARGETED[loss](z, own, towards) if loss in TARGETED else -name(z, towards)

    return height


def aim(
    loss: str,
    y: Tensor,
    rule: str | Tensor,
    *,
    values: bool,
    z: Tensor | None = None,
    rng: torch.Generator | None = None,
) -> LossOfLogits:
    """Say what an attack climbs whose target is chosen by rule, once, when there are logits.

    Args:
        loss: "ce" or "margin".
        y: Classes (N,) or distributions (N, K).
        rule: One of `TARGETS`, or classes (N,).
        values: As in `climb`.
        z: Logits (N, K) by which to choose; by default the first that are seen.
        rng: Where random targets come from; torch's global generator when not given.

    Returns:
        Logits (N, K) to losses (N,) that rise as the target is approached.
    """
    found: list[LossOfLogits] = []

    def height(seen: Tensor) -> Tensor:
        if not found:
            labels(y, n=seen.shape[0], num_classes=seen.shape[1], values=values)
            t = choose_target(rule, seen.detach() if z is None else z, y, rng=rng)
            found.append(climb(loss, y, t, values=False))
        return found[0](seen)

    return height


def pgd(
    model: Model,
    x: Tensor,
    loss: LossOfLogits,
    *,
    eps: float | Tensor,
    step_size: float | Tensor,
    steps: int,
    norm: Norm = "linf",
    random_start: bool = True,
    start_radius: float = 1.0,
    clip_start: bool = True,
    project_back: bool = True,
    batchnorm: BatchNormMode = "eval",
    rng: torch.Generator | None = None,
    visit: Callable[[Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Climb a loss of the logits within a ball around each image.

    Args:
        model: The model; mode, buffers, gradients and flags are left as they were.
        x: Images, shape (N, C, H, W), in [0, 1]; not modified.
        loss: What rises: logits (N, K) to losses (N,).
        eps: Radius in pixel units, or one per channel (C,) for linf; infinity for the whole range.
        step_size: Step in pixel units, or one per channel (C,) for linf.
        steps: How many.
        norm: "linf" or "l2".
        random_start: Begin at a uniform draw from the ball.
        start_radius: Radius of the ball of that draw, in units of eps.
        clip_start: Clip the start to [0, 1].
        project_back: Bring every iterate back into the ball; if not, into [0, 1] only.
        batchnorm: The mode while attacking, see `gradients.frozen`.
        rng: Where the start comes from; torch's global generator when not given.
        visit: Told every iterate with its logits, but not the last.

    Returns:
        The last iterate, shape (N, C, H, W), in the ball and in [0, 1], detached. Without steps it
        is the start.

    Cost: `steps` forward and `steps` backward passes.
    """
    center = detached(x)
    radius, stride = per_channel(eps, center), per_channel(step_size, center)

    def move(at: Tensor, gradient: Tensor) -> Tensor:
        moved = at + stride * steepest(gradient, norm=norm)
        return project(moved, center, eps=radius if project_back else math.inf, norm=norm)

    with frozen(model, batchnorm=batchnorm), differentiable():
        start = center
        if random_start:
            start = sample(center, eps=_scaled(eps, start_radius), norm=norm, rng=rng)
            start = start.clamp_(0.0, 1.0) if clip_start else start
        return ascend(model, start, loss, steps=steps, move=move, visit=visit)


def _scaled(eps: float | Tensor, factor: float) -> float | Tensor:
    return eps if factor == 1 else eps * factor


def check_ball(
    eps: float | Tensor, step_size: float | Tensor, norm: str, random_start: bool
) -> None:
    """Check the budget of a search in a ball.

    Args:
        eps: Its radius.
        step_size: Its step.
        norm: "linf" or "l2".
        random_start: Whether it begins at a draw from the ball.

    Raises:
        InputError: If one of them is off, or an unbounded ball shall be drawn from.
    """
    choice("norm", norm, ("linf", "l2"))
    budget("eps", eps, norm=norm)
    budget("step_size", step_size, norm=norm, unbounded=False)
    if random_start and not isinstance(eps, Tensor) and eps == math.inf:
        raise InputError(
            "`random_start` must be False when eps is infinite: there is no ball to draw from; "
            "got True."
        )


@dataclass(frozen=True, kw_only=True)
class PGD:
    r"""The input move of adversarial training (Madry et al. 2018): the last iterate of PGD.

    Identity at eps = 0.

    Args:
        eps: Radius in pixel units, or one per channel (C,) for linf.
        step_size: Step in pixel units.
        steps: How many.
        norm: "linf" or "l2".
        loss: What is climbed, "ce" or "margin".
        target: None climbs away from the label; "least_likely", "most_confusing", "random" or
            classes (N,) climb towards a wrong class; the likely ones are those of the clean images
            in eval mode.
        random_start: Begin at a uniform draw from the ball.
        start_radius: Radius of the ball of that draw in units of eps; 2 in N-FGSM.
        clip_start: Clip the start to [0, 1], as most codes do and BAT's does not.
        project_back: Bring every iterate back into the ball. N-FGSM does not, and the image may end
            start_radius x eps + steps x step_size away.
        batchnorm: "eval", "train_frozen_stats" or "train", see `gradients.frozen`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
        >>> x = torch.rand(5, 1, 2, 2)
        >>> move = PGD(eps=8 / 255, step_size=2 / 255, steps=10)
        >>> bool(((move(model, x, torch.zeros(5).long()).x - x).abs() <= 8 / 255 + 1e-6).all())
        True

    Cost: `steps` forward and `steps` backward passes; one forward more for a target that depends on
    the logits, unless these are given, or the search itself begins at the clean image in eval mode.
    """

    eps: float | Tensor
    step_size: float | Tensor
    steps: int = 10
    norm: Norm = "linf"
    loss: str = "ce"
    target: str | Tensor | None = None
    random_start: bool = True
    start_radius: float = 1.0
    clip_start: bool = True
    project_back: bool = True
    batchnorm: BatchNormMode = "eval"

    def __post_init__(self) -> None:
        check_ball(self.eps, self.step_size, self.norm, self.random_start)
        number("start_radius", self.start_radius, low=0.0, open_high=True)
        count("steps", self.steps, low=0 if self.clip_start else 1)
        choice("loss", self.loss, LOSSES)
        choice("batchnorm", self.batchnorm, ("eval", "train_frozen_stats", "train"))
        check_target(self.target)

    @property
    def passes(self) -> Passes:
        """Each step is one forward and one backward; looking costs one forward more."""
        return Passes(self.steps + self.looks, self.steps)

    @property
    def looks(self) -> bool:
        """Whether the target needs clean logits that the search does not see first anyway."""
        begins_clean = not self.random_start and self.batchnorm == "eval"
        by_rule = isinstance(self.target, str) and self.target != "random"
        return by_rule and self.steps > 0 and not begins_clean

    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Tensor,
        *,
        rng: torch.Generator | None = None,
        z: Tensor | None = None,
    ) -> Neighbour:
        """Move the images to where the loss is high."""
        if z is None and self.looks:
            z = clean_logits(model, x)
        adv = pgd(
            model,
            x,
            self._height(detached(y), z, rng),
            eps=self.eps,
            step_size=self.step_size,
            steps=self.steps,
            norm=self.norm,
            random_start=self.random_start,
            start_radius=self.start_radius,
            clip_start=self.clip_start,
            project_back=self.project_back,
            batchnorm=self.batchnorm,
            rng=rng,
        )
        return Neighbour(adv)

    def _height(self, y: Tensor, z: Tensor | None, rng: torch.Generator | None) -> LossOfLogits:
        values = y.device.type == "cpu"
        if self.target is None:
            return climb(self.loss, y, None, values=values)
        return aim(self.loss, y, self.target, values=values, z=z, rng=rng)
