"""One batch and one net, as the library and as the oracles take them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import nets
from oracles.madry_pgd import Net

__all__ = ["Replay", "generator", "replay"]

N = 6


class Replay(NamedTuple):
    """Model, images and labels in torch, and the same in NumPy."""

    model: nn.Sequential
    x: Tensor
    y: Tensor
    net: Net
    xs: NDArray[Any]
    qs: NDArray[Any]

    def flat(self, x: Tensor) -> NDArray[Any]:
        return np.asarray(x.detach().flatten(1).numpy())


def generator(seed: int = 4) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def replay(*, soft: bool = False, scale: float = 3.0) -> Replay:
    """Make a batch for a net with room for its predictions to move."""
    model = nets.smooth_net()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(scale)
    x = torch.rand(N, nets.CHANNELS, nets.SIDE, nets.SIDE, dtype=torch.float64)
    x[:, :, 0, 0] = x[:, :, 0, 0].round()  # some pixels at the ends of the range
    y = torch.arange(N) * 2 % nets.CLASSES
    q = torch.eye(nets.CLASSES, dtype=torch.float64)[y]
    if soft:
        y = q = torch.rand(N, nets.CLASSES, dtype=torch.float64).mul(3).softmax(dim=1)
    w, b, v, c = (weight.detach().numpy().copy() for weight in model.parameters())
    net = Net(w=w, b=b, v=v, c=c)
    return Replay(model, x, y, net, x.flatten(1).numpy(), q.numpy())
