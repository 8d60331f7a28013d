"""Small nets for the laws: smooth, hard to leave unchanged, or failing on purpose."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANNELS, SIDE, CLASSES = 3, 4, 5


def smooth_net(
    *, classes: int = CLASSES, seed: int = 0, dtype: torch.dtype = torch.float64
) -> nn.Sequential:
    """Two linear layers around a tanh, without state: the same in every mode and batch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(CHANNELS * SIDE * SIDE, 16, dtype=dtype),
            nn.Tanh(),
            nn.Linear(16, classes, dtype=dtype),
        )


def stateful_net(*, seed: int = 0) -> nn.Sequential:
    """BatchNorm and Dropout in train mode, a frozen half, and gradients left from an earlier step.

    The first BatchNorm is kept in eval mode and has frozen weights, as in fine-tuning.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(CHANNELS, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.Dropout(0.5),
            nn.Flatten(),
            nn.Linear(4 * SIDE * SIDE, CLASSES),
        )
        net.train()
        net(torch.rand(6, CHANNELS, SIDE, SIDE)).sum().backward()
    net[1].eval()
    for frozen in (net[0], net[1]):
        frozen.requires_grad_(False)
    return net


class Failing(nn.Module):
    """A model that fails in its n-th forward pass."""

    def __init__(self, net: nn.Module, *, at: int) -> None:
        super().__init__()
        self.net, self.at, self.seen = net, at, 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        if self.seen == self.at:
            raise RuntimeError("out of memory, say")
        z: Tensor = self.net(x)
        return z


class Scaled(nn.Module):
    """Logits stretched by a factor, to the ends of what a diverging training shows."""

    def __init__(self, net: nn.Module, factor: float) -> None:
        super().__init__()
        self.net, self.factor = net, factor

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x)
        return self.factor * z


class Returning(nn.Module):
    """A model that returns what it was told to, whatever goes in."""

    def __init__(self, z: Tensor) -> None:
        super().__init__()
        self.z = nn.Parameter(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.z + 0 * x.flatten(1)[:, :1].to(self.z.dtype)
