"""Labels that follow a targeted step: the equation, its ends, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import laws
from oracles.tlat_label import moved
from vicinal._checks import InputError
from vicinal.labels import toward

N, K = 40, 5


def _batch() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    q = torch.rand(N, K, generator=g, dtype=torch.float64).softmax(dim=1)
    q[::2] = torch.eye(K, dtype=torch.float64)[torch.arange(N // 2) % K]
    return q, torch.randint(K, (N,), generator=g)


@pytest.mark.parametrize("weight", [0.0, 0.02, 0.5, 1.0])
def test_eq5_equals_the_loop(weight: float) -> None:
    q, t = _batch()
    with laws.assert_inputs_not_modified(q, t):
        found = toward(q, t, weight=weight)
    exact = [moved(row, int(k), weight) for row, k in zip(q.tolist(), t, strict=True)]
    torch.testing.assert_close(found, torch.tensor(exact, dtype=torch.float64), rtol=0, atol=1e-15)
    laws.assert_on_simplex(found, tolerance=1e-12)


def test_one_weight_per_example() -> None:
    q, t = _batch()
    weight = torch.rand(N, dtype=torch.float32)
    found = toward(q, t, weight=weight)
    single = [toward(q[[i]], t[[i]], weight=float(weight[i])) for i in range(N)]
    torch.testing.assert_close(found, torch.cat(single), rtol=0, atol=1e-12)
    assert found.dtype == q.dtype
    one = toward(q, t, weight=torch.tensor(0.3, dtype=torch.float64))
    torch.testing.assert_close(one, toward(q, t, weight=0.3), rtol=0, atol=1e-15)


def test_no_weight_is_the_label_and_all_of_it_the_target() -> None:
    q, t = _batch()
    laws.assert_same_bits(toward(q, t, weight=0.0), q)
    assert torch.equal(toward(q, t, weight=1.0), torch.eye(K, dtype=torch.float64)[t])
    own = torch.eye(K, dtype=torch.float64)[t]
    torch.testing.assert_close(toward(own, t, weight=0.3), own, rtol=0, atol=1e-15)


def test_classes_may_be_renamed() -> None:
    q, t = _batch()
    order = torch.tensor([2, 4, 1, 0, 3])
    renamed = toward(q[:, order], order.argsort()[t], weight=0.1)
    laws.assert_same_bits(renamed, toward(q, t, weight=0.1)[:, order])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_classes_may_be_of_any_integer_dtype(dtype: torch.dtype) -> None:
    q, t = _batch()
    laws.assert_same_bits(toward(q, t.to(dtype), weight=0.1), toward(q, t, weight=0.1))


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"weight": 1.5}, "`weight` must satisfy 0 <= weight <= 1"),
        ({"weight": -0.1}, "`weight` must satisfy"),
        ({"weight": torch.tensor([0.1, 1.2])}, "`weight` must satisfy"),
        ({"weight": torch.tensor([0.1, 0.2, 0.3])}, "one per example"),
        ({"weight": torch.tensor([[0.1], [0.2]])}, "one per example"),
        ({"t": torch.tensor([0, 3])}, "`t` must hold classes in 0..2"),
        ({"t": torch.tensor([0])}, "`t` must be classes"),
        ({"t": torch.tensor([[1.0, 0.0, 0.0]] * 2)}, "`t` must be classes of shape (N,)"),
        ({"t": torch.tensor([0.0, 1.0])}, "`t` of shape (N,) must be integer classes"),
        ({"q": torch.tensor([0, 1])}, "`q` must be distributions"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(fields: dict[str, Any], phrase: str) -> None:
    given = {"q": torch.eye(3)[:2], "t": torch.tensor([1, 2]), "weight": 0.1, **fields}
    with pytest.raises(InputError) as caught:
        toward(given["q"], given["t"], weight=given["weight"])
    laws.assert_one_line(caught.value, phrase)
