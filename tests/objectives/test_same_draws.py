"""A stretch of draws that comes twice."""

from __future__ import annotations

from itertools import starmap

import pytest
import torch

from vicinal.maths.randomness import normal
from vicinal.maths.share import Share
from vicinal.objectives.same_draws import same_draws


def test_all_generators_go_back() -> None:
    x, rng = torch.rand(4, 1, 2, 2), torch.Generator().manual_seed(1)
    with same_draws(x, rng):
        first = torch.rand(3), normal((3,), x, rng)
    again = torch.rand(3), normal((3,), x, rng)
    assert all(starmap(torch.equal, zip(first, again, strict=True)))
    assert not torch.equal(torch.rand(3), first[0])


def test_of_several_processes_both_generators_go_back() -> None:
    x, rng = torch.rand(2, 1, 2, 2), Share(rank=1, world=2).manual_seed(1)
    assert isinstance(rng, Share)
    rng.counts = [3, 2]
    with same_draws(x, rng):
        first = normal((2,), x, rng), normal((1,), x, rng)  # all the own rows, and some of them
    again = normal((2,), x, rng), normal((1,), x, rng)
    assert all(starmap(torch.equal, zip(first, again, strict=True)))


def test_they_go_back_after_an_exception_too() -> None:
    x = torch.rand(2, 1, 2, 2)
    before = torch.get_rng_state()

    def failing() -> None:
        with same_draws(x, None):
            torch.rand(3)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        failing()
    assert torch.equal(torch.get_rng_state(), before)
