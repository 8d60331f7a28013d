"""The proposals of Square against loops over pixels, on the same draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from oracles import square as oracle
from vicinal.maths import squares
from vicinal.maths.balls import distance


def images(n: int, channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(n, channels, height, width, generator=g, dtype=torch.float64)
    return (x * 1.4 - 0.2).clamp(0.0, 1.0)


def draws(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("queries", [100, 1000, 5000, 10_000])
def test_the_schedule_is_the_papers_table(queries: int) -> None:
    for query in range(queries):
        share = squares.share_at(query, queries, initial=0.8)
        side = squares.side_of(share, 32, 30, norm="linf")
        assert side == oracle.side_at(query, queries, 0.8, 32, 30)
    assert squares.share_at(0, queries, initial=0.8) == 0.8
    assert squares.share_at(queries - 1, queries, initial=0.8) == 0.8 / 512


@pytest.mark.parametrize(("height", "width"), [(32, 32), (8, 20), (2, 2), (1, 5), (3, 3)])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_window_fits_into_any_image(height: int, width: int, norm: str) -> None:
    """The reference divides by zero where an l2 image has fewer than 5 rows."""
    x = images(3, 2, height, width)
    for share in (1.0, 0.8, 0.1, 1e-4):
        side = squares.side_of(share, height, width, norm=norm)
        assert 1 <= side <= min(height, width)
        propose = squares.propose_linf if norm == "linf" else squares.propose_l2
        moved = propose(x, x, draws(3, 7), side=side, eps=0.3)
        assert bool(torch.isfinite(moved).all())
        assert bool((moved != x).any())
    _, down, across = squares.grid(height, width)
    start = squares.bumps(x, draws(3, 3, down, across), eps=0.3)
    assert bool(torch.isfinite(start).all())
    assert float(distance(start, x, norm="l2").max()) <= 0.3 + 1e-12


@pytest.mark.parametrize("side", [1, 2, 3, 5, 6, 29])
def test_the_bump_is_the_sum_of_rectangles(side: int) -> None:
    np.testing.assert_allclose(squares.bump(side).numpy(), oracle.bump(side), atol=1e-14)


@pytest.mark.parametrize("side", [1, 2, 5, 7])
def test_algorithm2_matches_a_loop_over_pixels(side: int) -> None:
    x, draw = images(20, 3, 7, 9), draws(20, 5)
    best = (x + 0.1 * (2 * images(20, 3, 7, 9, seed=4) - 1)).clamp(0, 1)
    found = squares.propose_linf(x, best, draw, side=side, eps=0.1)
    for i in range(20):
        exact = oracle.propose_linf(
            x[i].numpy(), best[i].numpy(), draw[i].tolist(), side=side, eps=0.1
        )
        np.testing.assert_allclose(found[i].numpy(), exact, atol=1e-14)


@pytest.mark.parametrize("side", [3, 5, 7])
def test_algorithm3_matches_a_loop_over_pixels(side: int) -> None:
    x, draw, eps = images(20, 3, 7, 9), draws(20, 8), 0.6
    best = squares.bumps(x, draws(20, 4, 7, 9), eps=eps)
    found = squares.propose_l2(x, best, draw, side=side, eps=eps)
    for i in range(20):
        exact = oracle.propose_l2(
            x[i].numpy(), best[i].numpy(), draw[i].tolist(), side=side, eps=eps
        )
        np.testing.assert_allclose(found[i].numpy(), exact, atol=1e-9)
    assert float(distance(found, x, norm="l2").max()) <= eps + 1e-12


def test_every_place_is_drawn_and_the_last_row_and_column_are_reached() -> None:
    """The reference draws a place below height - side, so its windows never touch the end."""
    x = torch.full((4000, 1, 6, 6), 0.5)
    moved = squares.propose_linf(x, x, draws(4000, 3), side=2, eps=0.1) != x
    corners = moved.flatten(1).float().argmax(dim=1)
    places, counts = torch.unique(corners, return_counts=True)
    assert places.tolist() == [6 * r + c for r in range(5) for c in range(5)]
    # 25 equal chances of 1/25 in 4000 draws: 160 +- 12.4, here +- 5 deviations.
    assert 98 <= int(counts.min()) <= int(counts.max()) <= 222
    assert bool(moved[:, :, -1, -1].any())


def test_the_first_stripes_are_columns_at_the_ends_of_the_ball() -> None:
    x = torch.full((50, 3, 4, 6), 0.5, dtype=torch.float64)
    delta = squares.stripes(x, draws(50, 3, 1, 6), eps=0.25) - x
    assert torch.equal(delta.abs(), torch.full_like(delta, 0.25))
    assert torch.equal(delta, delta[:, :, :1].expand_as(delta))
    assert 0.4 < float((delta > 0).double().mean()) < 0.6


def test_the_first_bumps_fill_the_radius() -> None:
    x = torch.full((9, 3, 32, 32), 0.5, dtype=torch.float64)
    start = squares.bumps(x, draws(9, 4, 5, 5), eps=0.5)
    torch.testing.assert_close(
        distance(start, x, norm="l2"), torch.full((9,), 0.5, dtype=torch.float64)
    )
    tile = (start - x)[0, 0, 1:7, 1:7]
    shape = squares.bump(6) * float(tile.norm())
    assert any(torch.allclose(tile, sign * part) for sign in (1, -1) for part in (shape, shape.T))
