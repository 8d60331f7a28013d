r"""VGG16 with BatchNorm for small images (Simonyan and Zisserman 2015, configuration D).

The field's CIFAR version: thirteen 3x3 convolutions, each followed by BatchNorm and ReLU, five
2x2 max pools, and a single linear layer in place of the original's three.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from vicinal import _checks
from vicinal.models.classifier import Classifier

__all__ = ["vgg16"]


def vgg16(
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 64,
    dropout: float = 0.0,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.25,),
) -> Classifier:
    r"""Build a VGG16: five stages of 2, 2, 3, 3, 3 convolutions, each closed by a max pool.

    The stages have width * (1, 2, 4, 8, 8) channels; ten classes at width 64 make 14.72 M
    parameters. A pool rounds an odd size up (28 pixels become 14, 7, 4, 2, 1), so that no image
    is too small; where every size is even down to the last pool, as at 32 or 224 pixels, this is
    the usual network. What is left of rows and columns is averaged. How the weights start is
    told at `Classifier`.

    Args:
        num_classes: K, the number of logits, at least 2.
        in_channels: C, the channels of the images.
        width: Channels of the first stage.
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
        >>> vgg16(num_classes=10, width=4)(torch.rand(2, 3, 28, 28)).shape
        torch.Size([2, 10])
    """
    _checks.count("in_channels", in_channels)
    _checks.count("width", width)
    features = nn.Sequential(
        OrderedDict(
            stage1=_stage(in_channels, width, depth=2),
            stage2=_stage(width, 2 * width, depth=2),
            stage3=_stage(2 * width, 4 * width, depth=3),
            stage4=_stage(4 * width, 8 * width, depth=3),
            stage5=_stage(8 * width, 8 * width, depth=3),
        )
    )
    return Classifier(
        features,
        num_features=8 * width,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        mean=mean,
        std=std,
    )


def _stage(channels_in: int, channels_out: int, *, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [
            # BatchNorm subtracts any bias again, so the convolution has none.
            nn.Conv2d(
                channels_in if i == 0 else channels_out, channels_out, 3, padding=1, bias=False
            ),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=True))
