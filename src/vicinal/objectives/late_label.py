"""Labels that wait for logits: only these tell how many classes there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

from vicinal._checks import labels, training_logits
from vicinal._typing import Model
from vicinal.maths.losses import cross_entropy, widen
from vicinal.maths.simplex import as_distribution

__all__ = ["LabelOf", "label_of", "risk_at"]

LabelOf: TypeAlias = Callable[[Tensor], Tensor]
"""Logits (N, K) to distributions (N, K)."""


def label_of(y: Tensor) -> LabelOf:
    """Hold labels until logits tell how many classes there are.

    Args:
        y: Classes (N,) or distributions (N, K).

    Returns:
        Logits to distributions (N, K), the labels checked against them.
    """

    def label(z: Tensor) -> Tensor:
        labels(y, n=z.shape[0], num_classes=z.shape[1], values=y.device.type == "cpu")
        return as_distribution(y, like=z)

    return label


def risk_at(model: Model, x: Tensor, label: LabelOf) -> Tensor:
    """Pay the mean cross-entropy at images whose label waits for the logits.

    Args:
        model: The model.
        x: Images, shape (N, C, H, W).
        label: Their labels.

    Returns:
        The mean loss, a scalar. Cost: one forward and one backward pass.
    """
    z = widen(training_logits(model(x), n=x.shape[0]))
    return cross_entropy(z, label(z)).mean()
