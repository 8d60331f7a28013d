r"""Expectation over transformation (Athalye et al. 2018): gradients of a model that draws.

.. math:: \nabla_x \frac{1}{n} \sum_{i=1}^n \ell(f_i(x), y)

The losses of n forward passes are averaged, not their logits: the gradient of the mean loss is the
mean of the gradients, which are taken one after the other, so that a single graph is in memory.
Predictions are those of the mean logits. On a model that draws nothing every pass is the same, and
so is the attack.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vicinal._checks import logits
from vicinal._typing import LossOfLogits, Model
from vicinal.gradients import Slope, input_gradient

__all__ = ["Draws", "mean_logits", "mean_slope", "over_draws"]


class Draws(nn.Module):
    """A model asked n times: the logits of the draws stand beside one another, (N, n K).

    Args:
        model: The model.
        n: How many draws.

    Example:
        >>> z = Draws(nn.Flatten(), n=2)(torch.rand(3, 1, 1, 5))
        >>> z.shape, mean_logits(z, 2).shape
        (torch.Size([3, 10]), torch.Size([3, 5]))
    """

    def __init__(self, model: Model, *, n: int) -> None:
        super().__init__()
        self.model, self._n = model, n

    def forward(self, x: Tensor) -> Tensor:
        """Ask the model n times."""
        draws = [logits(self.model(x), n=len(x), values=False) for _ in range(self._n)]
        return torch.cat(draws, dim=1)


def mean_slope(n: int) -> Slope:
    """Average the gradients of n draws; one graph at a time is kept.

    Args:
        n: How many draws.

    Returns:
        What `ascend` takes: the mean gradient, and the logits of the draws beside one another,
        (N, n K).
    """
    if n == 1:
        return input_gradient

    def slope(model: Model, x: Tensor, loss: LossOfLogits) -> tuple[Tensor, Tensor]:
        total, first = input_gradient(model, x, loss)
        said = [first]
        for _ in range(n - 1):
            gradient, z = input_gradient(model, x, loss)
            total = total + gradient
            said.append(z)
        return total / n, torch.cat(said, dim=1)

    return slope


def over_draws(loss: LossOfLogits, n: int) -> LossOfLogits:
    """Average a loss over draws.

    Args:
        loss: Logits (N, K) to losses (N,).
        n: How many draws stand beside one another.

    Returns:
        Logits (N, n K) to losses (N,); the loss itself for one draw.
    """
    if n == 1:
        return loss
    return lambda z: torch.stack([loss(part) for part in z.chunk(n, dim=1)]).mean(dim=0)


def mean_logits(z: Tensor, n: int) -> Tensor:
    """Average logits over draws.

    Args:
        z: Logits, shape (N, n K).
        n: How many draws.

    Returns:
        Logits, shape (N, K); z itself for one draw.
    """
    return z if n == 1 else z.view(z.shape[0], n, -1).mean(dim=1)
