"""One signed step of a drawn length, towards classes that are drawn too (Laugros et al. 2020).

What the adversarial halves of TLAT, M-TLAT and their baselines share: image and label must know of
one and the same length and class, so both come back as a value, as a mixture does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from vicinal._checks import budget, choice, number
from vicinal._typing import BatchNormMode, Model
from vicinal.gradients import detached
from vicinal.inputs import choose_target, pgd
from vicinal.maths.losses import cross_entropy
from vicinal.maths.randomness import integers, uniform
from vicinal.objectives.late_label import LabelOf

__all__ = ["Aim", "Aimed", "AimedStep"]

Aim: TypeAlias = Literal["any", "random"] | None
"""Targets: any class, also the true one; any wrong class; or none, away from the label."""


class Aimed(NamedTuple):
    """Adversaries (N, C, H, W), the length of each step (1,) or (N,), and the targets (N,)."""

    x: Tensor
    eps: Tensor
    t: Tensor | None


@dataclass(frozen=True, kw_only=True)
class AimedStep:
    r"""Take one step of length eps ~ U[0, eps_max), eq. 5, clipped to the pixel range.

    .. math:: x' = \Pi_{[0,1]}(x - \epsilon\, \mathrm{sign} \nabla_x \ell(f(x), t))

    Args:
        eps_max: The longest step, in pixel units.
        target: "any", "random" or None, see `Aim`.
        per_sample: A length for each image, or one for the batch.
        batchnorm: The mode while attacking, see `gradients.frozen`.

    Cost: one forward and one backward pass.
    """

    eps_max: float
    target: Aim
    per_sample: bool
    batchnorm: BatchNormMode

    def __post_init__(self) -> None:
        budget("eps_max", number("eps_max", self.eps_max), unbounded=False)  # the label's, too
        if self.target is not None:
            choice("target", self.target, ("any", "random"))
        choice("batchnorm", self.batchnorm, ("eval", "train_frozen_stats", "train"))

    def __call__(
        self, model: Model, x: Tensor, label: LabelOf, *, rng: torch.Generator | None = None
    ) -> Aimed:
        """Draw lengths, then targets, and take the step.

        Args:
            model: The model; left as it was.
            x: Images, shape (N, C, H, W); not modified.
            label: Their own labels, for steps that go away from them or must not go to them.
            rng: Where draws come from; torch's global generator when not given.

        Returns:
            The adversaries, with what was drawn for them.
        """
        x, t = detached(x), []
        rows = x.shape[0] if self.per_sample else 1
        eps = self.eps_max * uniform((rows,), x, rng, common=not self.per_sample)

        def height(z: Tensor) -> Tensor:
            if self.target is None:
                return cross_entropy(z, label(z))
            t.append(self._targets(z, label, rng))
            return -cross_entropy(z, t[0])

        # The step's end for every length at once: a corner of the pixel range, then back towards x.
        corner = pgd(
            model,
            x,
            height,
            eps=1.0,
            step_size=1.0,
            steps=1,
            random_start=False,
            batchnorm=self.batchnorm,
        )
        reach = eps.view(-1, 1, 1, 1)
        return Aimed(torch.clamp(corner, x - reach, x + reach), eps, t[0] if t else None)

    def _targets(self, z: Tensor, label: LabelOf, rng: torch.Generator | None) -> Tensor:
        if self.target == "any":
            return integers(z.shape[0], high=z.shape[1], like=z, rng=rng)
        return choose_target("random", z, label(z), rng=rng)
