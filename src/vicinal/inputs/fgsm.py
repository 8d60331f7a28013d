"""One step along the sign of the input gradient (Goodfellow et al. 2015), with no random start.

It is PGD with a single step as long as the radius. With a random start it is `PGD(steps=1, ...)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import budget, choice
from vicinal._typing import BatchNormMode, Model, Passes
from vicinal.inputs.pgd import PGD
from vicinal.inputs.targets import check_target
from vicinal.maths.losses import LOSSES
from vicinal.maths.mixing import Neighbour

__all__ = ["FGSM"]


@dataclass(frozen=True, kw_only=True)
class FGSM:
    r"""Take one full step, clipped to the pixel range.

    .. math:: x' = \Pi_{[0,1]}(x + \epsilon\, \mathrm{sign} \nabla_x \ell(f(x), y))

    Identity at eps = 0.

    Args:
        eps: Step in pixel units, or one per channel (C,).
        loss: What is climbed, "ce" or "margin".
        target: As in `PGD`.
        batchnorm: "eval", "train_frozen_stats" or "train", see `gradients.frozen`.

    Example:
        >>> model = torch.nn.Flatten()  # two pixels, two logits
        >>> x = torch.tensor([0.75, 0.25]).view(1, 2, 1, 1)
        >>> FGSM(eps=0.25)(model, x, torch.tensor([0])).x.flatten()
        tensor([0.5000, 0.5000])

    Cost: one forward and one backward pass; one forward more with a target that depends on the
    logits, unless the step's own forward is the clean one, which it is for batchnorm "eval".
    """

    eps: float | Tensor
    loss: str = "ce"
    target: str | Tensor | None = None
    batchnorm: BatchNormMode = "eval"

    def __post_init__(self) -> None:
        budget("eps", self.eps, unbounded=False)
        choice("loss", self.loss, LOSSES)
        choice("batchnorm", self.batchnorm, ("eval", "train_frozen_stats", "train"))
        check_target(self.target)

    @property
    def passes(self) -> Passes:
        """Those of its one step."""
        return self._step().passes

    @property
    def looks(self) -> bool:
        """Whether it makes a clean forward pass for its target."""
        return self._step().looks

    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Tensor,
        *,
        rng: torch.Generator | None = None,
        z: Tensor | None = None,
    ) -> Neighbour:
        """Move the images by one step."""
        return self._step()(model, x, y, rng=rng, z=z)

    def _step(self) -> PGD:
        return PGD(
            eps=self.eps,
            step_size=self.eps,
            steps=1,
            loss=self.loss,
            target=self.target,
            random_start=False,
            batchnorm=self.batchnorm,
        )
