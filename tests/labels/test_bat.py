"""The labels of BAT: the equations in loops, golden vectors, the paper's properties, the ends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import laws
from oracles import bat_label
from vicinal import labels
from vicinal._checks import InputError
from vicinal.labels import Bilateral, ProjectedGradient, bilateral, projected_gradient

GOLDEN = [
    (
        [0.70, 0.12, 0.05, 0.04, 0.03, 0.02, 0.015, 0.012, 0.008, 0.005],
        [
            *(0.649111, 0.000226, 0.020032, 0.02508, 0.031588),
            *(0.040761, 0.047269, 0.052318, 0.061491, 0.072123),
        ],
    ),
    ([0.91, *[0.01] * 9], [0.5, *[0.055556] * 9]),
    ([0.05, 0.80, *[0.01875] * 8], [1 - 0.470671, 0.000156, *[0.058814] * 8]),
]
"""Probabilities, class 0 the true one, and the label at beta 9, gamma 0.01."""


def logits(n: int = 60, k: int = 7, scale: float = 5.0) -> Tensor:
    z = scale * torch.randn(n, k, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    z[::5] = z[::5].round()  # ties
    z[1, :] = 0.0
    z[2, 1:] = 0.0
    return z


def soft(n: int = 60, k: int = 7) -> Tensor:
    g = torch.Generator().manual_seed(2)
    q = torch.rand(n, k, generator=g, dtype=torch.float64).square()
    q[::3, k // 2 :] = 0.0
    return q / q.sum(dim=1, keepdim=True)


def classes(n: int = 60, k: int = 7) -> Tensor:
    return torch.arange(n) % k


@pytest.mark.parametrize(("p", "expected"), GOLDEN)
def test_golden_vectors(p: list[float], expected: list[float]) -> None:
    z = torch.tensor([p], dtype=torch.float64).log()
    (found,) = bilateral(torch.tensor([0]), z, beta=9.0, gamma=0.01)
    torch.testing.assert_close(found, torch.tensor(expected).double(), rtol=0, atol=6e-7)
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-12)
    assert float(found[0] / found[1:].max()) == pytest.approx(9.0, abs=1e-9)


@pytest.mark.parametrize("k", [2, 3, 7])
@pytest.mark.parametrize(("beta", "gamma"), [(9.0, 0.01), (100.0, 0.01), (1.0, 0.5), (0.0, 1e-3)])
def test_eq14_and_eq18_equal_the_loops(beta: float, gamma: float, k: int) -> None:
    z, y = logits(k=k), classes(k=k)
    found = bilateral(y, z, beta=beta, gamma=gamma)
    for i, row in enumerate(z.tolist()):
        exact = bat_label.label(bat_label.losses(row), int(y[i]), beta=beta, gamma=gamma)
        np.testing.assert_allclose(found[i].numpy(), exact, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("k", [2, 3, 7])
def test_a_distribution_is_moved_class_by_class(k: int) -> None:
    z, q = logits(k=k), soft(k=k)
    found = bilateral(q, z, beta=4.0, gamma=0.02)
    for i, row in enumerate(z.tolist()):
        exact = bat_label.soft_label(q[i].tolist(), bat_label.losses(row), beta=4.0, gamma=0.02)
        np.testing.assert_allclose(found[i].numpy(), exact, rtol=1e-9, atol=1e-12)
    hard = bilateral(classes(k=k), z)
    point = bilateral(torch.eye(k, dtype=torch.float64)[classes(k=k)], z)
    laws.assert_same_bits(hard, point)


@pytest.mark.parametrize("scale", [0.1, 5.0, 200.0])
@pytest.mark.parametrize("beta", [1.0, 9.0, 100.0])
def test_eq16_and_eq21_bound_the_label(beta: float, scale: float) -> None:
    z, y = logits(scale=scale), classes()
    found, n = bilateral(y, z, beta=beta), z.shape[1]
    laws.assert_on_simplex(found, tolerance=1e-12)
    own = found.gather(1, y.unsqueeze(1)).squeeze(1)
    heaviest = found.scatter(1, y.unsqueeze(1), -1.0).amax(dim=1)
    torch.testing.assert_close(own, beta * heaviest, rtol=1e-9, atol=0)  # eq. 16, with equality
    eps_y = 1 - own
    assert bool((eps_y > 1 / (1 + beta)).all())  # eq. 21
    assert bool((eps_y <= 1 / (1 + beta / (n - 1)) + 1e-12).all())


def test_eq15_equal_losses_give_label_smoothing() -> None:
    y, k = classes(10, 10), 10
    z = torch.where(torch.eye(k, dtype=torch.bool), 3.0, -1.0).double()
    for beta, eps in ((81.0, 0.1), (9.0, 0.5), (1.0, 0.9)):  # eq. 19, with its examples
        exact = labels.smooth(torch.eye(k, dtype=torch.float64)[y], eps=eps)
        torch.testing.assert_close(bilateral(y, z, beta=beta), exact, rtol=0, atol=1e-12)


def test_infinite_beta_is_the_label() -> None:
    laws.assert_same_bits(bilateral(soft(), logits(), beta=math.inf), soft())
    hard = bilateral(classes(), logits(), beta=math.inf)
    assert torch.equal(hard, torch.eye(7, dtype=torch.float64)[classes()])


@pytest.mark.parametrize("k", [2, 3, 1000])
@pytest.mark.parametrize("size", [1e4, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_logits_give_labels(k: int, size: float, dtype: torch.dtype) -> None:
    signs = torch.randn(8, k, generator=torch.Generator().manual_seed(0)).sign()
    z = (size * signs).to(dtype)
    z[0], z[1] = 0.0, 0.0
    z[0, 0], z[1, 0] = size, -size
    y = torch.tensor([0, 0, 1, 1, 0, 1, 0, 1])
    far = z.clamp(-1e6, 1e6)  # y + alpha v keeps its digits no farther
    for found in (
        bilateral(y, z),
        bilateral(torch.eye(k)[y], z),
        projected_gradient(y, far, eps=0.5, step_size=0.1),
    ):
        assert found.dtype == torch.float32
        laws.assert_on_simplex(found, tolerance=1e-5)


def test_the_dtype_is_that_of_a_distribution_else_of_the_logits() -> None:
    z, y = logits(), classes()
    assert bilateral(y, z).dtype == torch.float64
    assert bilateral(y, z.float()).dtype == torch.float32
    assert bilateral(y, z.half()).dtype == torch.float32
    assert bilateral(soft().float(), z).dtype == torch.float32
    assert projected_gradient(soft().float(), z, eps=0.1, step_size=0.1).dtype == torch.float32


def test_no_gradient_flows_and_nothing_is_modified() -> None:
    z, q = logits().requires_grad_(), soft()
    with laws.assert_inputs_not_modified(z, q), laws.assert_global_rng_untouched():
        found = bilateral(q, z), projected_gradient(q, z, eps=0.2, step_size=0.1)
    assert not any(label.requires_grad for label in found)


@pytest.mark.parametrize("kind", ["hard", "soft"])
@pytest.mark.parametrize(("eps", "step"), [(0.1, 0.02), (0.3, 0.1), (0.5, 1.0), (1.0, 0.05)])
def test_eq12_and_eq13_equal_the_nearest_label_of_the_oracle(
    eps: float, step: float, kind: str
) -> None:
    z, k = logits(12), 7
    y = classes(12) if kind == "hard" else soft(12)
    q = torch.eye(k, dtype=torch.float64)[y] if kind == "hard" else y
    found = projected_gradient(y, z, eps=eps, step_size=step)
    laws.assert_on_simplex(found, tolerance=1e-12)
    assert float((found - q).abs().max()) <= eps + 1e-12
    for i, row in enumerate(z.tolist()):
        v = np.asarray(bat_label.losses(row))
        exact = bat_label.nearest_label(q[i].numpy(), v, eps=eps, alpha=step)
        np.testing.assert_allclose(found[i].numpy(), exact, rtol=0, atol=1e-12)


def test_a_step_raises_the_loss_and_none_keeps_the_label() -> None:
    z, q = logits(), soft()
    v = -z.log_softmax(dim=1)
    moved = projected_gradient(q, z, eps=0.3, step_size=0.1)
    assert bool((((moved - q) * v).sum(dim=1) >= -1e-12).all())
    assert float(((moved - q) * v).sum()) > 0.1
    laws.assert_same_bits(projected_gradient(q, z, eps=0.0, step_size=0.1), q)
    still = projected_gradient(q, z, eps=0.3, step_size=0.0)
    torch.testing.assert_close(still, q, rtol=0, atol=1e-12)


def test_the_moves_are_their_functions() -> None:
    q, z = soft(), logits()
    laws.assert_same_bits(
        Bilateral(beta=4.0, gamma=0.1)(q, z), bilateral(q, z, beta=4.0, gamma=0.1)
    )
    laws.assert_same_bits(
        ProjectedGradient(eps=0.2, step_size=0.3)(q, z),
        projected_gradient(q, z, eps=0.2, step_size=0.3),
    )
    assert Bilateral().at == ProjectedGradient().at == "clean"
    assert Bilateral(at="neighbour").at == "neighbour"


@pytest.mark.parametrize(
    ("call", "phrase"),
    [
        (lambda: Bilateral(beta=-1.0), "`beta` must satisfy 0 <= beta"),
        (lambda: Bilateral(beta=math.nan), "`beta` must satisfy"),
        (lambda: Bilateral(gamma=0.0), "`gamma` must satisfy 0 < gamma"),
        (lambda: Bilateral(at="adversarial"), "`at` must be neighbour | clean"),  # type: ignore[arg-type]
        (lambda: ProjectedGradient(eps=1.5), "`eps` must satisfy"),
        (lambda: ProjectedGradient(step_size=-0.1), "`step_size` must satisfy"),
        (lambda: ProjectedGradient(at=None), "`at` must be neighbour | clean"),  # type: ignore[arg-type]
        (lambda: bilateral(torch.tensor([7]), torch.zeros(1, 7)), "`y` must hold classes in 0..6"),
        (lambda: bilateral(torch.zeros(1, 3), torch.zeros(1, 7)), "`y` must have one column"),
        (lambda: bilateral(torch.tensor([0]), torch.zeros(2, 7)), "logits of shape (1, K)"),
        (lambda: bilateral(torch.tensor([0]), torch.zeros(1, 1)), "K >= 2"),
        (lambda: bilateral(torch.tensor([0]), torch.zeros(1, 2), gamma=0.0), "`gamma`"),
        (lambda: Bilateral()(torch.tensor([0]), torch.zeros(1, 2)), "`q` must be distributions"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(call: Any, phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    laws.assert_one_line(caught.value, phrase)
