r"""PreActResNet18 for small images (He, Zhang, Ren and Sun 2016, identity mappings).

A pre-activation block normalises and rectifies *before* each convolution, and nothing acts after
the addition, so the skip connections carry signal and gradient unchanged from block to block:

.. math:: x_{l+1} = x_l + F(x_l), \qquad F = \mathrm{conv} \circ \mathrm{relu} \circ \mathrm{bn}
          \circ \mathrm{conv} \circ \mathrm{relu} \circ \mathrm{bn}          (eq. 1, 3; fig. 4e)

As usual for CIFAR, the stem is one 3x3 convolution at full resolution, without a pool.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from vicinal import _checks
from vicinal.models.classifier import Classifier

__all__ = ["PreActBlock", "preactresnet18"]


class PreActBlock(nn.Module):
    r"""Two 3x3 convolutions, each after BatchNorm and ReLU, and a skip connection.

    Where the shape changes, the skip is a 1x1 convolution of the pre-activated input,
    relu(bn(x)); elsewhere it is x itself.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        stride: Stride of the first convolution, and of the 1x1 one.

    Example:
        >>> import torch
        >>> PreActBlock(channels_in=4, channels_out=8, stride=2)(torch.rand(2, 4, 7, 7)).shape
        torch.Size([2, 8, 4, 4])
    """

    def __init__(self, *, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.shortcut: nn.Conv2d | None = None
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (N, channels_out, ceil(h / stride), ...) of x (N, channels_in, h, w)."""
        activated = F.relu(self.norm1(x))
        skip: Tensor = x if self.shortcut is None else self.shortcut(activated)
        residual: Tensor = self.conv2(F.relu(self.norm2(self.conv1(activated))))
        return skip + residual


def preactresnet18(
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 64,
    dropout: float = 0.0,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.25,),
) -> Classifier:
    r"""Build a PreActResNet18: a stem, four stages of two blocks, a last BatchNorm and ReLU.

    The stages have width * (1, 2, 4, 8) channels; all but the first halve the resolution. Ten
    classes: 11.17 M parameters at width 64, 0.70 M at width 16. Any image size that the field
    uses works, 28 to 224 pixels. How the weights start is told at `Classifier`.

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
        >>> preactresnet18(num_classes=100, width=4)(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 100])
    """
    _checks.count("in_channels", in_channels)
    _checks.count("width", width)
    features = nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
            stage1=_stage(width, width, stride=1),
            stage2=_stage(width, 2 * width, stride=2),
            stage3=_stage(2 * width, 4 * width, stride=2),
            stage4=_stage(4 * width, 8 * width, stride=2),
            norm=nn.BatchNorm2d(8 * width),
            relu=nn.ReLU(),
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


def _stage(channels_in: int, channels_out: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        PreActBlock(channels_in=channels_in, channels_out=channels_out, stride=stride),
        PreActBlock(channels_in=channels_out, channels_out=channels_out),
    )
