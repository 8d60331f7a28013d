"""Memory part by part, against nets and optimizers whose memory is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vicinal.engine import SGD, Adam, OptimizerSpec
from vicinal.recipes.forecast_memory import (
    Memory,
    continued,
    fitting_accumulate,
    free_memory,
    held,
    optimizer_bytes,
)


def test_activations_of_a_known_net_are_continued_exactly() -> None:
    """Linear 6 -> 5, tanh, linear 5 -> 3: kept are x, and tanh's output once for its two users."""
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))

    def bytes_at(n: int) -> int:
        with held(net) as kept:
            net(torch.rand(n, 6))
        return kept.peak

    fixed, per_image = continued(bytes_at)
    assert (fixed, per_image) == (0.0, 4 * (6 + 5))
    assert fixed + per_image * 77 == bytes_at(77)


def test_a_part_that_does_not_grow_is_kept_apart() -> None:
    scale = nn.Linear(1, 1)
    table = torch.ones(100, requires_grad=True)

    def bytes_at(n: int) -> int:
        with held(scale) as kept:
            z = scale(torch.rand(n, 1))
            (z * table).sum()
        return kept.peak

    fixed, per_image = continued(bytes_at)
    assert fixed == table.nbytes
    assert per_image == 4 + 4  # the input of the layer, and its output for the product


def test_what_is_let_go_counts_only_while_it_is_kept() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    x = torch.rand(8, 4)
    with held(net) as kept:
        net(x).sum().backward()
        once, after = kept.peak, kept.now
        net(x).sum().backward()
    assert once == x.nbytes + 8 * 4 * 4
    assert (kept.peak, after, kept.now) == (once, 0, 0)


def test_two_graphs_at_once_cost_both() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    with held(net) as kept:
        first = net(torch.rand(8, 4))
        alone = kept.peak
        second = net(torch.rand(8, 4))
    assert kept.peak == 2 * alone
    del first, second


@pytest.mark.parametrize(
    "spec", [SGD(), SGD(momentum=0.0), SGD(momentum=0.5, nesterov=True), Adam()], ids=repr
)
def test_the_optimizer_is_that_of_a_real_step(spec: OptimizerSpec) -> None:
    net = nn.Sequential(nn.Conv2d(3, 7, 1), nn.BatchNorm2d(7), nn.Flatten(), nn.Linear(7, 7))
    net[0].requires_grad_(False)
    expected = optimizer_bytes(spec, net)
    built = spec.build([weight for weight in net.parameters() if weight.requires_grad])
    net(torch.rand(4, 3, 1, 1)).sum().backward()
    built.step()
    made = [value for state in built.state.values() for value in state.values()]
    assert expected == sum(value.nbytes for value in made if isinstance(value, torch.Tensor))


def test_the_total_is_the_sum_of_the_parts() -> None:
    memory = Memory(parameters=1, gradients=2, optimizer=4, copies=8, activations=16, data=32)
    assert memory.total == 63


@pytest.mark.parametrize(
    ("batch", "free", "wanted"),
    [
        (128, 128, 1),
        (128, 127, 2),
        (128, 32, 4),
        (128, 50, 4),
        (128, 2, 64),
        (128, 1, None),
        (7, 3, 3),
        (1, 1, 1),
    ],
)
def test_the_fewest_parts_that_fit(batch: int, free: int, wanted: int | None) -> None:
    assert fitting_accumulate(batch, free=free, per_image=1.0) == wanted


def test_free_memory_is_a_number_or_not_known() -> None:
    free = free_memory(torch.device("cpu"))
    assert free is None or free > 0
    assert free_memory(torch.device("meta")) is None
