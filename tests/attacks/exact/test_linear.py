"""PGD against exact worst cases of linear models, by closed forms and by SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from linear_models import PIXELS, batch_of, flat, linear_model, margins_of
from oracles.linear_attack import (
    highest_margin_l2,
    highest_margin_linf,
    targeted_loss_linf,
    worst_corner,
)
from vicinal._typing import Norm
from vicinal.attacks import PGD
from vicinal.gradients import clean_logits
from vicinal.maths import losses

NORMS: tuple[Norm, ...] = ("linf", "l2")


@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("random_start", [True, False])
@pytest.mark.parametrize("eps", [0.02, 0.1, 0.5, 1.0])
def test_linf_reaches_the_worst_corner_of_two_classes(
    eps: float, random_start: bool, loss: str
) -> None:
    model, weight, bias = linear_model(2)
    x, y = batch_of(model, 300)
    attack = PGD(
        eps=eps, step_size=eps / 4, steps=9, random_start=random_start, loss=loss, iterate="last"
    )
    result = attack(model, x, y)
    margins = margins_of(model, result.adv, y)
    drops = margins - margins_of(model, x, y)
    inside = ((x >= eps) & (x <= 1 - eps)).flatten(1).all(dim=1)
    for i, own in enumerate(y.tolist()):
        w = weight[1 - own] - weight[own]
        exact = highest_margin_linf(weight, bias, flat(x)[i], own, eps)
        assert margins[i] == pytest.approx(exact, abs=1e-9)
        assert bool(result.success[i]) == (exact > 0)
        assert drops[i] <= eps * np.abs(w).sum() + 1e-9
        if inside[i]:
            assert drops[i] == pytest.approx(eps * np.abs(w).sum(), abs=1e-9)
    assert eps > 0.05 or bool(inside.any())


def test_linf_reaches_the_worst_corner_with_a_budget_per_channel() -> None:
    model, weight, bias = linear_model(2)
    x, y = batch_of(model, 200)
    eps = torch.tensor([0.0, 0.05, 0.2], dtype=torch.float64)
    result = PGD(eps=eps, step_size=eps / 2, steps=5)(model, x, y)
    per_pixel = eps.repeat_interleave(4).numpy()
    for i, own in enumerate(y.tolist()):
        exact = highest_margin_linf(weight, bias, flat(x)[i], own, per_pixel)
        assert margins_of(model, result.adv, y)[i] == pytest.approx(exact, abs=1e-9)
    assert torch.equal(result.adv[:, 0], x[:, 0])


@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_l2_reaches_the_point_of_the_ball_along_the_weights(loss: str) -> None:
    model, weight, bias = linear_model(2)
    x, y = batch_of(model, 300, inner=True)
    eps = 0.25
    attack = PGD(eps=eps, step_size=0.1, steps=60, norm="l2", loss=loss, iterate="last")
    result = attack(model, x, y)
    margins = margins_of(model, result.adv, y)
    drops = margins - margins_of(model, x, y)
    for i, own in enumerate(y.tolist()):
        w = weight[1 - own] - weight[own]
        exact = highest_margin_l2(weight, bias, flat(x)[i], own, eps)
        assert drops[i] == pytest.approx(eps * np.sqrt((w**2).sum()), abs=1e-9)
        assert bool(result.success[i]) == (exact > 0)
    assert torch.allclose(result.norms, torch.full_like(result.norms, eps))
    assert 0 < int(result.success.sum()) < 300


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [3, 5])
def test_robust_accuracy_of_many_classes_is_the_exact_one(classes: int, norm: Norm) -> None:
    """An image is robust if no wrong class can pass its own: as many closed forms as classes."""
    model, weight, bias = linear_model(classes, seed=1)
    x, y = batch_of(model, 400, inner=norm == "l2")
    eps = {"linf": 0.06, "l2": 0.08}[norm]
    exact = {"linf": highest_margin_linf, "l2": highest_margin_l2}[norm]
    broken = [exact(weight, bias, flat(x)[i], own, eps) > 0 for i, own in enumerate(y.tolist())]
    found = torch.zeros(len(y), dtype=torch.bool)
    for shift in range(1, classes):
        target = (y + shift) % classes
        attack = PGD(
            eps=eps, step_size=eps / 60, steps=200, target=target, loss="margin", norm=norm
        )
        found |= attack(model, x, y).success
    assert found.tolist() == broken
    assert 0.1 < np.mean(broken) < 0.9
    untargeted = PGD(eps=eps, step_size=eps / 4, steps=20, restarts=10, loss="margin", norm=norm)
    missed = found & ~untargeted(model, x, y).success
    assert int(missed.sum()) <= 4  # one per cent: it follows the nearest rival only


def test_a_single_restart_never_claims_more_than_is_possible() -> None:
    model, weight, bias = linear_model(6, seed=2)
    x, y = batch_of(model, 300)
    for loss in ("ce", "margin"):
        result = PGD(eps=0.05, step_size=0.02, steps=3, loss=loss)(model, x, y)
        for i, own in enumerate(y.tolist()):
            exact = highest_margin_linf(weight, bias, flat(x)[i], own, 0.05)
            assert margins_of(model, result.adv, y)[i] <= exact + 1e-12


def test_targeted_attacks_reach_the_exact_optimum() -> None:
    model, weight, _ = linear_model(2)
    x, y = batch_of(model, 100)
    result = PGD(eps=0.1, step_size=0.025, steps=9, target=1 - y)(model, x, y)
    for i, own in enumerate(y.tolist()):
        exact = worst_corner(weight[1 - own] - weight[own], flat(x)[i], 0.1)
        moved = np.arange(PIXELS) != 3  # the pixel without weight
        np.testing.assert_allclose(flat(result.adv)[i][moved], exact[moved], atol=1e-12)
    assert result.target is not None
    assert result.target_hit is not None
    assert torch.equal(result.target, 1 - y)
    assert torch.equal(result.target_hit, result.success)


@pytest.mark.parametrize("target", ["least_likely", "most_confusing", "random"])
def test_targeted_attacks_on_many_classes_reach_the_exact_optimum(target: str) -> None:
    model, weight, bias = linear_model(4)
    x, y = batch_of(model, 20)
    # The margin is not smooth where two rivals tie, so the cross-entropy is compared.
    attack = PGD(eps=0.1, step_size=0.0005, steps=500, target=target, iterate="last")
    result = attack(model, x, y)
    assert result.target is not None
    assert bool((result.target != y).all())
    z = clean_logits(model, result.adv)
    found = losses.cross_entropy(z, result.target)
    for i, t in enumerate(result.target.tolist()):
        exact = targeted_loss_linf(weight, bias, flat(x)[i], t, 0.1)
        assert exact - 1e-9 <= float(found[i]) <= exact + 1e-3
    assert result.target_hit is not None
    assert torch.equal(result.target_hit, z.argmax(dim=1) == result.target)


def test_unbounded_pgd_reaches_the_corner_of_the_pixel_range() -> None:
    model, weight, _ = linear_model(2)
    x, y = batch_of(model, 50)
    attack = PGD(eps=math.inf, step_size=0.01, steps=101, random_start=False, loss="margin")
    result = attack(model, x, y)
    for i, own in enumerate(y.tolist()):
        exact = worst_corner(weight[1 - own] - weight[own], flat(x)[i], math.inf)
        np.testing.assert_allclose(flat(result.adv)[i], exact, atol=1e-12)
    assert bool(result.success.all())
