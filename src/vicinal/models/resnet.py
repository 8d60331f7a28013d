r"""ResNet50, ResNet101 and ResNet152 (He, Zhang, Ren and Sun 2016), as torchvision builds them.

A bottleneck block narrows, convolves and widens again, and adds its input:

.. math:: y = \mathrm{relu}(F(x) + \mathrm{skip}(x)), \qquad
          F = \mathrm{bn} \circ \mathrm{conv}_{1 \times 1} \circ \mathrm{relu} \circ \mathrm{bn}
          \circ \mathrm{conv}_{3 \times 3} \circ \mathrm{relu} \circ \mathrm{bn}
          \circ \mathrm{conv}_{1 \times 1}                                          (fig. 5, right)

The stride lies in the 3x3 convolution, as torchvision and nearly everyone has it ("v1.5"); the
paper puts it into the first 1x1. Parameters have torchvision's names, without a prefix (`conv1`,
`layer1.0.bn1`, `fc`), so that its weights load: see `load_torchvision`. That is why these networks
are no `Classifier`; normalisation, pooling and dropout are the room's own all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from vicinal import _checks
from vicinal._checks import InputError
from vicinal.models.classifier import initialize_convolutions
from vicinal.models.head import Head
from vicinal.models.normalize import Normalize

__all__ = ["Bottleneck", "ResNet", "load_torchvision", "resnet50", "resnet101", "resnet152"]


class Bottleneck(nn.Module):
    r"""A 1x1, a 3x3 and a 1x1 convolution, each followed by BatchNorm, and a skip connection.

    Where the shape changes, the skip is a 1x1 convolution with BatchNorm; elsewhere it is x.

    Args:
        channels_in: Channels of the input.
        channels_inner: Channels of the 3x3 convolution.
        channels_out: Channels of the output.
        stride: Stride of the 3x3 convolution and of the skip's.
        groups: Groups of the 3x3 convolution, the cardinality of ResNeXt; divides its channels.

    Example:
        >>> import torch
        >>> block = Bottleneck(channels_in=8, channels_inner=4, channels_out=16, stride=2)
        >>> block(torch.rand(2, 8, 7, 7)).shape
        torch.Size([2, 16, 4, 4])
    """

    def __init__(
        self,
        *,
        channels_in: int,
        channels_inner: int,
        channels_out: int,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_inner)
        self.conv2 = nn.Conv2d(
            channels_inner, channels_inner, 3, stride=stride, padding=1, groups=groups, bias=False
        )
        self.bn2 = nn.BatchNorm2d(channels_inner)
        self.conv3 = nn.Conv2d(channels_inner, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU()
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return features (N, channels_out, ceil(h / stride), ...) of x (N, channels_in, h, w)."""
        skip: Tensor = x if self.downsample is None else self.downsample(x)
        h = self.relu(self.bn1(self.conv1(x)))
        h = self.relu(self.bn2(self.conv2(h)))
        out: Tensor = self.relu(self.bn3(self.conv3(h)) + skip)
        return out


class ResNet(nn.Module):
    r"""Pixels (N, C, H, W) in [0, 1] to logits (N, K), by four stages of bottleneck blocks.

    The stem, a 7x7 convolution and a 3x3 max pool, both of stride 2, and the last three stages
    each halve the resolution, rounding up: five halvings in all, made for 224 pixels.

    Weights start as torchvision's do, drawn from torch's global generator: the convolutions as
    told at `Classifier`, BatchNorm at weight 1 and bias 0 (no last one of a block at weight 0),
    the linear layer with torch's default.

    Args:
        depths: The number of blocks in each of the four stages.
        width: Channels of the stem; stage i gives out 4 * width * 2^(i-1).
        width_inner: Channels of the 3x3 convolutions of the first stage, doubled by each other.
        num_classes: K, the number of logits, at least 2.
        in_channels: C, the channels of the images.
        mean: Subtracted from the pixels, one number per channel or one for all.
        std: What the pixels are then divided by, likewise.
        dropout: Probability of dropping a pooled feature in train mode, in [0, 1).
        groups: Groups of the 3x3 convolutions.

    Raises:
        InputError: If an argument is out of its range.

    Example:
        >>> import torch
        >>> arguments = {"num_classes": 10, "in_channels": 1, "mean": (0.5,), "std": (0.25,)}
        >>> model = ResNet((1, 1, 1, 1), width=4, width_inner=4, **arguments)
        >>> model(torch.rand(2, 1, 64, 64)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        depths: Sequence[int],
        *,
        width: int,
        width_inner: int,
        num_classes: int,
        in_channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        dropout: float = 0.0,
        groups: int = 1,
    ) -> None:
        super().__init__()
        _checks.count("width", width)
        self.normalize = Normalize(mean, std, channels=_checks.count("in_channels", in_channels))
        self.conv1 = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _stage(i, depth, width=width, width_inner=width_inner, groups=groups)
            for i, depth in enumerate(depths)
        )
        head = Head(features=32 * width, num_classes=num_classes, dropout=dropout)
        self.avgpool, self.flatten = head.pool, head.flatten
        self.dropout, self.fc = head.dropout, head.linear
        initialize_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, K) of pixels (N, C, H, W) in [0, 1]."""
        h = self.maxpool(self.relu(self.bn1(self.conv1(self.normalize(x)))))
        h = self.layer4(self.layer3(self.layer2(self.layer1(h))))
        logits: Tensor = self.fc(self.dropout(self.flatten(self.avgpool(h))))
        return logits


