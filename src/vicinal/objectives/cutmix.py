r"""CutMix (Yun et al. 2019): a box of the partner's pixels, and the label by what the box left.

.. math:: \hat L = \frac1N \sum_i \ell(f(M \odot x_i + (1 - M) \odot x_j),\;
          \lambda y_i + (1-\lambda) y_j), \quad \lambda = \text{the share of pixels with } M = 1
          \quad (eq. 1-2)
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

__all__ = ["CutMix"]


@dataclass(frozen=True, kw_only=True)
class CutMix:
    """Cross-entropy at images with a pasted box against labels mixed by area. ERM at alpha = 0.

    Args:
        alpha: Shape of the symmetric Beta from which the box's area comes, finite, at least 0. The
            paper: 1.
        per_sample: A box for each image; by default one for the batch, as the authors' code has.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> CutMix(alpha=1.0)(model, torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])).ndim
        0

    Differs from the paper: the label's weight is counted after clipping and rounding, as in the
    authors' code, not the lambda drawn. Not here: that code's share of batches left uncut (half of
    them on CIFAR); every batch is cut, as the paper writes it. Cost: one forward and one backward
    pass.
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
        """Return the mean cross-entropy at the images with pasted boxes."""
        move = inputs.CutMix(alpha=self.alpha, per_sample=self.per_sample)
        return Vicinal(inputs=move, labels=Mixing())(model, x, y, rng=rng)
