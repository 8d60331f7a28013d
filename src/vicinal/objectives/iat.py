r"""IAT: interpolated adversarial training (Lamb, Verma, Kannala, Bengio; AISec 2019).

.. math:: L = \tfrac12 \left( L_{mix}(x, y) + L_{mix}(x_{adv}, y) \right), \quad
          L_{mix}(x, y) = \frac1N \sum_i \ell(f(\lambda x_i + (1-\lambda) x_j),\;
          \lambda y_i + (1-\lambda) y_j)            (algorithm 1)

The adversaries are of the unmixed batch; clean images and adversaries are then mixed, each with
partners and a weight of their own. M-TLAT mixes first and attacks the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vicinal._checks import at_least_two, choice, count, training_batch
from vicinal._typing import BatchNormMode, Model, Passes
from vicinal.inputs.pgd import check_ball, climb, pgd
from vicinal.maths.randomness import uniform
from vicinal.objectives.mixup import MixUp

__all__ = ["IAT"]


@dataclass(frozen=True, kw_only=True)
class IAT:
    r"""Half the MixUp loss of the batch and half that of its untargeted adversaries.

    ERM at eps = 0 and alpha = 0.

    Args:
        alpha: Shape of the Beta of both mixtures, finite and at least 0.
        eps: Radius of the linf ball in pixel units.
        step_size: Step in pixel units.
        steps: How many.
        random_start: Begin at a uniform draw from the ball.
        random_eps: Scale radius and step by one draw from U[0, 1) per batch: with eps and step_size
            0.025, one step and no random start, the FGSM with eps ~ U[0, 0.025] of M-TLAT's tables.
        batchnorm: "eval", "train_frozen_stats" or "train", the mode while attacking, see
            `gradients.frozen`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> loss = IAT(steps=2)(model, torch.rand(8, 1, 8, 8), torch.arange(8))
        >>> loss.backward()

    Differs from the paper: the attack sees the net in eval mode unless `batchnorm` says otherwise.
    Cost: steps + 2 forward and steps + 2 backward passes.
    """

    alpha: float = 1.0
    eps: float = 8 / 255
    step_size: float = 2 / 255
    steps: int = 7
    random_start: bool = True
    random_eps: bool = False
    batchnorm: BatchNormMode = "eval"
    risks: ClassVar[int] = 2

    def __post_init__(self) -> None:
        MixUp(alpha=self.alpha)
        check_ball(self.eps, self.step_size, "linf", self.random_start)
        count("steps", self.steps, low=0)
        choice("batchnorm", self.batchnorm, ("eval", "train_frozen_stats", "train"))

    @property
    def passes(self) -> Passes:
        """The attack's, and one of each for either half."""
        return Passes(self.steps + 2, self.steps + 2)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean of both halves' losses, algorithm 1."""
        training_batch(x, y)
        at_least_two(x, who="IAT")
        scale = uniform((1,), x, rng, common=True).expand(x.shape[1]) if self.random_eps else 1.0
        adv = pgd(
            model,
            x,
            climb("ce", y, None, values=y.device.type == "cpu"),
            eps=self.eps * scale,
            step_size=self.step_size * scale,
            steps=self.steps,
            random_start=self.random_start,
            batchnorm=self.batchnorm,
            rng=rng,
        )
        mixed = MixUp(alpha=self.alpha)
        return (mixed(model, x, y, rng=rng) + mixed(model, adv, y, rng=rng)) / 2
