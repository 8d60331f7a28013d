"""BatchNorm with statistics of its own, and as the oracles take it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from oracles.preact_resnet import BatchNorm


def shake_norms(net: nn.Module) -> None:
    """Draw every BatchNorm's weights and statistics.

    Fresh BatchNorm in eval mode is nearly the identity and would hide a misplaced one.
    """
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.uniform_(-0.5, 0.5)
                layer.get_buffer("running_mean").uniform_(-0.5, 0.5)
                layer.get_buffer("running_var").uniform_(0.5, 2.0)


def as_norm(state: Mapping[str, Tensor], name: str) -> BatchNorm:
    """One BatchNorm of a state_dict, as arrays."""
    scale, shift, mean, variance = (
        state[f"{name}.{part}"].numpy()
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return BatchNorm(scale=scale, shift=shift, mean=mean, variance=variance)
