"""Gradients averaged over draws: the mean of the gradients, one graph in memory at a time."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nets
from vicinal.attacks import APGD, MIFGSM, PGD
from vicinal.attacks.eot import Draws, mean_logits, mean_slope
from vicinal.gradients import input_gradient
from vicinal.maths.losses import cross_entropy


class Noisy(nn.Module):
    """Adds to the images what comes next of a fixed sequence of noise."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.rng = net, torch.Generator().manual_seed(0)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x + 0.1 * torch.randn(x.shape, generator=self.rng, dtype=x.dtype))
        return z


def batch() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    return torch.rand(6, 3, 4, 4, generator=g, dtype=torch.float64), torch.arange(6) % 5


def test_it_is_the_mean_of_the_gradients_and_the_logits_of_every_draw() -> None:
    x, y = batch()
    model = Noisy(nets.smooth_net())
    found, z = mean_slope(4)(model, x, lambda z: cross_entropy(z, y))
    again = Noisy(nets.smooth_net())
    one_by_one = [input_gradient(again, x, lambda z: cross_entropy(z, y)) for _ in range(4)]
    mean = torch.stack([gradient for gradient, _ in one_by_one]).mean(dim=0)
    torch.testing.assert_close(found, mean, rtol=1e-12, atol=1e-15)
    assert torch.equal(z, torch.cat([part for _, part in one_by_one], dim=1))
    assert not torch.equal(one_by_one[0][0], one_by_one[1][0])
    assert torch.equal(z, Draws(Noisy(nets.smooth_net()), n=4)(x))
    assert not z.requires_grad
    parts = torch.stack([part for _, part in one_by_one])
    torch.testing.assert_close(mean_logits(z, 4), parts.mean(dim=0))


def test_one_draw_is_the_gradient_itself() -> None:
    assert mean_slope(1) is input_gradient


@dataclass(eq=False)
class Kept:
    """A tensor that autograd keeps for a backward pass."""

    tensor: Tensor


class Watched(nn.Module):
    """Notes how many graphs of its forward passes are alive at once."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.most = net, 0
        self._graphs: list[weakref.WeakSet[Kept]] = []

    def forward(self, x: Tensor) -> Tensor:
        mine: weakref.WeakSet[Kept] = weakref.WeakSet()

        def pack(tensor: Tensor) -> Kept:
            kept = Kept(tensor)
            mine.add(kept)
            return kept

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
            z: Tensor = self.net(x)
        self._graphs.append(mine)
        self.most = max(self.most, sum(len(graph) > 0 for graph in self._graphs))
        return z


ATTACKS: list[Any] = [
    PGD(eps=0.1, step_size=0.05, steps=2, eot=5),
    PGD(eps=0.1, step_size=0.05, steps=2, target="random", eot=5),
    MIFGSM(eps=0.1, steps=2, eot=5),
    APGD(eps=0.1, steps=3, eot=5),
    APGD(eps=0.1, steps=3, loss="dlr", targets=2, eot=5),
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_memory_holds_one_graph_however_many_draws(attack: Any) -> None:
    x, y = batch()
    model = Watched(nets.smooth_net())
    attack(model, x, y)
    assert model.most == 1


def test_the_watch_sees_graphs_that_are_kept() -> None:
    x, y = batch()
    model = Watched(nets.smooth_net())
    loss = sum(cross_entropy(model(x.clone().requires_grad_()), y).sum() for _ in range(3))
    assert isinstance(loss, Tensor)
    assert model.most == 3
