"""Label smoothing in two conventions, against loops; and Lemma 1 by enumeration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

import laws
from oracles import smoothing as oracle
from vicinal._checks import InputError
from vicinal.labels import Smooth, SmoothUniform, one_hot, smooth, smooth_uniform
from vicinal.maths.losses import cross_entropy

Y = [0, 3, 2, 3, 1, 4]
EPS = [0.0, 0.1, 0.5, 0.8, 1.0]


def hot(k: int = 5) -> torch.Tensor:
    return one_hot(torch.tensor(Y), num_classes=k).double()


@pytest.mark.parametrize("k", [5, 10, 200])
@pytest.mark.parametrize("eps", EPS)
def test_eq6_to_8_smoothing_matches_loops(eps: float, k: int) -> None:
    np.testing.assert_allclose(smooth(hot(k), eps=eps), oracle.smoothed(Y, k, eps), atol=1e-15)


@pytest.mark.parametrize("k", [5, 10, 200])
@pytest.mark.parametrize("eps", EPS)
def test_uniform_smoothing_matches_loops(eps: float, k: int) -> None:
    expected = oracle.smoothed_uniform(Y, k, eps)
    np.testing.assert_allclose(smooth_uniform(hot(k), eps=eps), expected, atol=1e-15)


@pytest.mark.parametrize("eps", EPS)
def test_uniform_smoothing_is_torchs_label_smoothing(eps: float) -> None:
    z = torch.randn(6, 5, dtype=torch.float64)
    ours = cross_entropy(z, smooth_uniform(hot(), eps=eps)).mean()
    theirs = functional.cross_entropy(z, torch.tensor(Y), label_smoothing=eps)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_the_two_conventions_differ_as_stated() -> None:
    q = one_hot(torch.tensor([0]), num_classes=10).double()
    assert smooth(q, eps=0.1)[0, :2].tolist() == pytest.approx([0.9, 0.1 / 9])
    assert smooth_uniform(q, eps=0.1)[0, :2].tolist() == pytest.approx([0.91, 0.01])


def test_the_conventions_are_one_family() -> None:
    """eps/K on every class is (K-1)/K eps moved to the others."""
    for k in (2, 5, 100):
        torch.testing.assert_close(
            smooth_uniform(hot(max(k, 5)), eps=0.3),
            smooth(hot(max(k, 5)), eps=0.3 * (max(k, 5) - 1) / max(k, 5)),
        )


@pytest.mark.parametrize("k", [5, 30])
@pytest.mark.parametrize("eps", EPS)
def test_lemma1_label_smoothing_is_a_vicinal_risk(eps: float, k: int) -> None:
    """Enumerate the vicinal distribution of eq. 6-7: its risk is the loss of the smoothed label."""
    z = 3 * torch.randn(6, k, dtype=torch.float64)
    ours = cross_entropy(z, smooth(hot(k), eps=eps)).mean()
    assert float(ours) == pytest.approx(oracle.vicinal_risk(z.numpy(), Y, eps), rel=1e-12)


@pytest.mark.parametrize("eps", EPS)
def test_distributions_are_smoothed_class_by_class(eps: float) -> None:
    """T(q) = sum_c q_c T(e_c)."""
    q = torch.rand(8, 5, dtype=torch.float64).softmax(dim=1)
    np.testing.assert_allclose(
        smooth(q, eps=eps), oracle.extended(q.numpy(), eps), rtol=1e-12, atol=1e-14
    )
    torch.testing.assert_close(smooth_uniform(q, eps=eps), (1 - eps) * q + eps / 5)


@pytest.mark.parametrize("eps", [-0.01, 1.01, float("nan"), float("inf")])
@pytest.mark.parametrize(
    "call",
    [
        lambda eps: smooth(hot(), eps=eps),
        lambda eps: smooth_uniform(hot(), eps=eps),
        lambda eps: Smooth(eps=eps),
        lambda eps: SmoothUniform(eps=eps),
    ],
    ids=["smooth", "smooth_uniform", "Smooth", "SmoothUniform"],
)
def test_weights_outside_0_to_1_are_refused(call: object, eps: float) -> None:
    assert callable(call)
    with pytest.raises(InputError) as caught:
        call(eps)
    laws.assert_one_line(caught.value, "`eps`", "0 <= eps <= 1")


@pytest.mark.parametrize("call", [smooth, smooth_uniform])
@pytest.mark.parametrize(
    "q",
    [torch.tensor(Y), torch.rand(6), torch.ones(6, 1), torch.eye(4, dtype=torch.int64)],
    ids=["classes", "one row", "one class", "integers"],
)
def test_what_is_no_distribution_is_refused(call: object, q: torch.Tensor) -> None:
    assert callable(call)
    with pytest.raises(InputError) as caught:
        call(q, eps=0.1)
    laws.assert_one_line(caught.value, "`q`", "(N, K)", str(q.dtype), "one_hot")
