"""The adversarial label of ALPS, against linear programming, and its fused loss."""

from __future__ import annotations

import math
from itertools import pairwise, starmap

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

import laws
from oracles.alps_label import Case, worst_value, worst_values
from oracles.losses import cross_entropy as loop_cross_entropy
from vicinal._checks import InputError
from vicinal.labels import LeastLikelyShift, adversarial_cross_entropy, shift_to_least_likely
from vicinal.maths.losses import cross_entropy

Array = NDArray[np.float64]

SIZES = [(2, 1000), (3, 1000), (5, 1000), (10, 1000), (37, 200), (100, 80), (200, 60)]
"""Classes and how many random programs for each: 4,340 in a run, of both kinds of label."""


def random_case(rng: np.random.Generator, k: int, *, soft: bool) -> tuple[Array, Array, float]:
    """Logits, label and radius, with what random numbers rarely give: ties, zeros, the bounds."""
    z = rng.normal(0, rng.choice([0.1, 1.0, 10.0]), k)
    if rng.random() < 0.3:
        z = z.round()
    q = rng.dirichlet(np.full(k, rng.choice([0.1, 1.0]))) if soft else np.eye(k)[rng.integers(k)]
    if soft and k > 2 and rng.random() < 0.3:
        q[rng.integers(k)] = 0.0
        q /= q.sum()
    if rng.random() < 0.2:
        q = np.eye(k)[z.argmin()]  # the least likely class is the true one
    eps = float(
        rng.choice([rng.uniform(0, 0.5), rng.uniform(0, 2), 0.0, 2.0], p=[0.5, 0.4, 0, 0.1])
    )
    return z, q, eps


def losses(z: Array) -> Array:
    """v_k = -log f_k(x~), by loops."""
    return np.array([loop_cross_entropy(z[None], np.eye(len(z))[[k]])[0] for k in range(len(z))])


def shifted(z: Array, q: Array, eps: float) -> Array:
    return shift_to_least_likely(torch.tensor(q[None]), torch.tensor(z[None]), eps=eps)[0].numpy()


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize(("k", "n"), SIZES)
def test_theorem1_matches_linear_programming(k: int, n: int, soft: bool) -> None:
    rng = np.random.default_rng([k, soft])
    drawn = [random_case(rng, k, soft=soft) for _ in range(n // 2)]
    cases = [Case(losses(z), q, eps) for z, q, eps in drawn]
    labels = list(starmap(shifted, drawn))
    ours = [float(label @ case.v) for label, case in zip(labels, cases, strict=True)]
    np.testing.assert_allclose(ours, worst_values(cases), rtol=1e-9, atol=1e-9)
    for label, case in zip(labels, cases, strict=True):
        assert label.min() >= -1e-12
        assert label.sum() == pytest.approx(1.0, abs=1e-12)
        assert np.abs(label - case.q).sum() <= case.eps + 1e-12


def test_the_blocks_of_the_oracle_are_the_programs_of_the_paper() -> None:
    """The oracle solves many programs at once; one at a time, written as in eq. 15, is the same."""
    rng = np.random.default_rng(0)
    cases = []
    for i in range(60):
        z, q, eps = random_case(rng, int(rng.integers(2, 12)), soft=i % 2 == 0)
        cases.append(Case(losses(z), q, eps))
    np.testing.assert_allclose(worst_values(cases), [worst_value(c) for c in cases], atol=1e-9)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    z=st.lists(st.integers(-3, 3), min_size=2, max_size=7),
    weights=st.lists(st.integers(0, 4), min_size=7, max_size=7),
    eps=st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.9, 2.0]),
)
def test_theorem1_holds_with_ties_everywhere(z: list[int], weights: list[int], eps: float) -> None:
    q = np.array(weights[: len(z)], dtype=np.float64)
    q = np.eye(len(z))[0] if q.sum() == 0 else q / q.sum()
    case = Case(losses(np.array(z, dtype=np.float64)), q, eps)
    label = shifted(np.array(z, dtype=np.float64), q, eps)
    assert float(label @ case.v) == pytest.approx(worst_value(case), abs=1e-9)
    laws.assert_on_simplex(torch.tensor(label[None]), tolerance=1e-12)


def hard_batch(n: int = 300, k: int = 7) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    z = 3 * torch.randn(n, k, generator=rng, dtype=torch.float64)
    return z, torch.randint(k, (n,), generator=rng)


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.2, 0.5, 1.0, 2.0])
def test_eq15_for_a_class_is_the_printed_closed_form(eps: float) -> None:
    """rho = (1 - eps/2) e_y + (eps/2) e_k*, and e_y where k* is y."""
    z, y = hard_batch()
    expected = np.zeros(z.shape)
    for i, (row, own) in enumerate(zip(z.tolist(), y.tolist(), strict=True)):
        expected[i, own] += 1 - eps / 2
        expected[i, row.index(min(row))] += eps / 2
    q = torch.eye(7, dtype=torch.float64)[y]
    found = shift_to_least_likely(q, z, eps=eps)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    own_is_least = z.argmin(dim=1) == y
    assert own_is_least.any()
    laws.assert_same_bits(found[own_is_least], q[own_is_least])


def test_soft_labels_give_from_the_best_liked_classes_first() -> None:
    """0.15 to move: all of class 0 (0.05), which the prediction likes best, then 0.1 of class 1."""
    q = torch.tensor([[0.05, 0.60, 0.30, 0.05]], dtype=torch.float64)
    z = torch.tensor([[3.0, 2.0, 1.0, 0.0]], dtype=torch.float64)
    expected = torch.tensor([[0.0, 0.50, 0.30, 0.20]], dtype=torch.float64)
    torch.testing.assert_close(shift_to_least_likely(q, z, eps=0.3), expected)


