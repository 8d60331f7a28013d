"""A model that is asked about some of its classes only, such as the 200 of ImageNet-R."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vicinal._checks import InputError
from vicinal._typing import Model

__all__ = ["Restricted", "restricted"]


class Restricted(nn.Module):
    """A model with some of its outputs alone, in an order of their own.

    Args:
        model: The model.
        outputs: Positions among its outputs.
    """

    outputs: Tensor

    def __init__(self, model: Model, outputs: Sequence[int]) -> None:
        super().__init__()
        self.model, self._highest = model, max(outputs)
        weight = next(model.parameters(), torch.empty(0))
        places = torch.tensor(list(outputs), device=weight.device)
        self.register_buffer("outputs", places, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Give the logits of those outputs, shape (N, len(outputs))."""
        z: Tensor = self.model(x)
        if self._highest >= z.shape[1]:
            raise InputError(
                f"`outputs` must be positions among the model's {z.shape[1]} outputs; "
                f"got {self._highest}. Was the set read for another model's classes?"
            )
        return z[:, self.outputs]


def restricted(model: Model, outputs: Sequence[int]) -> Model:
    """Ask a model about some of its classes only.

    ImageNet-R and ImageNet-A have 200 of the 1,000 classes each; their figures are the accuracy
    among these (Hendrycks et al. 2021).

    Args:
        model: The model.
        outputs: Positions among its outputs, at least two and all different, such as
            `data.ShiftedSet.outputs`.

    Returns:
        A model with these outputs alone, in this order.

    Raises:
        InputError: If they are fewer than two, negative, or not all different.

    Example:
        >>> net = nn.Linear(2, 4)
        >>> x = torch.rand(3, 2)
        >>> bool((restricted(net, (3, 1))(x) == net(x)[:, [3, 1]]).all())
        True
    """
    found = list(outputs)
    if len(found) < 2 or len(set(found)) != len(found) or min(found) < 0:
        raise InputError(
            f"`outputs` must be at least two different positions 0, 1, 2, ...; got {found[:5]}."
        )
    return Restricted(model, found)
