r"""A small network for small images: what the first command and most tests train.

No paper: three convolutions, about as much network as the 8x8 digits need. A training step on 64
of them takes about 3 ms on one CPU thread.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

from torch import nn

from vicinal import _checks
from vicinal.models.classifier import Classifier

__all__ = ["digits_net"]

_MOST_GROUPS = 8


def digits_net(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    width: int = 32,
    dropout: float = 0.0,
    norm_layer: Literal["batch", "group"] = "batch",
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.25,),
) -> Classifier:
    r"""Build three 3x3 convolutions of width, width and 2 * width channels, at strides 2, 1, 2.

    Each is followed by its normalisation layer and ReLU. The images may have any size from 8
    pixels. How the weights start is told at `Classifier`.

    Args:
        num_classes: K, the number of logits, at least 2.
        in_channels: C, the channels of the images.
        width: Channels of the first two convolutions.
        dropout: Probability of dropping a pooled feature in train mode, in [0, 1).
        norm_layer: "batch" for BatchNorm, or "group" for GroupNorm, with which the logits of an
            image never depend on its batch, in train mode either. A layer has as many groups as
            divide both its channels and 8.
        mean: Subtracted from the pixels: the training set's mean, one number per channel or one
            for all.
        std: What the pixels are then divided by, likewise.

    Returns:
        The model: pixels (N, C, H, W) in [0, 1] go in, logits (N, K) come out.

    Raises:
        InputError: If an argument is out of its range.

    Example:
        >>> import torch
        >>> digits_net(norm_layer="group")(torch.rand(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """
    _checks.count("in_channels", in_channels)
    _checks.count("width", width)
    _checks.choice("norm_layer", norm_layer, ("batch", "group"))
    features = nn.Sequential(
        OrderedDict(
            stage1=_unit(in_channels, width, stride=2, norm_layer=norm_layer),
            stage2=_unit(width, width, stride=1, norm_layer=norm_layer),
            stage3=_unit(width, 2 * width, stride=2, norm_layer=norm_layer),
        )
    )
    return Classifier(
        features,
        num_features=2 * width,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        mean=mean,
        std=std,
    )


def _unit(
    channels_in: int, channels_out: int, *, stride: int, norm_layer: Literal["batch", "group"]
) -> nn.Sequential:
    norm: nn.Module = nn.BatchNorm2d(channels_out)
    if norm_layer == "group":
        norm = nn.GroupNorm(math.gcd(channels_out, _MOST_GROUPS), channels_out)
    conv = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, norm, nn.ReLU())
