r"""Wide residual networks for small images (Zagoruyko and Komodakis 2016).

Three stages of pre-activation blocks (He et al. 2016) with 16 k, 32 k and 64 k channels behind a
stem of 16. The paper writes WRN-d-k: the depth d = 6 n + 4 counts the convolutions of n blocks
per stage, the projections of the skips included, and k, here `width`, is the widening factor.

Two networks go by these names. The usual one projects a skip whose shape changes by a 1x1
convolution. The TensorFlow network in which Madry et al., BAT and AVmixup measured, called
WRN-28-10 by the one and WRN-34-10 by the other, has 5 blocks per stage and no projections: it
averages and pads with zeros. Here it is `wide_resnet(34, 10, shortcut="pad")`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from vicinal import _checks
from vicinal._checks import InputError
from vicinal.models.classifier import Classifier
from vicinal.models.preact_resnet import PreActBlock

__all__ = ["PaddedBlock", "wide_resnet"]

_STEM = 16
_SLOPE = 0.1
_EPS = 1e-3  # TensorFlow's default, which the authors' code leaves; torch's is 1e-5


class PaddedBlock(nn.Module):
    r"""Two 3x3 convolutions, each after BatchNorm and leaky ReLU (0.1), and a skip without weights.

    .. math:: x \mapsto \mathrm{pad}(\mathrm{pool}(x)) + F(x)

    Where the channels change, the skip averages over stride x stride pixels and adds channels of
    zeros, half of them before and half after; elsewhere it is x itself.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output, at least as many.
        stride: Stride of the first convolution, and of the average; 1 where no channels are added.
        shared: Whether the skip starts from the activated input, as the first block's does.

    Example:
        >>> import torch
        >>> PaddedBlock(channels_in=4, channels_out=8, stride=2)(torch.rand(2, 4, 7, 7)).shape
        torch.Size([2, 8, 4, 4])
    """

    def __init__(
        self, *, channels_in: int, channels_out: int, stride: int = 1, shared: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels_in, eps=_EPS)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out, eps=_EPS)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.stride = stride
        self.added = channels_out - channels_in
        self.shared = shared

    def forward(self, x: Tensor) -> Tensor:
        """Return features (N, channels_out, ceil(h / stride), ...) of x (N, channels_in, h, w)."""
        activated = F.leaky_relu(self.norm1(x), _SLOPE)
        skip = activated if self.shared else x
        if self.added:
            before = self.added // 2
            pooled = F.avg_pool2d(skip, self.stride, ceil_mode=True)
            skip = F.pad(pooled, (0, 0, 0, 0, before, self.added - before))
        residual: Tensor = self.conv2(F.leaky_relu(self.norm2(self.conv1(activated)), _SLOPE))
        return skip + residual


def wide_resnet(
    depth: int = 28,
    width: int = 10,
    *,
    shortcut: Literal["conv", "pad"] = "conv",
    num_classes: int = 10,
    in_channels: int = 3,
    dropout: float = 0.0,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.25,),
) -> Classifier:
    r"""Build a WRN-depth-width: a stem, three stages of (depth - 4) / 6 blocks, BatchNorm and ReLU.

    The stages have width * (16, 32, 64) channels; the last two halve the resolution. Ten classes:
    WRN-28-10 has 36.48 M parameters, WRN-34-10 46.16 M, WRN-16-8 10.96 M, WRN-28-1 0.37 M. There
    is no dropout inside the blocks. How the weights start is told at `Classifier`; the papers
    draw the convolutions likewise.

    Args:
        depth: 6 n + 4 for n blocks per stage: 10, 16, 22, 28, 34 and so on.
        width: The widening factor k, in the paper's count: 10 is 160 channels in the first stage,
            1 the thin network of 16. For this network it is no number of channels.
        shortcut: "conv" for the usual network, whose skips are 1x1 convolutions where the shape
            changes, or "pad" for the one in which BAT and AVmixup measured: skips that average
            and pad with zeros, leaky ReLU of slope 0.1, and BatchNorm's epsilon 1e-3. The strided
            convolutions are centred as torch does it, a pixel from TensorFlow's.
        num_classes: K, the number of logits, at least 2.
        in_channels: C, the channels of the images.
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
        >>> wide_resnet(16, 1, num_classes=100)(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 100])
        >>> wide_resnet(10, 2, shortcut="pad")(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    blocks = _blocks_per_stage(depth)
    _checks.count("width", width)
    _checks.choice("shortcut", shortcut, ("conv", "pad"))
    _checks.count("in_channels", in_channels)
    channels = (_STEM, 16 * width, 32 * width, 64 * width)
    features = nn.Sequential(
        OrderedDict(stem=nn.Conv2d(in_channels, _STEM, 3, padding=1, bias=False))
    )
    for stage in (1, 2, 3):
        part = _stage(stage, blocks, *channels[stage - 1 : stage + 1], shortcut=shortcut)
        features.add_module(f"stage{stage}", part)
    padded = shortcut == "pad"
    features.add_module("norm", nn.BatchNorm2d(channels[-1], eps=_EPS if padded else 1e-5))
    features.add_module("relu", nn.LeakyReLU(_SLOPE) if padded else nn.ReLU())
    return Classifier(
        features,
        num_features=64 * width,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        mean=mean,
        std=std,
    )


def _blocks_per_stage(depth: int) -> int:
    _checks.count("depth", depth, low=10)
    if depth % 6 != 4:
        below = depth - (depth - 4) % 6
        raise InputError(
            f"`depth` must be 6 n + 4 for n blocks in each of three stages; got {depth}. "
            f"Did you mean {below} or {below + 6}?"
        )
    return (depth - 4) // 6


def _stage(
    stage: int, blocks: int, channels_in: int, channels_out: int, *, shortcut: str
) -> nn.Sequential:
    stride = 1 if stage == 1 else 2
    first: PreActBlock | PaddedBlock
    if shortcut == "conv":
        first = PreActBlock(channels_in=channels_in, channels_out=channels_out, stride=stride)
    else:
        first = PaddedBlock(
            channels_in=channels_in, channels_out=channels_out, stride=stride, shared=stage == 1
        )
    kind = type(first)
    others = (kind(channels_in=channels_out, channels_out=channels_out) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)
