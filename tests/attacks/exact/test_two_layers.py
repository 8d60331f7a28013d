"""Strong attacks against the exact worst point of a two-layer net, by mixed-integer programming."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from linear_models import flat, margins_of
from oracles.relu_net import highest_margin, twins
from vicinal.attacks import APGD, FAB, PGD, AutoAttack, Square
from vicinal.gradients import clean_logits

EPS, N = 0.1, 24


@pytest.fixture(scope="module")
def case() -> tuple[nn.Module, Tensor, Tensor, Any]:
    """The net, images, its own classes, and the highest margin that the ball allows."""
    model, net = twins(seed=3, units=10, classes=4, shift=-1)
    g = torch.Generator().manual_seed(5)
    x = (torch.rand(N, 3, 2, 2, generator=g, dtype=torch.float64) * 1.2 - 0.1).clamp(0, 1)
    y = clean_logits(model, x).argmax(dim=1)
    exact = [highest_margin(net, flat(x)[i], int(y[i]), EPS)[0] for i in range(N)]
    return model, x, y, np.asarray(exact)


def test_the_program_finds_what_no_corner_or_point_exceeds(case: Any) -> None:
    model, x, y, exact = case
    g = torch.Generator().manual_seed(0)
    for i in range(3):
        draws = torch.rand(20_000, 3, 2, 2, generator=g, dtype=torch.float64) * 2 - 1
        draws = torch.cat([draws, draws.sign()]) * EPS
        near = (x[i] + draws).clamp(0, 1)
        margins = margins_of(model, near, y[i].expand(len(near)))
        assert margins.max() <= exact[i] + 1e-9
        assert margins.max() >= exact[i] - 0.2 * abs(exact[i]) - 0.5


STRONG: dict[str, Any] = {
    "pgd": PGD(eps=EPS, step_size=EPS / 5, steps=30, restarts=10, loss="margin"),
    "apgd-ce": APGD(eps=EPS, steps=50, restarts=5),
    "apgd-t": APGD(eps=EPS, steps=50, loss="dlr", targets=3),
    "fab-t": FAB(eps=EPS, steps=50, targets=3),
    "square": Square(eps=EPS, queries=500),
    "autoattack": AutoAttack(
        eps=EPS,
        attacks=[
            APGD(eps=EPS, steps=50),
            APGD(eps=EPS, steps=50, loss="dlr", targets=3, restarts=2),
            FAB(eps=EPS, steps=50, targets=3),
        ],
    ),
}
MISSED = {"pgd": 0, "apgd-ce": 1, "apgd-t": 0, "fab-t": 1, "square": 1, "autoattack": 0}
"""How many of the breakable images an attack may miss."""


@pytest.mark.parametrize("name", STRONG)
def test_it_breaks_what_can_be_broken_and_nothing_else(case: Any, name: str) -> None:
    model, x, y, exact = case
    result = STRONG[name](model, x, y, rng=torch.Generator().manual_seed(0))
    broken = result.success.numpy()
    assert 0.2 < (exact > 0).mean() < 0.8
    assert not (broken & (exact <= 0)).any()
    assert ((exact > 0) & ~broken).sum() <= MISSED[name]
    assert (margins_of(model, result.adv, y) <= exact + 1e-9).all()


def test_the_height_of_those_that_stand_is_the_exact_one(case: Any) -> None:
    """Where the margin is climbed, the strongest iterate of a failed search is the worst point."""
    model, x, y, exact = case
    attack = APGD(eps=EPS, steps=50, loss="margin", targets=3, restarts=3)
    result = attack(model, x, y, rng=torch.Generator().manual_seed(0))
    stand = exact <= 0
    assert stand.sum() > 5
    gap = (exact - margins_of(model, result.adv, y))[stand]
    assert (gap >= -1e-9).all()
    assert np.mean(gap <= 1e-6) >= 0.75
