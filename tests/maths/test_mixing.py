"""A mixture as a value, against loops; and the Beta distribution it is drawn from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

import laws
from oracles import mixing as oracle
from vicinal.maths.mixing import Mix, draw_mix, fixed_mix, mode_to_beta


def mix(weight: list[float] | None = None) -> Mix:
    return Mix(
        partner=torch.tensor([2, 0, 1, 3]),
        weight=torch.tensor(weight or [0.75, 0.1, 1.0, 0.3], dtype=torch.float64),
    )


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (4, 10), (4,)])
def test_eq9_matches_loops(shape: tuple[int, ...]) -> None:
    s = torch.rand(shape, dtype=torch.float64)
    expected = oracle.mixed(s.numpy(), [2, 0, 1, 3], [0.75, 0.1, 1.0, 0.3])
    np.testing.assert_allclose(mix()(s), expected, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_0_and_1_are_exact(dtype: torch.dtype) -> None:
    s = torch.randn(4, 3, dtype=torch.float64).to(dtype)
    laws.assert_same_bits(mix([1.0, 1.0, 1.0, 1.0])(s), s)
    laws.assert_same_bits(mix([0.0] * 3 + [1e-300])(s)[:3], s[[2, 0, 1]])


def test_a_partner_of_its_own_leaves_an_image_exactly_as_it_is() -> None:
    s = torch.rand(100, 7)
    weight = torch.rand(100, dtype=torch.float64)
    laws.assert_same_bits(Mix(partner=torch.arange(100), weight=weight)(s), s)


def test_mixtures_stay_between_what_is_mixed() -> None:
    s = torch.rand(1000, 3, 2, 2)
    drawn = draw_mix(s, a=0.5, b=0.5, per_sample=True)
    laws.assert_in_unit_range(drawn(s.round()))
    laws.assert_in_unit_range(drawn(s))


def test_a_mixture_is_a_value_and_modifies_nothing() -> None:
    s, drawn = torch.rand(4, 3), mix()
    with laws.assert_inputs_not_modified(s, drawn.partner, drawn.weight):
        laws.assert_same_bits(drawn(s), drawn(s))
    with pytest.raises(dataclasses.FrozenInstanceError):
        drawn.weight = torch.ones(4)  # type: ignore[misc]


@pytest.mark.parametrize("mode", [0.0, 0.5, 0.76, 0.9, 0.99])
@pytest.mark.parametrize("concentration", [2.5, 12.0, 400.0])
def test_the_beta_has_the_stated_mode_and_concentration(mode: float, concentration: float) -> None:
    a, b = mode_to_beta(mode, concentration)
    assert a + b == pytest.approx(concentration, rel=1e-12)
    assert (a - 1) / (a + b - 2) == pytest.approx(mode, abs=1e-12)
    law = oracle.beta_with_mode(mode, concentration)
    assert law.mean() == pytest.approx(a / (a + b), rel=1e-12)
    assert oracle.mode_by_search(law) == pytest.approx(mode, abs=1e-4)


def test_mode_09_at_concentration_12_is_beta_10_2() -> None:
    assert mode_to_beta(0.9, 12.0) == pytest.approx((10.0, 2.0), rel=1e-12)


@pytest.mark.parametrize("per_sample", [True, False])
def test_a_draw_is_a_permutation_and_a_weight_for_each_or_for_all(per_sample: bool) -> None:
    x = torch.rand(64, 1, 2, 2)
    drawn = draw_mix(x, a=2.0, b=2.0, per_sample=per_sample)
    assert drawn.partner.sort().values.tolist() == list(range(64))
    assert drawn.weight.shape == (64,)
    assert len(set(drawn.weight.tolist())) == (64 if per_sample else 1)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_a_fixed_mixture_draws_partners_only(weight: float) -> None:
    x = torch.rand(16, 1, 2, 2)
    drawn = fixed_mix(x, weight=weight)
    assert drawn.weight.tolist() == [weight] * 16
    assert drawn.partner.sort().values.tolist() == list(range(16))


def test_partners_come_before_weights() -> None:
    """Two methods that draw different weights from one seed share the partners."""

    def partners(a: float) -> Tensor:
        rng = torch.Generator().manual_seed(0)
        return draw_mix(torch.rand(32, 1), a=a, b=1.0, per_sample=True, rng=rng).partner

    assert torch.equal(partners(1.0), partners(7.0))
