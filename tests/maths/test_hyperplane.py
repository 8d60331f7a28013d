"""The nearest point of a hyperplane within the pixel range, against programs and conditions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from oracles.boundary import least_change
from vicinal._typing import Norm
from vicinal.maths import hyperplane
from vicinal.maths.balls import distance
from vicinal.maths.hyperplane import reach_hyperplane

NORMS: tuple[Norm, ...] = ("linf", "l2")


@pytest.fixture(params=["newton", "sort"], scope="module", autouse=True)
def solver(request: pytest.FixtureRequest) -> Iterator[str]:
    """What a processor does, and what a device does that must not be waited for."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "sort":
            patched.setattr(hyperplane, "_by_newton", hyperplane._by_sort)
        yield request.param


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


@pytest.mark.parametrize("norm", NORMS)
def test_corners_of_every_size_are_passed_in_few_rounds(
    norm: Norm, solver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rooms and weights that halve from pixel to pixel: a corner for every one of them."""
    halves = 0.5 ** torch.arange(40, dtype=torch.float64)
    x = (1 - halves).view(1, 1, 1, -1).expand(39, -1, -1, -1)
    w = halves.flip(0).view(1, 1, 1, -1).expand_as(x)
    ends = 1 - x.flatten(1)
    pace = w.flatten(1) if norm == "l2" else torch.ones_like(ends)
    levels = (ends / pace)[0].sort().values
    between = ((levels[:-1] + levels[1:]) / 2).unsqueeze(1)
    rounds = []
    equal = torch.equal

    def counted(one: Tensor, other: Tensor) -> bool:
        rounds.append(one)
        return equal(one, other)

    monkeypatch.setattr(torch, "equal", counted)
    moved = torch.minimum(between * pace, ends)
    found = reach_hyperplane(x, w, (w.flatten(1) * moved).sum(dim=1), norm=norm)
    torch.testing.assert_close(found.flatten(1), moved, rtol=1e-6, atol=0)
    assert len(rounds) <= 50
    assert (len(rounds) > 5) == (solver == "newton")


@pytest.mark.parametrize("norm", NORMS)
def test_a_rise_that_is_no_number_stays_with_its_image(norm: Norm) -> None:
    x, w, rise = problems(6, 12, seed=4)
    w[:, 0, 0, 0] = 0.0
    plain = reach_hyperplane(x, w, rise, norm=norm)
    rise[0], rise[1], rise[2] = torch.nan, torch.inf, -torch.inf
    found = reach_hyperplane(x, w, rise, norm=norm)
    ends = torch.where(w > 0, 1 - x, torch.where(w < 0, -x, torch.zeros_like(x)))
    assert bool(found[0].isnan().any())
    torch.testing.assert_close(found[1], ends[1], rtol=0, atol=1e-12)
    down = torch.where(w > 0, -x, torch.where(w < 0, 1 - x, torch.zeros_like(x)))
    torch.testing.assert_close(found[2], down[2], rtol=0, atol=1e-12)
    torch.testing.assert_close(found[3:], plain[3:], rtol=1e-9, atol=1e-12)
