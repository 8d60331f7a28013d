"""Losses, against loops over examples and classes in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from oracles import losses as oracle
from vicinal.maths.losses import (
    LOSSES,
    cross_entropy,
    dlr,
    kl_divergence,
    log_odds,
    margin,
    targeted_dlr,
    widen,
)

RNG = np.random.default_rng(0)
Z = 4 * RNG.standard_normal((20, 6))
OTHER = 4 * RNG.standard_normal((20, 6))
Y = RNG.integers(0, 6, 20)
Q = RNG.dirichlet(np.ones(6), 20)


def test_cross_entropy_of_distributions_matches_loops() -> None:
    ours = cross_entropy(torch.tensor(Z), torch.tensor(Q))
    np.testing.assert_allclose(ours, oracle.cross_entropy(Z, Q), rtol=1e-12, atol=1e-12)


def test_cross_entropy_of_classes_matches_loops() -> None:
    ours = cross_entropy(torch.tensor(Z), torch.tensor(Y))
    np.testing.assert_allclose(ours, oracle.cross_entropy(Z, np.eye(6)[Y]), rtol=1e-12)


def test_cross_entropy_keeps_its_digits_under_a_common_offset() -> None:
    z = torch.tensor(Z)
    for offset in (1e3, 1e4):
        torch.testing.assert_close(
            cross_entropy((z + offset).double(), torch.tensor(Q)),
            cross_entropy(z, torch.tensor(Q)),
            rtol=1e-10,
            atol=1e-10,
        )


def test_margin_matches_loops() -> None:
    ours = margin(torch.tensor(Z), torch.tensor(Y))
    np.testing.assert_allclose(ours, oracle.margin(Z, Y.tolist()), rtol=1e-12)
    soft = margin(torch.tensor(Z), torch.tensor(Q))
    np.testing.assert_allclose(soft, oracle.margin(Z, Q.argmax(1).tolist()), rtol=1e-12)


def test_margin_is_positive_exactly_where_the_model_errs() -> None:
    z, y = torch.tensor(Z), torch.tensor(Y)
    assert torch.equal(margin(z, y) > 0, z.argmax(dim=1) != y)


def test_kl_divergence_matches_loops_and_vanishes_at_equality() -> None:
    ours = kl_divergence(torch.tensor(Z), torch.tensor(OTHER))
    np.testing.assert_allclose(ours, oracle.kl_divergence(Z, OTHER), rtol=1e-10)
    assert (ours >= 0).all()
    assert torch.equal(kl_divergence(torch.tensor(Z), torch.tensor(Z)), torch.zeros(20).double())


def test_kl_divergence_is_finite_where_a_softmax_underflows() -> None:
    z = torch.tensor([[0.0, -2000.0, 5.0]], requires_grad=True)
    other = torch.tensor([[300.0, 0.0, -900.0]], requires_grad=True)
    loss = kl_divergence(z, other)
    gradients = torch.autograd.grad(loss.sum(), [z, other])
    assert all(torch.isfinite(value).all() for value in (loss, *gradients))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_losses_are_at_least_float32(dtype: torch.dtype) -> None:
    z = torch.tensor(Z).to(dtype)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert widen(z).dtype == wide
    for loss in LOSSES.values():
        assert loss(z, torch.tensor(Y)).dtype == wide
        assert loss(z, torch.tensor(Q).to(dtype)).dtype == wide
    assert kl_divergence(z, z).dtype == wide


def test_gradients_match_finite_differences() -> None:
    z = torch.tensor(Z[:4], requires_grad=True)
    other = torch.tensor(OTHER[:4], requires_grad=True)
    for call in (
        lambda z: cross_entropy(z, torch.tensor(Q[:4])),
        lambda z: cross_entropy(z, torch.tensor(Y[:4])),
        lambda z: margin(z, torch.tensor(Y[:4])),
    ):
        assert torch.autograd.gradcheck(call, (z,))
    assert torch.autograd.gradcheck(kl_divergence, (z, other))


def test_the_gradient_of_cross_entropy_is_softmax_minus_label() -> None:
    z = torch.tensor(Z, requires_grad=True)
    (gradient,) = torch.autograd.grad(cross_entropy(z, torch.tensor(Q)).sum(), z)
    expected = functional.softmax(z.detach(), dim=1) - torch.tensor(Q)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)


def test_eq6_dlr_matches_loops() -> None:
    ours = dlr(torch.tensor(Z), torch.tensor(Y))
    np.testing.assert_allclose(ours, oracle.dlr(Z, Y.tolist()), rtol=1e-10)
    soft = dlr(torch.tensor(Z), torch.tensor(Q))
    np.testing.assert_allclose(soft, oracle.dlr(Z, Q.argmax(1).tolist()), rtol=1e-10)


def test_eq7_targeted_dlr_matches_loops() -> None:
    t = (Y + 2) % 6
    ours = targeted_dlr(torch.tensor(Z), torch.tensor(Y), torch.tensor(t))
    np.testing.assert_allclose(ours, oracle.targeted_dlr(Z, Y.tolist(), t.tolist()), rtol=1e-10)


def test_neither_dlr_sees_an_offset_or_a_scale() -> None:
    z, y = torch.tensor(Z), torch.tensor(Y)
    t = (y + 1) % 6
    torch.testing.assert_close(dlr(7 * z + 50, y), dlr(z, y))
    torch.testing.assert_close(targeted_dlr(7 * z - 50, y, t), targeted_dlr(z, y, t))


def test_with_few_classes_dlr_is_a_difference_and_never_flat() -> None:
    for classes in (2, 3):
        z = torch.tensor(Z[:, :classes], requires_grad=True)
        y = z.argmax(dim=1)
        t = z.argmin(dim=1)
        gap = (z.gather(1, t[:, None]) - z.gather(1, y[:, None])).squeeze(1)
        assert torch.equal(targeted_dlr(z, y, t), gap)
        for loss in (dlr(z, y), targeted_dlr(z, y, t)):
            assert torch.isfinite(loss).all()
            (slope,) = torch.autograd.grad(loss.sum(), z, retain_graph=True)
            assert bool((slope.abs().amax(dim=1) > 1e-3).all())
    two, y = torch.tensor(Z[:, :2]), torch.tensor(Y % 2)
    assert torch.equal(dlr(two, y), margin(two, y))


def test_equal_logits_give_dlr_a_finite_value_and_gradient() -> None:
    z = torch.zeros(2, 5, requires_grad=True)
    y, t = torch.tensor([0, 1]), torch.tensor([1, 0])
    for loss in (dlr(z, y), targeted_dlr(z, y, t)):
        assert torch.equal(loss.detach(), torch.zeros(2))
        (slope,) = torch.autograd.grad(loss.sum(), z)
        assert torch.isfinite(slope).all()


def test_log_odds_rise_and_point_as_the_cross_entropy_does() -> None:
    z, y = torch.tensor(Z, requires_grad=True), torch.tensor(Y)
    odds, entropy = log_odds(z, y), cross_entropy(z, y)
    torch.testing.assert_close(functional.softplus(odds, threshold=100), entropy)
    slopes = [torch.autograd.grad(v.sum(), z)[0] for v in (odds, entropy)]
    torch.testing.assert_close(
        functional.normalize(slopes[0], dim=1), functional.normalize(slopes[1], dim=1)
    )
