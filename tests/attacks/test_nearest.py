"""The nearest fooling iterate of every image, whoever is visited when."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vicinal.attacks.nearest import Nearest
from vicinal.maths.balls import distance


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), eps=st.sampled_from([math.inf, 0.35, 0.6]))
def test_it_is_the_smallest_of_a_loop_until_an_image_is_done(seed: int, eps: float) -> None:
    g = torch.Generator().manual_seed(seed)
    x, own = torch.rand(6, 1, 2, 2, generator=g), torch.randint(3, (6,), generator=g)
    nearest = Nearest(x, own, eps=eps, norm="linf")
    best: list[tuple[float, float] | None] = [None] * 6
    for _ in range(8):
        rows = torch.randperm(6, generator=g)[: int(torch.randint(1, 7, (1,), generator=g))]
        at, z = torch.rand(len(rows), 1, 2, 2, generator=g), torch.randn(len(rows), 3, generator=g)
        fooled = nearest.visit(at, z, rows)
        sizes = distance(at, x[rows])
        for j, i in enumerate(rows.tolist()):
            others = [float(z[j, k]) for k in range(3) if k != int(own[i])]
            height = max(others) - float(z[j, own[i]])
            assert bool(fooled[j]) == (height > 0)
            old, key = best[i], (float(sizes[j]) if height > 0 else math.inf, -height)
            done = old is not None and old[0] <= eps and old[0] < math.inf and eps < math.inf
            if not done and (
                old is None or key[0] < old[0] or (key[0] == old[0] == math.inf and key <= old)
            ):
                best[i] = key
    for i in range(6):
        found = best[i]
        assert float(nearest.norms[i]) == pytest.approx(math.inf if found is None else found[0])
    inside = nearest.within()
    assert float(distance(inside, x).max()) <= min(eps, 1.0) + 1e-6


def test_rounding_at_the_edge_of_the_ball_is_inside() -> None:
    x = torch.rand(2000, 1, 1, 1)
    at = torch.clamp(x + 1, x - 8 / 255, x + 8 / 255).clamp(0, 1)
    nearest = Nearest(x, torch.zeros(2000).long(), eps=8 / 255, norm="linf")
    nearest.visit(at, torch.tensor([[0.0, 1.0]]).expand(2000, 2), torch.arange(2000))
    assert bool(nearest.done.all())
    assert torch.equal(nearest.within(), at)
    beyond = Nearest(x, torch.zeros(2000).long(), eps=8 / 255 - 1e-5, norm="linf")
    beyond.visit(at, torch.tensor([[0.0, 1.0]]).expand(2000, 2), torch.arange(2000))
    assert not bool(beyond.done[x[:, 0, 0, 0] < 0.9].any())


def test_logits_that_are_no_numbers_fool_nobody() -> None:
    x = torch.rand(2, 1, 1, 1)
    nearest = Nearest(x, torch.tensor([1, 1]), eps=math.inf, norm="linf")
    z = torch.tensor([[torch.nan, 0.0], [5.0, 0.0]])
    assert nearest.visit(1 - x, z, torch.arange(2)).tolist() == [False, True]
    assert nearest.found.tolist() == [False, True]
