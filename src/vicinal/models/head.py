r"""The classifier that closes every network of this room: pool, drop, one linear layer.

Dropout (Srivastava et al. 2014) acts in this one place, on the pooled features before the last
linear layer: the ALPS paper's Dropout row is ERM on a network with `dropout=0.5`.
"""

from __future__ import annotations

from torch import Tensor, nn

from vicinal import _checks

__all__ = ["Head"]


class Head(nn.Module):
    r"""Feature maps (N, F, h, w) of any size to logits (N, K).

    .. math:: z = W \, \mathrm{dropout}(\bar f) + b, \qquad
              \bar f = \text{the mean of the features over rows and columns}

    Args:
        features: F, the channels of the last feature maps.
        num_classes: K, at least 2.
        dropout: Probability with which a feature is dropped in train mode, in [0, 1).

    Raises:
        InputError: If an argument is out of its range.

    Example:
        >>> import torch
        >>> Head(features=16, num_classes=10)(torch.rand(2, 16, 7, 5)).shape
        torch.Size([2, 10])
    """

    def __init__(self, *, features: int, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        _checks.count("num_classes", num_classes, low=2)
        _checks.number("dropout", dropout, low=0.0, high=1.0, open_high=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(_checks.count("features", features), num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (N, K)."""
        logits: Tensor = self.linear(self.dropout(self.flatten(self.pool(features))))
        return logits
