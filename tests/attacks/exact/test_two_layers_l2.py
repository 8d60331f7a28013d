"""Attacks in l2 against the nearest error of a two-layer net, by a program for each pattern."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from linear_models import PIXELS, flat, margins_of
from oracles import boundary
from oracles.relu_net import twins
from oracles.relu_patterns import nearest_error
from vicinal.attacks import APGD, CWL2, FAB, FMN, PGD, AutoAttack, Square
from vicinal.gradients import clean_logits

EPS, N = 0.2, 24
SMALL: dict[str, int] = {"seed": 4, "units": 7, "classes": 3}


@pytest.fixture(scope="module")
def case() -> tuple[nn.Module, Tensor, Tensor, Any, Any]:
    """The net, images, its own classes, how far the nearest error is, and where."""
    model, net = twins(**SMALL, shift=0.5)
    g = torch.Generator().manual_seed(5)
    x = (torch.rand(N, 3, 2, 2, generator=g, dtype=torch.float64) * 1.2 - 0.1).clamp(0, 1)
    y = clean_logits(model, x).argmax(dim=1)
    exact = [nearest_error(net, flat(x)[i], int(y[i])) for i in range(N)]
    return model, x, y, np.asarray([e[0] for e in exact]), np.stack([e[1] for e in exact])


def test_the_program_finds_a_point_of_the_border_and_no_draw_is_nearer(case: Any) -> None:
    model, x, y, exact, where = case
    at = torch.from_numpy(where).view_as(x)
    assert where.min() >= -1e-9
    assert where.max() <= 1 + 1e-9
    np.testing.assert_allclose(np.linalg.norm(where - flat(x), axis=1), exact)
    np.testing.assert_allclose(margins_of(model, at, y), 0.0, atol=1e-9)
    g = torch.Generator().manual_seed(0)
    for i in range(N):
        draws = torch.randn(2_000, 3, 2, 2, generator=g, dtype=torch.float64)
        # Half of them near the direction that was found.
        draws[1000:] += 10 * (at[i] - x[i]) / exact[i]
        draws *= 0.999 * exact[i] / draws.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        assert margins_of(model, (x[i] + draws).clamp(0, 1), y[i].expand(len(draws))).max() < 0


def test_where_every_unit_is_on_it_is_the_optimum_of_the_linear_net() -> None:
    """There the net is linear, and its border is known from another program."""
    _, net = twins(**SMALL, shift=100.0)
    grey = net.logits(np.full(PIXELS, 0.5)) - net.c
    net = replace(net, c=-grey)  # grey is near every border
    weight, bias = net.v @ net.w, net.v @ net.b + net.c
    for x in np.random.default_rng(0).uniform(-0.1, 1.1, size=(6, PIXELS)).clip(0, 1):
        y = int(net.logits(x).argmax())
        linear = boundary.nearest_error(weight, bias, x, y, norm="l2")
        assert nearest_error(net, x, y)[0] == pytest.approx(linear, abs=1e-8)


NEAREST: dict[str, Any] = {
    "cw-l2": CWL2(steps=200, search_steps=6, constant=0.01, learning_rate=0.02),
    "fmn": FMN(norm="l2", steps=100),
    "fab": FAB(eps=math.inf, norm="l2", steps=50, targets=2),
}


@pytest.mark.parametrize("name", NEAREST)
def test_the_smallest_perturbation_is_never_below_the_optimum_and_mostly_at_it(
    case: Any, name: str
) -> None:
    """Within 3 % for most; where all units are off there is no gradient, and no way to begin."""
    model, x, y, exact, _ = case
    result = NEAREST[name](model, x, y, rng=torch.Generator().manual_seed(0))
    found = result.success.numpy()
    assert isinstance(model, nn.Sequential)
    units = clean_logits(model[:2], x) > 0
    assert (found == units.any(dim=1).numpy()).all()
    ratio = result.norms.numpy()[found] / exact[found]
    assert ratio.min() >= 1 - 1e-9
    assert (ratio <= 1.03).mean() >= 0.7


STRONG: dict[str, Any] = {
    "pgd": PGD(eps=EPS, norm="l2", step_size=EPS / 5, steps=30, restarts=10, loss="margin"),
    "apgd-ce": APGD(eps=EPS, norm="l2", steps=50, restarts=3),
    "apgd-t": APGD(eps=EPS, norm="l2", steps=50, loss="dlr", targets=2),
    "fab-t": FAB(eps=EPS, norm="l2", steps=50, targets=2),
    "square": Square(eps=EPS, norm="l2", queries=300),
    "autoattack": AutoAttack(
        eps=EPS,
        norm="l2",
        attacks=[APGD(eps=EPS, norm="l2", steps=50), FAB(eps=EPS, norm="l2", steps=50)],
    ),
}
MISSED = {"pgd": 0, "apgd-ce": 0, "apgd-t": 0, "fab-t": 1, "square": 4, "autoattack": 0}
"""How many of the breakable images an attack may miss."""


@pytest.mark.parametrize("name", STRONG)
def test_it_breaks_what_can_be_broken_and_nothing_else(case: Any, name: str) -> None:
    model, x, y, exact, _ = case
    result = STRONG[name](model, x, y, rng=torch.Generator().manual_seed(0))
    broken = result.success.numpy()
    assert 0.2 < (exact <= EPS).mean() < 0.8
    assert not (broken & (exact > EPS)).any()
    assert (result.norms.numpy() >= exact)[broken].all()
    assert ((exact <= EPS) & ~broken).sum() <= MISSED[name]
