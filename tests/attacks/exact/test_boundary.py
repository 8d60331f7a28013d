"""Minimum-norm attacks and random search against exact optima of linear models."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from linear_models import batch_of, flat, linear_model, margins_of
from oracles.boundary import nearest_error
from oracles.linear_attack import highest_margin_l2, highest_margin_linf
from vicinal._typing import Norm
from vicinal.attacks import FAB, FMN, Square

NORMS: tuple[Norm, ...] = ("linf", "l2")


def _ratios(attack: Any, classes: int, norm: Norm, n: int = 24) -> Any:
    """How much larger than the least possible each perturbation is; pixels lie on 0 and 1 too."""
    model, weight, bias = linear_model(classes, seed=1)
    x, y = batch_of(model, n)
    result = attack(model, x, y)
    assert bool(result.success.all())
    exact = [nearest_error(weight, bias, flat(x)[i], int(y[i]), norm=norm) for i in range(n)]
    assert np.isfinite(exact).all()
    return result.norms.numpy() / np.asarray(exact)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [2, 4])
def test_fab_is_within_one_per_cent_of_the_nearest_error(classes: int, norm: Norm) -> None:
    ratios = _ratios(FAB(eps=math.inf, norm=norm, steps=20), classes, norm)
    assert ratios.min() >= 1.0
    assert ratios.max() <= 1.011
    halved = _ratios(FAB(eps=math.inf, norm=norm, steps=20, bisections=8), classes, norm)
    assert halved.min() >= 1.0
    assert halved.max() <= 1.005
    assert np.median(halved) <= 1.002 < np.median(ratios)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [2, 4])
def test_fmn_finds_every_error_and_half_of_them_exactly(classes: int, norm: Norm) -> None:
    """It follows the nearest rival of the moment, so with several one in fifty ends at another."""
    ratios = _ratios(FMN(norm=norm, steps=100), classes, norm)
    assert ratios.min() >= 1.0
    assert np.median(ratios) <= 1.0001
    assert np.mean(ratios <= 1.01) >= (1.0 if classes == 2 else 0.9)
    assert ratios.max() <= 1.5


@pytest.mark.parametrize("norm", NORMS)
def test_fab_within_a_radius_breaks_exactly_what_can_be_broken(norm: Norm) -> None:
    model, weight, bias = linear_model(4, seed=3)
    x, y = batch_of(model, 80)
    exact = np.asarray([
        nearest_error(weight, bias, flat(x)[i], int(y[i]), norm=norm) for i in range(80)
    ])
    eps = float(np.median(exact))
    result = FAB(eps=eps, norm=norm, steps=20)(model, x, y)
    clear = np.abs(exact / eps - 1) > 0.011
    assert (result.success.numpy() == (exact < eps))[clear].all()
    assert 0.3 < float(result.success.double().mean()) < 0.7


@pytest.mark.parametrize("eps", [0.05, 0.1, 0.3])
def test_square_reaches_the_worst_corner_of_two_classes(eps: float) -> None:
    model, weight, bias = linear_model(2, seed=1)
    x, y = batch_of(model, 80)
    result = Square(eps=eps, queries=600)(model, x, y, rng=torch.Generator().manual_seed(0))
    exact = np.asarray([
        highest_margin_linf(weight, bias, flat(x)[i], int(y[i]), eps) for i in range(80)
    ])
    assert result.success.tolist() == (exact > 0).tolist()
    margins = margins_of(model, result.adv, y)
    assert (margins <= exact + 1e-12).all()
    stay = exact <= 0
    assert stay.any() or eps == 0.3
    np.testing.assert_allclose(margins[stay], exact[stay], atol=1e-9)


def test_square_in_l2_breaks_most_of_what_can_be_broken_and_nothing_else() -> None:
    model, weight, bias = linear_model(2, seed=1)
    x, y = batch_of(model, 80, inner=True)
    eps = 0.2
    result = Square(eps=eps, norm="l2", queries=600)(
        model, x, y, rng=torch.Generator().manual_seed(0)
    )
    exact = np.asarray([
        highest_margin_l2(weight, bias, flat(x)[i], int(y[i]), eps) for i in range(80)
    ])
    broken = result.success.numpy()
    assert not (broken & (exact <= 0)).any()
    assert broken.sum() >= 0.7 * (exact > 0).sum() > 0
