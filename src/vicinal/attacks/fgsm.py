"""FGSM as an attack (Goodfellow et al. 2015): one full step, judged where it lands."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import budget, choice
from vicinal._typing import Model
from vicinal.attacks.pgd import PGD
from vicinal.attacks.result import Result
from vicinal.inputs.targets import check_target
from vicinal.maths.losses import LOSSES

__all__ = ["FGSM"]


@dataclass(frozen=True, kw_only=True)
class FGSM:
    r"""Take one full step along the sign of the gradient and judge the image there.

    .. math:: x' = \Pi_{[0,1]}(x + \epsilon\, \mathrm{sign} \nabla_x \ell(f(x), y))

    Args:
        eps: Step in pixel units, or one per channel (C,).
        loss: What is climbed, "ce", "margin" or "dlr".
        target: None for any error; "least_likely", "most_confusing", "random" or classes (N,).

    Example:
        >>> model = torch.nn.Flatten()  # two pixels, two logits
        >>> x = torch.tensor([0.75, 0.5]).view(1, 2, 1, 1)
        >>> FGSM(eps=0.25)(model, x, torch.tensor([0])).success
        tensor([True])

    Cost: two forward and one backward pass; one forward more with a target.
    """

    eps: float | Tensor
    loss: str = "ce"
    target: str | Tensor | None = None

    def __post_init__(self) -> None:
        budget("eps", self.eps, unbounded=False)
        choice("loss", self.loss, LOSSES)
        check_target(self.target)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Attack one batch, as `PGD` with one full step and no random start."""
        step = PGD(
            eps=self.eps,
            step_size=self.eps,
            steps=1,
            random_start=False,
            loss=self.loss,
            target=self.target,
            iterate="last",
        )
        return step(model, x, y, rng=rng)
