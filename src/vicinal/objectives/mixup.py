r"""MixUp (Zhang et al. 2018): image and label move together towards a partner.

.. math:: \hat L = \frac1N \sum_i \ell(f(\lambda x_i + (1-\lambda) x_j),\;
          \lambda y_i + (1-\lambda) y_j), \quad \lambda \sim \mathrm{Beta}(\alpha, \alpha)
          \quad (ALPS, eq. 11)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal import inputs
from vicinal._checks import number
from vicinal._typing import Model, Passes
from vicinal.labels import Mixing
from vicinal.objectives.vicinal import Vicinal

__all__ = ["MixUp"]


@dataclass(frozen=True, kw_only=True)
class MixUp:
    """Cross-entropy at mixed images against equally mixed labels. ERM at alpha = 0.

    Args:
        alpha: Shape of the symmetric Beta, finite, at least 0. The papers: 1 (ALPS), 0.4 (M-TLAT).
        per_sample: A weight for each image; by default one for the batch, as the authors' code has.

    Example:
        >>> model = torch.nn.Flatten()
        >>> x, y = torch.rand(4, 3, 1, 1), torch.tensor([0, 1, 2, 0])
        >>> MixUp(alpha=1.0)(model, x, y).ndim
        0

    Differs from the paper: nothing; the partner is a permutation of the batch as in the authors'
    code. Cost: one forward and one backward pass.
    """

    alpha: float = 1.0
    per_sample: bool = False

    def __post_init__(self) -> None:
        number("alpha", self.alpha, low=0.0, open_high=True)

    @property
    def passes(self) -> Passes:
        """One of each."""
        return Passes(1, 1)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean cross-entropy at the mixtures."""
        move = inputs.MixUp(alpha=self.alpha, per_sample=self.per_sample)
        return Vicinal(inputs=move, labels=Mixing())(model, x, y, rng=rng)
