"""The nearest point of a hyperplane within the pixel range, against programs and conditions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from oracles.boundary import least_change
from vicinal._typing import Norm
from vicinal.maths.balls import distance
from vicinal.maths.hyperplane import reach_hyperplane

NORMS: tuple[Norm, ...] = ("linf", "l2")


def problems(n: int, pixels: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images with pixels at the ends of the range, weights of zero and of equal size."""
    g = torch.Generator().manual_seed(seed)
    x = (torch.rand(n, 1, 1, pixels, generator=g, dtype=torch.float64) * 1.4 - 0.2).clamp(0, 1)
    w = torch.randn(n, 1, 1, pixels, generator=g, dtype=torch.float64)
    w[::3] = w[::3].round()
    reach = w.abs().flatten(1).sum(dim=1)
    share = torch.rand(n, generator=g, dtype=torch.float64) * 1.2 - 0.6
    return x, w, share * reach


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), pixels=st.integers(1, 12))
def test_it_is_the_optimum_of_the_program(norm: Norm, seed: int, pixels: int) -> None:
    x, w, rise = problems(5, pixels, seed)
    found = reach_hyperplane(x, w, rise, norm=norm)
    for i in range(5):
        flat = [np.asarray(v[i].flatten().numpy()) for v in (x, w, found)]
        exact = least_change(flat[0], flat[1], float(rise[i]), norm=norm)
        if exact is None:
            continue
        order = np.inf if norm == "linf" else 2
        size = np.linalg.norm(flat[2], ord=order)
        assert size == pytest.approx(np.linalg.norm(exact, ord=order), abs=1e-7)
        assert flat[1] @ flat[2] == pytest.approx(float(rise[i]), abs=1e-9)
        if norm == "l2":
            np.testing.assert_allclose(flat[2], exact, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_both_outcomes_occur_and_out_of_reach_every_pixel_goes_to_its_end(norm: Norm) -> None:
    x, w, rise = problems(200, 6, seed=1)
    way = w.sign() * rise.sign().view(-1, 1, 1, 1)
    end = torch.where(way > 0, 1 - x, torch.where(way < 0, -x, torch.zeros_like(x)))
    far = (w * end).flatten(1).sum(dim=1).abs() < rise.abs() - 1e-9
    assert 10 < int(far.sum()) < 190
    found = reach_hyperplane(x, w, rise, norm=norm)
    torch.testing.assert_close(found[far], end[far], rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_inside_the_range_it_is_the_gap_over_the_dual_norm(norm: Norm) -> None:
    g = torch.Generator().manual_seed(0)
    w = torch.randn(50, 3, 4, 4, generator=g, dtype=torch.float64)
    x, rise = torch.full_like(w, 0.5), torch.randn(50, generator=g, dtype=torch.float64)
    found = reach_hyperplane(x, w, rise, norm=norm)
    dual = w.abs().flatten(1).sum(dim=1) if norm == "linf" else w.flatten(1).norm(dim=1)
    size = distance(found, torch.zeros_like(found), norm=norm)
    torch.testing.assert_close(size, rise.abs() / dual)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_the_scale_of_the_weights_changes_nothing(norm: Norm, scale: float) -> None:
    x, w, rise = problems(30, 12, seed=2)
    plain = reach_hyperplane(x.float(), w.float(), rise.float(), norm=norm)
    scaled = reach_hyperplane(x.float(), (w * scale).float(), (rise * scale).float(), norm=norm)
    torch.testing.assert_close(scaled, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_float32_leaves_neither_the_range_nor_the_plane(norm: Norm) -> None:
    g = torch.Generator().manual_seed(3)
    x = torch.rand(20, 3, 32, 32, generator=g)
    x[:, :, :16] = x[:, :, :16].round()
    w = torch.randn(20, 3, 32, 32, generator=g) * 1e-3
    rise = 0.2 * torch.randn(20, generator=g)
    found = reach_hyperplane(x, w, rise, norm=norm)
    assert float((x + found).min()) >= -1e-6
    assert float((x + found).max()) <= 1 + 1e-6
    reached = (w.double() * found.double()).flatten(1).sum(dim=1)
    torch.testing.assert_close(reached, rise.double(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_no_weight_no_rise_and_no_number_move_nothing(norm: Norm) -> None:
    x = torch.rand(2, 1, 2, 2)
    w = torch.ones_like(x)
    nothing = torch.zeros_like(x)
    assert torch.equal(reach_hyperplane(x, nothing, torch.ones(2), norm=norm), nothing)
    assert torch.equal(reach_hyperplane(x, w, torch.zeros(2), norm=norm).abs(), nothing)
    assert torch.equal(reach_hyperplane(x, w * torch.nan, torch.ones(2), norm=norm), nothing)
    half = x.bfloat16()
    assert reach_hyperplane(half, w.bfloat16(), torch.ones(2), norm=norm).dtype == torch.bfloat16
