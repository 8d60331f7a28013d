"""FGSM as an input move: the formula, the exact worst case of linear models, and PGD."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import laws
from oracles.linear_attack import worst_corner
from vicinal._checks import InputError
from vicinal.inputs import FGSM, PGD


def _batch(n: int = 20) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    x = torch.rand(n, 3, 2, 2, generator=g, dtype=torch.float64)
    x[0] = x[0].round()
    return x, torch.randint(2, (n,), generator=g)


def _net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 2)).double()


def test_the_formula() -> None:
    model, (x, y) = _net(), _batch()
    at = x.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(at), y), at)
    exact = (x + 0.1 * gradient.sign()).clamp(0, 1)
    assert torch.allclose(FGSM(eps=0.1)(model, x, y).x, exact, atol=1e-15)


@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_two_classes_of_a_linear_model_are_attacked_exactly(loss: str) -> None:
    layer = nn.Linear(12, 2).double()
    weight = layer.weight.detach().numpy()
    x, y = _batch()
    eps = torch.tensor([0.0, 0.1, 0.4], dtype=torch.float64)
    found = FGSM(eps=eps, loss=loss)(nn.Sequential(nn.Flatten(), layer), x, y).x.flatten(1).numpy()
    for i, own in enumerate(y.tolist()):
        w = weight[1 - own] - weight[own]
        corner = worst_corner(w, x[i].flatten().numpy(), eps.repeat_interleave(4).numpy())
        np.testing.assert_allclose(found[i], corner, atol=1e-15)


def test_it_is_pgd_with_one_step_as_long_as_the_radius() -> None:
    model, (x, y) = _net(), _batch()
    one = PGD(eps=0.1, step_size=0.1, steps=1, random_start=False)
    assert torch.equal(FGSM(eps=0.1)(model, x, y).x, one(model, x, y).x)
    assert FGSM(eps=0.1).passes == one.passes == (1, 1)
    for target in ("random", "least_likely", 1 - y):
        assert FGSM(eps=0.1, target=target).passes == (1, 1)
        batch = FGSM(eps=0.1, target=target, batchnorm="train_frozen_stats")
        assert batch.looks == (target == "least_likely" if isinstance(target, str) else False)
        assert batch.passes == (1 + batch.looks, 1)


def test_a_target_is_descended() -> None:
    model, (x, y) = _net(), _batch()
    with torch.no_grad():
        before = nn.functional.cross_entropy(model(x), 1 - y, reduction="none")
        moved = FGSM(eps=0.01, target=1 - y)(model, x, y).x
        after = nn.functional.cross_entropy(model(moved), 1 - y, reduction="none")
    assert bool((after < before).all())


def test_given_clean_logits_spare_the_forward_and_choose_the_target() -> None:
    (x, y), net = _batch(), nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).double()
    away = (y + 2) % 3
    z = nn.functional.one_hot(away, 3).double()
    move = FGSM(eps=0.1, target="most_confusing", batchnorm="train_frozen_stats")
    model = laws.Counting(net)
    found = move(model, x, y, z=z).x
    assert model.passes(len(x)) == (1, 1)
    assert torch.equal(found, FGSM(eps=0.1, target=away)(net, x, y).x)


def test_identity_at_eps_zero() -> None:
    x, y = _batch()
    assert torch.equal(FGSM(eps=0.0)(_net(), x, y).x, x)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eps": 8}, r"did you mean 8/255"),
        ({"eps": float("inf")}, "`eps` must satisfy"),
        ({"loss": "dl"}, "`loss`"),
        ({"target": "likely"}, "Did you mean least_likely"),
        ({"batchnorm": True}, "`batchnorm`"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        FGSM(**{"eps": 0.1, **fields})
