r"""Normalisation as the first layer of a model, so that pixels in [0, 1] go in everywhere.

A budget of 8/255 then means the same for every model, attack and corruption. No model of this
library expects normalised images, and no attack knows a mean. What is *not* here: estimating the
mean and the deviation of a training set; whoever trains passes them.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from vicinal import _checks
from vicinal._checks import InputError

__all__ = ["Normalize", "normalized"]

_UNIT = "Pixels lie in [0, 1]: divide statistics of 0..255 by 255."
_CONSTANT = "A constant channel has no deviation: give it 1."


class Normalize(nn.Module):
    r"""Subtract a mean from every channel and divide by a deviation.

    .. math:: x \mapsto (x - \mathrm{mean}) / \mathrm{std}

    Both are buffers, saved with the weights, of shape (C, 1, 1), or (1, 1, 1) where neither the
    two sequences nor `channels` tell C. The output has the dtype and the memory format of x.

    Args:
        mean: One number in [0, 1] per channel, or one for all.
        std: One number > 0 per channel, or one for all.
        channels: C, where it is known: images with another number of channels are then refused.

    Raises:
        InputError: If a number is off, or the lengths contradict each other or `channels`; in a
            call, if x is not a floating-point batch (N, C, H, W).

    Example:
        >>> Normalize((0.5,), (0.25,))(torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)).flatten()
        tensor([-2.,  0.,  2.])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], *, channels: int | None = None
    ) -> None:
        super().__init__()
        if channels is not None:
            _checks.count("channels", channels)
        means = [
            _checks.number("mean", value, low=0.0, high=1.0, hint=_UNIT)
            for value in _sequence("mean", mean)
        ]
        stds = [
            _checks.number(
                "std", value, low=0.0, open_low=True, high=math.inf, open_high=True, hint=_CONSTANT
            )
            for value in _sequence("std", std)
        ]
        self.channels = _agree(means, stds, channels)
        for name, values in (("mean", means), ("std", stds)):
            filled = torch.tensor(values).expand(self.channels or 1).clone()
            self.register_buffer(name, filled.view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return images (N, C, H, W) normalised; shape, dtype and memory format stay."""
        x = _checked(x, self.channels)
        return (x - self.mean.to(x.dtype)) / self.std.to(x.dtype)

    def extra_repr(self) -> str:
        """Return the numbers for the printed model; on the meta device there are none."""
        if self.mean.is_meta:
            return ""
        mean, std = (
            ", ".join(f"{v:.4g}" for v in b.flatten().tolist()) for b in (self.mean, self.std)
        )
        return f"mean=({mean}), std=({std})"


def normalized(net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """Wrap any network that expects normalised images: pixels in [0, 1] go in, logits come out.

    The result meets the contract of this library's attacks and of RobustBench, Foolbox and
    AutoAttack. It holds `net` itself, not a copy, and takes over its device and its train or eval
    mode. Networks made by this room normalise already and need no wrapping.

    Args:
        net: The network; normalised images (N, C, H, W) to logits (N, K).
        mean: What its training subtracted, in units of pixels in [0, 1]: one number per channel,
            or one for all.
        std: What its training divided by, likewise.

    Returns:
        The model, with parts `normalize` and `net`.

    Raises:
        InputError: If `net` is no module, or `mean` and `std` are no statistics of images.

    Example:
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 10))
        >>> model = normalized(net, mean=(0.49, 0.48, 0.45), std=(0.25, 0.24, 0.26))
        >>> model(torch.rand(2, 3, 4, 4)).shape
        torch.Size([2, 10])
    """
    if not isinstance(net, nn.Module):
        raise InputError(f"`net` must be a torch.nn.Module; got {type(net).__name__}.")
    layer = Normalize(mean, std)
    anywhere = next(chain(net.parameters(), net.buffers()), None)
    if anywhere is not None:
        layer.to(anywhere.device)
    model = nn.Sequential(OrderedDict(normalize=layer, net=net))
    # model.train(...) would descend into `net` and overwrite parts that its owner froze.
    model.training = layer.training = net.training
    return model


def _sequence(name: str, values: object) -> Sequence[float]:
    if isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0:
        return values
    hint = ""
    if isinstance(values, (int, float)):
        hint = f" Did you mean ({values:g},)?"
    elif isinstance(values, Tensor):
        hint = f" Did you mean {name}.tolist()?"
    raise InputError(
        f"`{name}` must be a sequence of numbers, one per channel or one for all; "
        f"got {values!r}.{hint}"
    )


def _agree(means: Sequence[float], stds: Sequence[float], channels: int | None) -> int | None:
    # The number of channels that the arguments tell; None where they leave it open.
    told = {len(means), len(stds)} - {1}
    if channels is not None:
        told.add(channels)
    if len(told) > 1:
        known = "" if channels is None else f" and {channels} channels"
        raise InputError(
            "`mean` and `std` must hold one number per channel or one for all; "
            f"got {len(means)} in mean and {len(stds)} in std{known}."
        )
    return told.pop() if told else None


# Wrapped, so that torch.fx.symbolic_trace keeps the call instead of stumbling over its branches.
@torch.fx.wrap
def _checked(x: Tensor, channels: int | None) -> Tensor:
    # While jit traces, a shape is a tensor, and branching on it warns.
    if torch.jit.is_tracing():  # type: ignore[no-untyped-call]
        return x
    if x.ndim != 4 or (channels is not None and x.shape[1] != channels):
        count = "C" if channels is None else channels
        raise InputError(f"`x` must be images (N, {count}, H, W); got shape {tuple(x.shape)}.")
    if not x.is_floating_point():
        raise InputError(
            f"`x` must be floating point in [0, 1]; got {x.dtype}. Did you mean x.float() / 255?"
        )
    return x