def test_no_more_than_all_moves() -> None:
    """min(eps/2, 1 - q_k*): a label that is nearly at k* already can only give the rest."""
    q = torch.tensor([[0.1, 0.0, 0.9]], dtype=torch.float64)
    z = torch.tensor([[1.0, 0.5, 0.0]], dtype=torch.float64)
    for eps in (0.2, 1.0, 2.0):
        found = shift_to_least_likely(q, z, eps=eps)
        torch.testing.assert_close(found, torch.tensor([[0.0, 0.0, 1.0]]).double())


def test_the_label_gets_no_better_as_the_ball_grows() -> None:
    z, y = hard_batch()
    q = torch.eye(7, dtype=torch.float64)[y].lerp(torch.full((300, 7), 1 / 7).double(), 0.3)
    worst = [cross_entropy(z, shift_to_least_likely(q, z, eps=e)) for e in (0.0, 0.1, 0.7, 2.0)]
    for smaller, larger in pairwise(worst):
        assert (larger >= smaller - 1e-12).all()


def test_float32_labels_stay_on_the_simplex_of_many_classes() -> None:
    q = torch.rand(50, 1000).softmax(dim=1)
    for eps in (0.1, 1.0, 2.0):
        found = shift_to_least_likely(q, torch.randn(50, 1000), eps=eps)
        laws.assert_on_simplex(found, tolerance=2e-6)
        assert float((found - q).abs().sum(dim=1).max()) <= eps + 1e-5


# The fused loss.


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.5, 2.0])
def test_the_fused_loss_is_the_explicit_one_in_values_and_gradients(eps: float) -> None:
    z, y = hard_batch()
    z[::5] = z[::5].round()  # ties
    z[::7] = 1.0  # all classes tie
    z.requires_grad_()
    q = torch.eye(7, dtype=torch.float64)[y]
    fused = adversarial_cross_entropy(z, y, eps=eps)
    explicit = cross_entropy(z, shift_to_least_likely(q, z.detach(), eps=eps))
    torch.testing.assert_close(fused, explicit, rtol=1e-12, atol=1e-12)
    one, other = (torch.autograd.grad(loss.sum(), z)[0] for loss in (fused, explicit))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("eps", [0.0, 0.3, 2.0])
def test_the_fused_loss_is_its_formula(eps: float) -> None:
    """logsumexp(z) - (1 - eps/2) z_y - (eps/2) min_k z_k, by loops."""
    z, y = hard_batch(20)
    expected = [
        math.log(math.fsum(map(math.exp, row))) - (1 - eps / 2) * row[own] - eps / 2 * min(row)
        for row, own in zip(z.tolist(), y.tolist(), strict=True)
    ]
    np.testing.assert_allclose(adversarial_cross_entropy(z, y, eps=eps), expected, rtol=1e-12)


def test_the_gradient_is_softmax_minus_the_adversarial_label() -> None:
    """No gradient flows through k*: the derivative is that for a fixed label."""
    z, y = hard_batch()
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(adversarial_cross_entropy(z, y, eps=0.4).sum(), z)
    q = torch.eye(7, dtype=torch.float64)[y]
    rho = shift_to_least_likely(q, z.detach(), eps=0.4)
    torch.testing.assert_close(gradient, z.detach().softmax(dim=1) - rho, rtol=0, atol=1e-14)


@pytest.mark.parametrize("offset", [0.0, 100.0, 1e4])
def test_the_fused_loss_keeps_its_digits_in_float32(offset: float) -> None:
    """A confident model's loss is tiny; it must not drown in the size of the logits."""
    z = torch.tensor([[14.0, 0.0, 2.0], [0.0, 9.0, -4.0]])
    y = torch.tensor([0, 1])
    exact = adversarial_cross_entropy(z.double(), y, eps=0.0)
    found = adversarial_cross_entropy(z + offset, y, eps=0.0)
    torch.testing.assert_close(found.double(), exact, rtol=0.02, atol=0.0)


def test_the_fused_loss_of_half_precision_logits_is_float32() -> None:
    z, y = hard_batch()
    loss = adversarial_cross_entropy(z.bfloat16(), y, eps=0.2)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(
        loss, adversarial_cross_entropy(z.bfloat16().float(), y, eps=0.2), rtol=0, atol=0
    )


# What it refuses.


@pytest.mark.parametrize("eps", [-0.1, 2.1, math.nan, math.inf])
def test_radii_outside_0_to_2_are_refused(eps: float) -> None:
    z, y = hard_batch(4)
    for call in (
        lambda: shift_to_least_likely(torch.eye(7)[:4].double(), z, eps=eps),
        lambda: adversarial_cross_entropy(z, y, eps=eps),
        lambda: LeastLikelyShift(eps=eps),
    ):
        with pytest.raises(InputError) as caught:
            call()
        laws.assert_one_line(caught.value, "`eps`", "0 <= eps <= 2")


def test_classes_in_place_of_distributions_are_refused() -> None:
    z, y = hard_batch(4)
    with pytest.raises(InputError) as caught:
        shift_to_least_likely(y, z, eps=0.1)
    laws.assert_one_line(caught.value, "`q`", "(N, K)", "one_hot")


def test_labels_and_logits_of_two_shapes_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        shift_to_least_likely(torch.eye(4), torch.zeros(4, 5), eps=0.1)
    laws.assert_one_line(caught.value, "(4, 4)", "(4, 5)")


def test_it_looks_at_the_neighbour_unless_told_otherwise() -> None:
    assert LeastLikelyShift().at == "neighbour"
    assert LeastLikelyShift(at="clean").at == "clean"
    with pytest.raises(InputError, match="`at` must be neighbour"):
        LeastLikelyShift(at=None)  # type: ignore[arg-type]