def _stage(i: int, depth: int, *, width: int, width_inner: int, groups: int) -> nn.Sequential:
    out = 4 * width * 2**i
    return nn.Sequential(
        *(
            Bottleneck(
                channels_in=out if block > 0 else width if i == 0 else out // 2,
                channels_inner=width_inner * 2**i,
                channels_out=out,
                stride=2 if i > 0 and block == 0 else 1,
                groups=groups,
            )
            for block in range(depth)
        )
    )


def resnet50(
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 64,
    dropout: float = 0.0,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.25,),
) -> ResNet:
    r"""Build a ResNet50: a stem, four stages of 3, 4, 6, 3 bottleneck blocks, a linear layer.

    The stages give out width * (4, 8, 16, 32) channels; 1000 classes at width 64 make 25.56 M
    parameters. It is made for images of 224 pixels: of 32 the last stage sees one pixel, and
    `preactresnet18` suits them better. How the weights start is told at `ResNet`.

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
        >>> resnet50(num_classes=100, width=4)(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 100])
    """
    return ResNet(
        (3, 4, 6, 3),
        width=width,
        width_inner=width,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        mean=mean,
        std=std,
    )


def resnet101(
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 64,
    dropout: float = 0.0,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.25,),
) -> ResNet:
    r"""Build a ResNet101: `resnet50`, its arguments, with 3, 4, 23, 3 blocks.

    Returns:
        The model, of 44.55 M parameters at width 64 with 1000 classes.

    Example:
        >>> import torch
        >>> resnet101(num_classes=100, width=4)(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 100])
    """
    return ResNet(
        (3, 4, 23, 3),
        width=width,
        width_inner=width,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        mean=mean,
        std=std,
    )


def resnet152(
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 64,
    dropout: float = 0.0,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.25,),
) -> ResNet:
    r"""Build a ResNet152: `resnet50`, its arguments, with 3, 8, 36, 3 blocks.

    Returns:
        The model, of 60.19 M parameters at width 64 with 1000 classes.

    Example:
        >>> import torch
        >>> resnet152(num_classes=100, width=4)(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 100])
    """
    return ResNet(
        (3, 8, 36, 3),
        width=width,
        width_inner=width,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        mean=mean,
        std=std,
    )


def load_torchvision(
    model: ResNet,
    state: Mapping[str, Tensor],
    *,
    mean: Sequence[float] = (0.485, 0.456, 0.406),
    std: Sequence[float] = (0.229, 0.224, 0.225),
) -> None:
    r"""Load weights that torchvision's network of the same name saved; all of them, or none.

    torchvision's networks expect normalised images, ours normalise inside, so the statistics of
    the weights' own training are loaded with them. The defaults are those of all of torchvision's
    published weights of these networks. torchvision itself is not needed. For a file of this
    library use `model.load_state_dict`.

    Args:
        model: A network of `resnet50`, `resnet101`, `resnet152` or `resnext50`, built with the
            `num_classes` of the weights, 1000 for ImageNet's. It is changed in place.
        state: The state_dict. BatchNorm's counters may be missing, as in old files.
        mean: What the weights' training subtracted, in units of pixels in [0, 1]; 0 for weights
            trained on pixels as they are.
        std: What it divided by, likewise; then 1.

    Raises:
        InputError: If `model` is another network, or `state` does not fit it name by name and
            shape by shape; the model is then as it was.

    Example:
        >>> import torch
        >>> trained = resnet50(num_classes=1000, width=1)   # stands in for torchvision's own
        >>> state = {k: v for k, v in trained.state_dict().items() if "normalize" not in k}
        >>> model = resnet50(num_classes=1000, width=1)
        >>> load_torchvision(model, state)
        >>> torch.equal(model.fc.weight, trained.fc.weight)
        True
    """
    if not isinstance(model, ResNet):
        raise InputError(
            "`model` must be a resnet50, resnet101, resnet152 or resnext50 of this library; "
            f"got {type(model).__name__}."
        )
    if not isinstance(state, Mapping):
        raise InputError(
            f"`state` must be a state_dict; got {type(state).__name__}. "
            "Did you mean net.state_dict(), or torch.load(path)?"
        )
    own = model.state_dict()
    statistics = {name: own.pop(name) for name in ("normalize.mean", "normalize.std")}
    _check_names(own, state)
    _check_shapes(own, state)
    layer = Normalize(mean, std, channels=model.normalize.channels)
    statistics.update({f"normalize.{name}": value for name, value in layer.named_buffers()})
    model.load_state_dict({**own, **state, **statistics})


def _check_names(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    missing = [n for n in own if n not in state and not n.endswith(".num_batches_tracked")]
    unknown = [str(name) for name in state if name not in own]
    if missing or unknown:
        told = [
            f"{len(names)} {what} (such as {names[0]})"
            for names, what in ((missing, "are missing"), (unknown, "are unknown"))
            if names
        ]
        raise InputError(
            f"`state` must hold the parameters of torchvision's network by their names; "
            f"{' and '.join(told)}. Are they another network's, or under a prefix?"
        )


def _check_shapes(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    for name, value in state.items():
        found, wanted = tuple(value.shape), tuple(own[name].shape)
        if found != wanted:
            stem, linear = state["conv1.weight"].shape, state["fc.weight"].shape
            raise InputError(
                f"`state` must fit the model; {name} has shape {found} there and {wanted} in the "
                f"model. Weights of another network, or a model built without "
                f"num_classes={linear[0]}, in_channels={stem[1]}, width={stem[0]}?"
            )
