"""AVmixup's label: the golden vectors of the sheet, loops, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import laws
from vicinal._checks import InputError
from vicinal.inputs import MixUp
from vicinal.labels import Vertex, mix_to_vertex, one_hot, smooth
from vicinal.maths.mixing import Mix

GOLDEN = [(0.0, 0.1, 0.1), (0.25, 0.325, 0.075), (0.5, 0.55, 0.05), (1.0, 1.0, 0.0)]
"""alpha, then the class's probability and every other's, at K = 10, lambda1 = 1, lambda2 = 0.1."""


def weights(n: int, value: float) -> Tensor:
    return torch.full((n,), value, dtype=torch.float64)


@pytest.mark.parametrize(("alpha", "own", "other"), GOLDEN)
def test_eq13_golden_vectors(alpha: float, own: float, other: float) -> None:
    q = one_hot(torch.tensor([3]), num_classes=10).double()
    (found,) = mix_to_vertex(q, weight=weights(1, alpha), lambda1=1.0, lambda2=0.1)
    expected = [own if k == 3 else other for k in range(10)]
    assert found.tolist() == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("lambdas", [(1.0, 0.1), (0.5, 0.7), (0.3, 0.42), (0.0, 1.0)])
@pytest.mark.parametrize("k", [2, 10, 100])
def test_eq13_matches_loops(k: int, lambdas: tuple[float, float]) -> None:
    y, alpha = [i % k for i in range(7)], torch.rand(7, dtype=torch.float64)
    q = one_hot(torch.tensor(y), num_classes=k).double()
    found = mix_to_vertex(q, weight=alpha, lambda1=lambdas[0], lambda2=lambdas[1])
    for i, a in enumerate(alpha.tolist()):
        for c in range(k):
            phi = [lam if c == y[i] else (1 - lam) / (k - 1) for lam in lambdas]
            assert float(found[i, c]) == pytest.approx(a * phi[0] + (1 - a) * phi[1], abs=1e-14)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_ls08_is_the_smoothing_02_and_needs_no_weight_where_both_lambdas_agree(
    alpha: float,
) -> None:
    q = one_hot(torch.tensor([0, 4]), num_classes=5).double()
    found = mix_to_vertex(q, weight=weights(2, alpha), lambda1=0.8, lambda2=0.8)
    torch.testing.assert_close(found, smooth(q, eps=0.2), rtol=1e-14, atol=1e-16)


def test_distributions_are_moved_class_by_class() -> None:
    """T(q) = sum_c q_c T(e_c)."""
    q, alpha = torch.rand(6, 5, dtype=torch.float64).softmax(dim=1), torch.rand(6).double()
    found = mix_to_vertex(q, weight=alpha, lambda1=0.9, lambda2=0.2)
    expected = np.zeros((6, 5))
    for c in range(5):
        hot = one_hot(torch.full((6,), c), num_classes=5).double()
        moved = mix_to_vertex(hot, weight=alpha, lambda1=0.9, lambda2=0.2)
        expected += (q[:, [c]] * moved).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_the_weight_is_the_images_draw_whatever_drew_it() -> None:
    x, q = torch.rand(6, 1, 2, 2), torch.eye(6)
    mix = MixUp(per_sample=True).draw(x)
    expected = mix_to_vertex(q, weight=mix.weight, lambda1=1.0, lambda2=0.1)
    laws.assert_same_bits(Vertex()(q, torch.zeros(6, 6), mix=mix), expected)


def test_a_move_without_a_draw_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        Vertex()(torch.eye(3), torch.zeros(3, 3))
    laws.assert_one_line(caught.value, "labels.Vertex", "inputs.Vertex")


@pytest.mark.parametrize("name", ["lambda1", "lambda2"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_lambdas_outside_0_to_1_are_refused(name: str, value: float) -> None:
    fields: dict[str, Any] = {"lambda1": 1.0, "lambda2": 0.1, name: value}
    for call in (
        lambda: Vertex(**fields),
        lambda: mix_to_vertex(torch.eye(2), weight=weights(2, 0), **fields),
    ):
        with pytest.raises(InputError) as caught:
            call()
        laws.assert_one_line(caught.value, f"`{name}`", f"0 <= {name} <= 1")


@pytest.mark.parametrize("shape", [(2,), (3, 1), ()])
def test_weights_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    mix = Mix(partner=torch.arange(3), weight=torch.ones(shape))
    with pytest.raises(InputError) as caught:
        Vertex()(torch.eye(3), torch.zeros(3, 3), mix=mix)
    laws.assert_one_line(caught.value, "`weight`", str(tuple(shape)))
