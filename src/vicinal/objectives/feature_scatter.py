r"""Feature-scattering adversarial training (Zhang and Wang, NeurIPS 2019).

.. math:: \min_\theta \frac1N \sum_i \ell(f(x'_i), \phi(y_i, 1 - s)), \quad
          x' = \arg\max_{x' \in B(x, \epsilon)} \mathrm{OT}(z(x), z(x'))

The min-max problem of adversarial training (AVmixup, eq. 1) with another inner maximum, which moves
the batch as a whole and sees no label; one step stands for it. phi is the smoothing of ALPS, eq. 8,
and s its weight, 0.5 in the authors' code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal import inputs
from vicinal._checks import number
from vicinal._typing import BatchNormMode, Model, Passes
from vicinal.labels import Smooth
from vicinal.objectives.vicinal import Vicinal

__all__ = ["FeatureScatter"]


@dataclass(frozen=True, kw_only=True)
class FeatureScatter:
    """Smoothed cross-entropy at the batch that is scattered farthest from the clean one.

    ERM at eps = 0, smoothing = 0.

    Args:
        eps: Radius in pixel units, or one per channel (C,).
        step_size: Step in pixel units, or one per channel (C,).
        steps: How many.
        smoothing: The weight moved evenly from the class to the others, in [0, 1].
        transport: "sinkhorn" or "paper", as in `inputs.FeatureScatter`.
        batchnorm: The mode while attacking, see `gradients.frozen`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> loss = FeatureScatter(eps=8 / 255)(model, torch.rand(8, 1, 8, 8), torch.arange(8))
        >>> loss.backward()

    Differs from the paper: as `inputs.FeatureScatter` does. Cost: `steps` + 2 forward and
    `steps` + 1 backward passes.
    """

    eps: float | Tensor = 8 / 255
    step_size: float | Tensor = 8 / 255
    steps: int = 1
    smoothing: float = 0.5
    transport: str = "sinkhorn"
    batchnorm: BatchNormMode = "eval"

    def __post_init__(self) -> None:
        number("smoothing", self.smoothing, low=0.0, high=1.0)
        self._sentence()

    def _sentence(self) -> Vicinal:
        move = inputs.FeatureScatter(
            eps=self.eps,
            step_size=self.step_size,
            steps=self.steps,
            transport=self.transport,
            batchnorm=self.batchnorm,
        )
        return Vicinal(inputs=move, labels=Smooth(eps=self.smoothing))

    @property
    def passes(self) -> Passes:
        """The clean forward, each step's two, and the loss's."""
        return self._sentence().passes

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean smoothed cross-entropy at the scattered batch."""
        return self._sentence()(model, x, y, rng=rng)
