"""Balls: the nearest point, a uniform draw, the steepest direction."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import laws
from oracles import nearest_point as oracle
from vicinal._checks import InputError
from vicinal.maths.balls import distance, per_channel, project, sample, steepest, to_levels

Norm = Literal["linf", "l2"]
NORMS: list[Norm] = ["linf", "l2"]
LEVEL = 1e-6
"""What a statistical test would fail by chance, with another seed."""


def centers(n: int = 30) -> Tensor:
    return torch.rand(n, 2, 3, 3, dtype=torch.float64)


def far(n: int = 30) -> Tensor:
    return 3 * torch.randn(n, 2, 3, 3, dtype=torch.float64)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("eps", [0.0, 1e-6, 0.1, 0.7])
def test_a_projection_is_in_the_ball_and_the_pixel_range(norm: Norm, eps: float) -> None:
    c = centers()
    p = project(c + far(), c, eps=eps, norm=norm)
    laws.assert_in_ball(p, c, eps=eps, norm=norm, tolerance=1e-12)
    laws.assert_in_unit_range(p)


@pytest.mark.parametrize("norm", NORMS)
def test_a_projection_is_idempotent_and_keeps_what_is_inside(norm: Norm) -> None:
    c = centers()
    once = project(c + far(), c, eps=0.3, norm=norm)
    torch.testing.assert_close(project(once, c, eps=0.3, norm=norm), once, rtol=0, atol=1e-12)
    laws.assert_same_bits(project(c, c, eps=0.3, norm=norm), c)


def test_linf_projection_is_the_nearest_point_of_ball_and_range() -> None:
    """The composition of two clips is exact for boxes: SLSQP finds the same point."""
    c = centers(6)
    x = c + 0.3 * far(6)
    p = project(x, c, eps=0.2)
    for at, middle, found in zip(x, c, p, strict=True):
        nearest = oracle.nearest(
            at.flatten().numpy(), middle.flatten().numpy(), eps=0.2, norm="linf"
        )
        np.testing.assert_allclose(found.flatten(), nearest, atol=1e-6)


def test_l2_projection_is_the_nearest_point_of_the_ball() -> None:
    """Where the pixel range binds nowhere."""
    c = torch.full((6, 2, 3, 3), 0.5, dtype=torch.float64)
    x = c + 0.5 * far(6)
    p = project(x, c, eps=0.3, norm="l2")
    torch.testing.assert_close(distance(p, c, norm="l2"), torch.full((6,), 0.3).double())
    for at, middle, found in zip(x, c, p, strict=True):
        nearest = oracle.nearest(
            at.flatten().numpy(), middle.flatten().numpy(), eps=0.3, norm="l2", pixels=False
        )
        np.testing.assert_allclose(found.flatten(), nearest, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_an_infinite_radius_leaves_the_pixel_range(norm: Norm) -> None:
    x = far()
    laws.assert_same_bits(project(x, centers(), eps=math.inf, norm=norm), x.clamp(0.0, 1.0))


def test_a_radius_per_channel_bounds_each_channel() -> None:
    c, eps = centers(), torch.tensor([0.05, 0.2])
    delta = (project(c + far(), c, eps=eps) - c).abs()
    assert float(delta[:, 0].max()) == pytest.approx(0.05, abs=1e-7)
    assert float(delta[:, 1].max()) == pytest.approx(0.2, abs=1e-7)
    spread = (sample(c, eps=eps) - c).abs().amax(dim=(0, 2, 3))
    assert (spread <= eps + 1e-7).all()
    assert (spread > 0.8 * eps).all()


def test_a_radius_per_channel_must_fit_the_channels() -> None:
    with pytest.raises(InputError) as caught:
        per_channel(torch.tensor([0.1, 0.1, 0.1]), centers())
    laws.assert_one_line(caught.value, "channel", "2", "3")


@pytest.mark.parametrize("norm", NORMS)
def test_nothing_is_modified(norm: Norm) -> None:
    x, c = far(), centers()
    with laws.assert_inputs_not_modified(x, c):
        project(x, c, eps=0.1, norm=norm)
        sample(c, eps=0.1, norm=norm)
        steepest(x, norm=norm)
        distance(x, c, norm=norm)


def test_a_draw_from_the_linf_ball_is_uniform() -> None:
    c = torch.zeros(3000, 1, 2, 2, dtype=torch.float64)
    u = sample(c, eps=0.4, rng=torch.Generator().manual_seed(0)).flatten().numpy()
    assert stats.kstest(u, stats.uniform(-0.4, 0.8).cdf).pvalue > LEVEL


def test_a_draw_from_the_l2_ball_is_uniform() -> None:
    """Uniform in a ball of d dimensions: (r / eps)^d is uniform, and so is every direction."""
    c = torch.zeros(6000, 1, 2, 3, dtype=torch.float64)
    drawn = sample(c, eps=0.4, norm="l2", rng=torch.Generator().manual_seed(0))
    radius = distance(drawn, c, norm="l2").numpy()
    assert stats.kstest((radius / 0.4) ** 6, "uniform").pvalue > LEVEL
    one = (drawn.flatten(1)[:, 0] / torch.as_tensor(radius)).numpy()
    cdf = stats.beta(2.5, 2.5, loc=-1, scale=2).cdf  # one coordinate of a direction in 6 dimensions
    assert stats.kstest(one, cdf).pvalue > LEVEL


def test_distances_match_numpy() -> None:
    a, b = far(), centers()
    flat = (a - b).flatten(1).numpy()
    for norm, order in (("linf", np.inf), ("l2", 2)):
        ours = distance(a, b, norm="linf" if norm == "linf" else "l2")
        np.testing.assert_allclose(ours, np.linalg.norm(flat, ord=order, axis=1), rtol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_no_direction_of_unit_size_climbs_faster_than_the_steepest(norm: Norm) -> None:
    gradient = far(5)
    best = steepest(gradient, norm=norm)
    slope = (gradient * best).flatten(1).sum(dim=1)
    dual = gradient.flatten(1).norm(p=1 if norm == "linf" else 2, dim=1)
    torch.testing.assert_close(slope, dual, rtol=1e-12, atol=0)
    laws.assert_in_ball(best, torch.zeros_like(best), eps=1.0, norm=norm, tolerance=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1.0, 1e20])
def test_l2_direction_survives_tiny_and_huge_gradients(scale: float) -> None:
    gradient = (far(5) * scale).float()
    length = steepest(gradient, norm="l2").flatten(1).norm(dim=1)
    torch.testing.assert_close(length, torch.ones(5), rtol=1e-5, atol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_no_gradient_no_direction(norm: Norm) -> None:
    still = torch.zeros(2, 1, 2, 2)
    assert torch.equal(steepest(still, norm=norm), still)


@pytest.mark.parametrize("norm", NORMS)
def test_a_nan_in_one_pixel_stops_no_other(norm: Norm) -> None:
    gradient = torch.tensor([[[[torch.nan, 3.0], [-4.0, 0.0]]], [[[1.0, 1.0], [1.0, 1.0]]]])
    one, two = steepest(gradient, norm=norm)
    expected = [0.0, 1.0, -1.0, 0.0] if norm == "linf" else [0.0, 0.6, -0.8, 0.0]
    torch.testing.assert_close(one.flatten(), torch.tensor(expected))
    assert torch.isfinite(two).all()


def test_a_budget_per_channel_takes_dtype_and_place_of_the_images() -> None:
    budget = torch.tensor([0.1, 0.2], dtype=torch.float64, requires_grad=True)
    shaped = per_channel(budget, centers().float())
    assert isinstance(shaped, Tensor)
    assert shaped.shape == (2, 1, 1)
    assert shaped.dtype == torch.float32
    assert not shaped.requires_grad
    assert per_channel(0.1, centers()) == 0.1


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("eps", [0.4, 0.5, 1.0, 1.7, 8.0, 8.5])
def test_rounding_to_levels_leaves_no_ball_around_a_picture(
    norm: Norm, dtype: torch.dtype, eps: float
) -> None:
    """For linf, level by level: the nearest of those that the ball holds."""
    rng = torch.Generator().manual_seed(0)
    center = torch.randint(0, 256, (40, 2, 3, 3), generator=rng).to(dtype) / 255
    drawn = sample(center, eps=3 * eps / 255, norm=norm, rng=rng)
    x = project(drawn, center, eps=eps / 255, norm=norm)
    found = to_levels(x, center, eps=eps / 255, norm=norm)
    assert found.dtype == dtype
    levels, own = (255 * found.double()).numpy(), np.rint(255 * center.double().numpy())
    assert np.abs(levels - np.rint(levels)).max() < 1e-3
    assert levels.min() > -1e-3
    assert levels.max() < 255 + 1e-3
    moved = np.rint(levels) - own
    if norm == "l2":
        assert np.sqrt((moved**2).sum(axis=(1, 2, 3))).max() <= eps + 1e-3
        assert eps < 4 or np.abs(moved).max() > 0
        return
    assert np.abs(moved).max() <= eps
    steps = 255 * x.double().numpy()
    allowed = np.arange(-np.floor(eps), np.floor(eps) + 1)
    options = own[..., None] + allowed
    options = np.where((options >= 0) & (options <= 255), options, np.inf)
    nearest = np.abs(options - steps[..., None]).min(axis=-1)
    np.testing.assert_allclose(np.abs(np.rint(levels) - steps), nearest, atol=1e-3)


def test_rounding_to_levels_knows_budgets_per_channel_and_no_ball() -> None:
    center = torch.full((1, 2, 1, 1), 100 / 255)
    x = torch.full((1, 2, 1, 1), 100.9 / 255)
    found = to_levels(x, center, eps=torch.tensor([0.9, 2.0]) / 255)
    assert (255 * found).flatten().round().tolist() == [100, 101]
    for norm in NORMS:
        found = to_levels(x, center, eps=math.inf, norm=norm)
        assert (255 * found).flatten().round().tolist() == [101, 101]


@pytest.mark.parametrize("norm", NORMS)
def test_a_ball_without_a_level_keeps_its_center(norm: Norm) -> None:
    center = torch.full((1, 1, 1, 1), 10.5 / 255)
    found = to_levels(center + 0.2 / 255, center, eps=0.2 / 255, norm=norm)
    assert torch.equal(found, center)
