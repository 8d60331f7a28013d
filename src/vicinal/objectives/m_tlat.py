r"""M-TLAT: MixUp and TLAT, one after the other (Laugros, Caplier, Ospici; ECCV-W 2020).

.. math:: L = \ell(f(x_{mix1}), q_{mix1}) + \ell(f(x_{mtlat}), q_{mtlat}), \quad
          x_{mtlat} = x_{mix2} - \epsilon\, \mathrm{sign} \nabla_x \ell(f(x_{mix2}), t), \quad
          q_{mtlat} = (1 - \epsilon)\, q_{mix2} + \epsilon\, e_t            (Algorithm 1)

Two MixUp batches from one, each with partners and a weight of its own; the second one also takes
TLAT's step, and its label goes along. The first half alone is `MixUp`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from vicinal import inputs
from vicinal._checks import at_least_two, choice, training_batch
from vicinal._typing import BatchNormMode, Model, Passes
from vicinal.labels import toward
from vicinal.objectives.aimed import AimedStep
from vicinal.objectives.late_label import label_of, risk_at
from vicinal.objectives.mixup import MixUp

__all__ = ["MTLAT"]


@dataclass(frozen=True, kw_only=True)
class MTLAT:
    r"""Cross-entropy at a MixUp batch, plus that at the targeted adversaries of another.

    2 x ERM at eps_max = 0 and alpha = 0.

    Args:
        eps_max: The longest step, in pixel units; one step's length is drawn from U[0, eps_max).
        alpha: Shape of the Beta of both mixtures, finite and at least 0.
        target: "any" draws from all classes, as Algorithm 1; "random" from all but the one of
            largest weight in the mixed label.
        per_sample: A step length for each image, or one for the batch, as Algorithm 1.
        reduction: "sum" of both losses, as printed, or their "mean".
        batchnorm: "eval", "train_frozen_stats" or "train", the mode while attacking, see
            `gradients.frozen`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> loss = MTLAT(eps_max=0.025)(model, torch.rand(8, 1, 8, 8), torch.arange(8))
        >>> loss.backward()

    Differs from the paper: its four examples are the batch, twice, and two permutations of it, so
    a step sees 2 N samples; the adversary is clipped to [0, 1]. Cost: three forward and three
    backward passes.
    """

    eps_max: float = 0.025
    alpha: float = 0.4
    target: Literal["any", "random"] = "any"
    per_sample: bool = False
    reduction: Literal["sum", "mean"] = "sum"
    batchnorm: BatchNormMode = "eval"
    risks: ClassVar[int] = 2

    def __post_init__(self) -> None:
        MixUp(alpha=self.alpha)
        choice("target", self.target, ("any", "random"))
        choice("reduction", self.reduction, ("sum", "mean"))
        self._step()

    @property
    def passes(self) -> Passes:
        """The step's, and one of each for either half."""
        return Passes(3, 3)

    def _step(self) -> AimedStep:
        return AimedStep(
            eps_max=self.eps_max,
            target=self.target,
            per_sample=self.per_sample,
            batchnorm=self.batchnorm,
        )

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return both halves' losses, added: Algorithm 1."""
        training_batch(x, y)
        at_least_two(x, who="M-TLAT")
        mix = inputs.MixUp(alpha=self.alpha).draw(x, rng=rng)
        own = label_of(y)
        aimed = self._step()(model, mix(x), lambda z: mix(own(z)), rng=rng)
        first = MixUp(alpha=self.alpha)(model, x, y, rng=rng)

        def follow(z: Tensor) -> Tensor:
            q = mix(own(z))
            return q if aimed.t is None else toward(q, aimed.t, weight=aimed.eps)

        total = first + risk_at(model, aimed.x, follow)
        return total / 2 if self.reduction == "mean" else total
