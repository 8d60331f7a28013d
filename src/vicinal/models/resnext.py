r"""ResNeXt50 of cardinality 32 and bottleneck width 4 (Xie, Girshick, Dollar, Tu and He 2017).

A ResNet50 whose 3x3 convolutions are twice as wide and split into 32 groups that do not see each
other: the sum of 32 narrow paths of the paper's fig. 3a, in the form of its fig. 3c. Parameters
have the names of torchvision's `resnext50_32x4d`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from vicinal import _checks
from vicinal.models.resnet import ResNet

__all__ = ["resnext50"]


def resnext50(
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 64,
    dropout: float = 0.0,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.25,),
) -> ResNet:
    r"""Build a ResNeXt50, 32x4d: a stem, four stages of 3, 4, 6, 3 grouped bottleneck blocks.

    The stages give out width * (4, 8, 16, 32) channels; 1000 classes at width 64 make 25.03 M
    parameters. A narrower network keeps the 4 channels in each group of its first stage and has
    fewer groups, width / 2; an odd width has groups of 2. How the weights start is told at
    `ResNet`, and `load_torchvision` loads those of torchvision.

    Args:
        num_classes: K, the number of logits, at least 2.
        in_channels: C, the channels of the images.
        width: Channels of the stem.
        dropout: Probability of dropping a pooled feature in train mode, in [0, 1).
        mean: Subtracted from the pixels: the training set's mean, one number per channel or one
            for all.
        std: What the pixels are then divided by, likewise.

    Returns:
        The model: pixels (N, C, H, W) in [0, 1] go in, logits (N, K) come out.

    Raises:
        InputError: If an argument is out of its range.

    Example:
        >>> import torch
        >>> resnext50(num_classes=100, width=4)(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 100])
    """
    inner = 2 * _checks.count("width", width)
    return ResNet(
        (3, 4, 6, 3),
        width=width,
        width_inner=inner,
        groups=inner // math.gcd(inner, 4),
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        mean=mean,
        std=std,
    )
