"""MART: eq. 11 against loops, the boosted cross-entropy at its ends, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import laws
import nets
from oracles import two_risks as oracle
from replays import generator, replay
from vicinal._checks import InputError
from vicinal.inputs import PGD
from vicinal.objectives import ERM, MART
from vicinal.objectives.mart import boosted_cross_entropy


@pytest.mark.parametrize("beta", [0.0, 5.0])
def test_eq11_is_the_margin_loss_and_the_weighted_divergence(beta: float) -> None:
    r = replay()
    attack = PGD(eps=0.06, step_size=0.03, steps=3)
    moved = r.flat(attack(r.model, r.x, r.y, rng=generator()).x)
    objective = MART(beta=beta, eps=0.06, step_size=0.03, steps=3)
    loss = objective(r.model, r.x, r.y, rng=generator())
    expected = oracle.mart(r.net, r.xs, r.y.tolist(), moved, beta=beta)
    assert loss.item() == pytest.approx(expected, rel=1e-11)


def test_bce_is_its_definition_image_by_image() -> None:
    z = 3 * torch.randn(40, 5, dtype=torch.float64)
    y = torch.arange(40) % 5
    expected = [oracle.boosted(row, int(k)) for row, k in zip(z.numpy(), y, strict=True)]
    np.testing.assert_allclose(boosted_cross_entropy(z, y).numpy(), expected, rtol=1e-11)


def test_bce_of_two_classes_is_twice_the_cross_entropy() -> None:
    z, y = torch.randn(9, 2, dtype=torch.float64), torch.arange(9) % 2
    twice = 2 * torch.nn.functional.cross_entropy(z, y, reduction="none")
    torch.testing.assert_close(boosted_cross_entropy(z, y), twice)


def test_bce_is_finite_where_a_wrong_class_has_all_the_probability() -> None:
    z = torch.tensor([[0.0, 1e4, 0.0], [1e4, 0.0, -1e4]], requires_grad=True)
    losses = boosted_cross_entropy(z, torch.tensor([0, 0]))
    torch.testing.assert_close(losses.detach(), torch.tensor([2e4 - math.log(2), 0.0]))
    (slope,) = torch.autograd.grad(losses.sum(), z)
    assert torch.isfinite(slope).all()


def test_gradients_reach_the_weight_of_the_divergence() -> None:
    """1 - f_y(x) is no constant: its part of the gradient is there by finite differences."""
    r = replay()
    objective = MART(beta=5.0, eps=0.06, step_size=0.06, steps=1, random_start=False)
    moved = r.flat(PGD(eps=0.06, step_size=0.06, steps=1, random_start=False)(r.model, r.x, r.y).x)
    (slope,) = torch.autograd.grad(objective(r.model, r.x, r.y), list(r.model.parameters())[2])
    for at in ((0, 0), (2, 9), (4, 15)):
        values = []
        for shift in (1e-5, -1e-5):
            r.net.v[at] += shift
            values.append(oracle.mart(r.net, r.xs, r.y.tolist(), moved, beta=5.0))
            r.net.v[at] -= shift
        assert slope[at].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)


def test_no_strength_makes_it_erm() -> None:
    r = replay()
    least = MART(beta=0.0, eps=0.0, steps=1)(r.model, r.x, r.y, rng=generator())
    assert least > ERM()(r.model, r.x, r.y) + 0.1


def test_soft_labels_are_refused_before_any_pass() -> None:
    model = laws.Counting(nets.smooth_net())
    x = torch.rand(4, nets.CHANNELS, nets.SIDE, nets.SIDE, dtype=torch.float64)
    with pytest.raises(InputError) as caught:
        MART()(model, x, torch.full((4, 5), 0.2, dtype=torch.float64))
    laws.assert_one_line(caught.value, "`y`", "classes (N,)", "(4, 5)", "y.argmax(1)")
    assert model.passes(4) == (0, 0)


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"beta": math.inf}, "beta < inf"),
        ({"eps": 8.0}, "did you mean 8/255?"),
        ({"steps": -1}, "`steps`"),
        ({"batchnorm": "off"}, "`batchnorm`"),
    ],
)
def test_hyper_parameters_have_bounds(fields: dict[str, Any], phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        MART(**fields)
    laws.assert_one_line(caught.value, phrase)
