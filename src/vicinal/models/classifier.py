r"""The form that the networks of this room have: normalise, extract features, classify.

A network is told by its features alone; the parts around them are the same everywhere, and so are
their names: `model.normalize`, `model.features` (a Sequential), `model.head`. The exception is
`ResNet`, whose parts are named as torchvision names them, behind the same `model.normalize`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from vicinal.models.head import Head
from vicinal.models.normalize import Normalize

__all__ = ["Classifier", "initialize_convolutions"]


class Classifier(nn.Module):
    r"""Pixels (N, C, H, W) in [0, 1] to logits (N, K).

    .. math:: z = \mathrm{head}(\mathrm{features}(\mathrm{normalize}(x)))

    Every convolution's weights are drawn anew, from torch's global generator, by Kaiming's normal
    rule in its fan-out mode, N(0, 2 / (out_channels * k^2)) (He et al. 2015, section 2.2): the
    variance of the gradients then stays level through layers of ReLU. Normalisation layers start
    at weight 1 and bias 0, the linear layer with torch's default.

    Args:
        features: Normalised images to feature maps (N, F, h, w).
        num_features: F.
        num_classes: K, the number of logits.
        in_channels: C, the channels of the images.
        dropout: Probability of dropping a pooled feature in train mode, in [0, 1).
        mean: Subtracted from the pixels, one number per channel or one for all.
        std: What the pixels are then divided by, likewise.

    Raises:
        InputError: If an argument is out of its range.

    Example:
        >>> import torch
        >>> features = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU())
        >>> model = Classifier(
        ...     features, num_features=8, num_classes=10, in_channels=1, mean=(0.5,), std=(0.25,)
        ... )
        >>> model(torch.rand(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        features: nn.Module,
        *,
        num_features: int,
        num_classes: int,
        in_channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.normalize = Normalize(mean, std, channels=in_channels)
        self.features = features
        self.head = Head(features=num_features, num_classes=num_classes, dropout=dropout)
        initialize_convolutions(self.features)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, K) of pixels (N, C, H, W) in [0, 1]."""
        logits: Tensor = self.head(self.features(self.normalize(x)))
        return logits


def initialize_convolutions(net: nn.Module) -> None:
    """Draw the weights of every convolution anew, by the rule that `Classifier` tells.

    Args:
        net: The network; it is changed in place.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
