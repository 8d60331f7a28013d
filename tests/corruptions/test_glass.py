"""The copies of glass blur: all at once is the sequential loop, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from oracles import corruption_blur as oracle
from vicinal.corruptions.glass import glass_sources


def draw(n: int, rounds: int, reach: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    shape = (n, rounds, *(max(0, side - 2 * reach) for side in size))
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 4 * reach**2, shape, generator=rng).to(torch.uint8)


def by_loop(places: Tensor, reach: int, size: tuple[int, int]) -> np.ndarray[tuple[int], np.dtype]:
    """Run the script's loop, all rounds, on the indices of one picture's pixels."""
    pixels = np.arange(size[0] * size[1]).reshape(size)
    for codes in places.numpy().astype(int):
        down, right = np.zeros((2, *size), dtype=int)
        inside = np.s_[reach + 1 : size[0] - reach + 1, reach + 1 : size[1] - reach + 1]
        down[inside] = codes // (2 * reach) - reach
        right[inside] = codes % (2 * reach) - reach
        oracle.glass_loop(pixels, down, right, reach)
    return pixels.reshape(-1)


@pytest.mark.parametrize("size", [(16, 16), (24, 24), (19, 26), (9, 40)])
@pytest.mark.parametrize("reach", [1, 2, 3, 4])
@pytest.mark.parametrize("rounds", [1, 3])
def test_pointers_equal_the_loop(rounds: int, reach: int, size: tuple[int, int]) -> None:
    places = draw(3, rounds, reach, size, seed=reach)
    got = glass_sources(places, reach=reach, height=size[0], width=size[1])
    for row, own in zip(got, places, strict=True):
        assert (row.numpy() == by_loop(own, reach, size)).all()


def test_the_longest_chain_is_followed_to_its_end() -> None:
    """All copy to the right: a row ends up as its last pixel."""
    reach, side = 2, 20
    code = (0 + reach) * 2 * reach + (1 + reach)
    places = torch.full((1, 1, side - 4, side - 4), code, dtype=torch.uint8)
    got = glass_sources(places, reach=reach, height=side, width=side)[0]
    assert (got.numpy() == by_loop(places[0], reach, (side, side))).all()
    assert int(got.view(side, side)[10, 5]) == 10 * side + side - 1


def test_a_copy_is_no_swap() -> None:
    """One pixel takes another's colour, which stays where it was, so one colour is lost."""
    places = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
    got = glass_sources(places, reach=1, height=3, width=3)[0].view(3, 3)
    assert int(got[2, 2]) == 4
    assert int(got[1, 1]) == 4
    assert len(set(got.flatten().tolist())) == 8


@pytest.mark.parametrize("size", [(1, 1), (4, 8), (8, 3)])
def test_a_picture_too_small_for_the_offsets_keeps_its_pixels(size: tuple[int, int]) -> None:
    places = draw(2, 2, 4, size)
    got = glass_sources(places, reach=4, height=size[0], width=size[1])
    assert (got == torch.arange(size[0] * size[1])).all()
