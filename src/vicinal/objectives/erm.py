r"""Empirical risk minimisation: the point-mass vicinity every other method is measured against.

.. math:: \hat L_{ERM} = \frac1N \sum_i \ell(f(x_i), y_i)            (ALPS, eq. 1)

The Dropout row of the papers' tables is this objective on a model with `dropout=0.5`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import labels, training_batch, training_logits
from vicinal._typing import Model, Passes
from vicinal.maths.losses import cross_entropy

__all__ = ["ERM"]


@dataclass(frozen=True, kw_only=True)
class ERM:
    """Plain cross-entropy, for classes and distributions.

    Example:
        >>> model = torch.nn.Flatten()
        >>> ERM()(model, torch.tensor([0.5, 0.5]).view(1, 2, 1, 1), torch.tensor([0]))
        tensor(0.6931)

    Cost: one forward and one backward pass.
    """

    @property
    def passes(self) -> Passes:
        """One of each."""
        return Passes(1, 1)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean cross-entropy of the batch."""
        del rng
        training_batch(x, y)
        z = training_logits(model(x), n=x.shape[0])
        labels(y, n=x.shape[0], num_classes=z.shape[1], values=y.device.type == "cpu")
        return cross_entropy(z, y).mean()
