r"""TLAT: targeted labeling adversarial training (Laugros, Caplier, Ospici; ECCV-W 2020).

.. math:: x' = x - \epsilon\, \mathrm{sign} \nabla_x \ell(f(x), t), \quad
          q' = (1 - \epsilon)\, e_y + \epsilon\, e_t, \quad
          \epsilon \sim U[0, \epsilon_{max}], \quad t \sim U\{1, \dots, K\}            (eq. 4 and 5)

The image takes a step towards a drawn class and the label goes along, by a weight that is the
step's own length in pixel units. The batch holds the clean images too. Here as well are the other
columns of table 3: FGSM, target-FGSM, and target-FGSM with label smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from vicinal._checks import InputError, choice, training_batch
from vicinal._typing import BatchNormMode, Model, Passes
from vicinal.labels import toward
from vicinal.objectives.aimed import Aim, Aimed, AimedStep
from vicinal.objectives.erm import ERM
from vicinal.objectives.late_label import label_of, risk_at

__all__ = ["TLAT"]


@dataclass(frozen=True, kw_only=True)
class TLAT:
    r"""Cross-entropy at the images, plus that at one-step adversaries with labels that follow.

    2 x ERM at eps_max = 0.

    Args:
        eps_max: The longest step, in pixel units; one step's length is drawn from U[0, eps_max).
        label: "toward" the target (TLAT), "smooth" (1 - eps + eps/K on the class, eps/K elsewhere),
            or "keep", which leaves it alone.
        target: "any" draws from all classes, as Algorithm 1; "random" from the wrong ones; None
            steps away from the label, plain FGSM, with label "keep" or "smooth".
        per_sample: A length for each image, or one for the batch, as Algorithm 1.
        reduction: "sum" of both losses, as printed, or their "mean".
        batchnorm: "eval", "train_frozen_stats" or "train", the mode while attacking, see
            `gradients.frozen`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> x, y = torch.rand(8, 1, 8, 8), torch.arange(8)
        >>> TLAT(eps_max=0.025)(model, x, y).backward()
        >>> target_fgsm, fgsm = TLAT(label="keep"), TLAT(label="keep", target=None)

    Differs from the paper: eq. 3, 4 and 6 as printed move towards the argument of a maximum and
    are read as eq. 5; the smoothed label, printed as 1 - eps and eps/K, would not sum to 1. What it
    leaves open: the adversary is clipped to [0, 1], the clean half keeps its labels, and each half
    is a forward pass of its own. Cost: three forward and three backward passes.
    """

    eps_max: float = 0.025
    label: Literal["toward", "smooth", "keep"] = "toward"
    target: Aim = "any"
    per_sample: bool = False
    reduction: Literal["sum", "mean"] = "sum"
    batchnorm: BatchNormMode = "eval"
    risks: ClassVar[int] = 2

    def __post_init__(self) -> None:
        choice("label", self.label, ("toward", "smooth", "keep"))
        choice("reduction", self.reduction, ("sum", "mean"))
        self._step()
        if self.target is None and self.label == "toward":
            raise InputError(
                "`label` 'toward' needs a target; got `target` None. Did you mean label='keep', "
                "plain FGSM?"
            )

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
        """Return both halves' losses, added."""
        training_batch(x, y)
        own = label_of(y)
        aimed = self._step()(model, x, own, rng=rng)
        clean = ERM()(model, x, y)
        total = clean + risk_at(model, aimed.x, lambda z: self._follow(own(z), aimed))
        return total / 2 if self.reduction == "mean" else total

    def _follow(self, q: Tensor, aimed: Aimed) -> Tensor:
        if self.label == "toward" and aimed.t is not None:
            return toward(q, aimed.t, weight=aimed.eps)
        if self.label == "smooth":
            return torch.lerp(q, q.new_tensor(1 / q.shape[1]), aimed.eps.to(q.dtype).view(-1, 1))
        return q
