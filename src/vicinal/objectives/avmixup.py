r"""AVmixup: adversarial vertex mixup (Lee, Lee, Yoon; CVPR 2020).

.. math::
    \min_\theta \frac1N \sum_i \ell(f(\hat x_i), \hat q_i), \quad
    \hat x_i = \alpha_i x_i + (1 - \alpha_i)(x_i + \gamma \delta_i), \quad
    \hat q_i = \alpha_i \phi(y_i, \lambda_1) + (1 - \alpha_i) \phi(y_i, \lambda_2)
    \quad (eq. 12 and 13, Algorithm 1)

One weight alpha ~ U(0, 1) per image drives image and label. The perturbation delta is that of PGD,
or of feature scattering (section 5.4), whose own smoothing phi replaces.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal import inputs, labels
from vicinal._checks import choice
from vicinal._typing import BatchNormMode, Model, Passes
from vicinal.objectives.vicinal import Vicinal

__all__ = ["AVmixup"]

_ATTACKS = {"pgd": inputs.PGD, "feature_scatter": inputs.FeatureScatter}


@dataclass(frozen=True, kw_only=True)
class AVmixup:
    r"""Cross-entropy between every image and its adversarial vertex, the label softening.

    ERM at eps = 0, lambda1 = lambda2 = 1.

    Args:
        attack: What finds the direction of the vertex, "pgd" or "feature_scatter".
        eps: Radius of its ball in pixel units, or one per channel (C,).
        step_size: Its step in pixel units, or one per channel (C,).
        steps: How many.
        gamma: How much farther than the adversarial image the vertex lies, finite, at least 0.
        lambda1: What the class keeps at the image, in [0, 1].
        lambda2: What it keeps at the vertex, in [0, 1].
        batchnorm: The mode while attacking, see `gradients.frozen`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> loss = AVmixup(gamma=2.0)(model, torch.rand(8, 1, 8, 8), torch.arange(8))
        >>> loss.backward()

    Differs from the paper: the vertex is clipped to the pixel range, as in the authors' code; that
    code attacks by batch statistics, `batchnorm="train_frozen_stats"`. Cost: `steps` + 1 forward
    and backward passes; one forward more with feature scattering.
    """

    attack: str = "pgd"
    eps: float | Tensor = 8 / 255
    step_size: float | Tensor = 2 / 255
    steps: int = 10
    gamma: float = 2.0
    lambda1: float = 1.0
    lambda2: float = 0.1
    batchnorm: BatchNormMode = "eval"

    def __post_init__(self) -> None:
        choice("attack", self.attack, _ATTACKS)
        self._sentence()

    @classmethod
    def over_feature_scatter(
        cls, *, gamma: float = 1.0, lambda1: float = 0.5, lambda2: float = 0.7
    ) -> AVmixup:
        """Make AVmixup with the perturbation of feature scattering, one step as long as eps.

        Args:
            gamma: As above; by default what the paper has on CIFAR-10 and SVHN. CIFAR-100: 1.5.
            lambda1: CIFAR-100: 0.3.
            lambda2: CIFAR-100: 0.42.

        Returns:
            AVmixup at eps 8/255.

        Example:
            >>> str(AVmixup.over_feature_scatter().passes)
            '3+2'
        """
        return cls(
            attack="feature_scatter",
            step_size=8 / 255,
            steps=1,
            gamma=gamma,
            lambda1=lambda1,
            lambda2=lambda2,
        )

    def _sentence(self) -> Vicinal:
        attack = _ATTACKS[self.attack](
            eps=self.eps, step_size=self.step_size, steps=self.steps, batchnorm=self.batchnorm
        )
        return Vicinal(
            inputs=inputs.Vertex(move=attack, gamma=self.gamma),
            labels=labels.Vertex(lambda1=self.lambda1, lambda2=self.lambda2),
        )

    @property
    def passes(self) -> Passes:
        """The attack's, and one of each for the loss."""
        return self._sentence().passes

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean loss of one draw, Algorithm 1."""
        return self._sentence()(model, x, y, rng=rng)
