"""A draw belongs to images of one number and size; what does not depend on channels may move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch

import laws
import pictures
from vicinal import corruptions
from vicinal._checks import InputError
from vicinal.corruptions import CORRUPTIONS, Corruption
from vicinal.corruptions.draw import Draw, made_for, placed
from vicinal.corruptions.shifts import Turn

every_corruption = pytest.mark.parametrize(
    "corruption", list(CORRUPTIONS.values()), ids=list(CORRUPTIONS)
)
KEYS = torch.tensor([3, 2**40 + 5])


@every_corruption
@pytest.mark.parametrize("size", [(40, 40), (24, 24), (32, 33)])
def test_images_of_another_size_are_one_sentence(
    corruption: Corruption[Any, Any], size: tuple[int, int]
) -> None:
    draw = corruption.sample(KEYS, (3, 32, 32), severity=3, preset=32)
    for quantize in (True, False):
        with pytest.raises(InputError) as caught:
            corruption.apply(pictures.batch(2, size=size), draw, quantize=quantize)
        laws.assert_one_line(caught.value, "`draw`", f"{size[0]}, {size[1]})", "32, 32)")


@every_corruption
def test_other_channels_pass_where_the_draw_has_none(corruption: Corruption[Any, Any]) -> None:
    """A turned picture and its grey mask share a draw; noise of three channels is no grey one."""
    if corruption.channels == (3,):
        return
    x = pictures.batch(2, channels=1)
    draw = corruption.sample(KEYS, (3, 32, 32), severity=3)
    if draw.of_channels:
        with pytest.raises(InputError) as caught:
            corruption.apply(x, draw)
        laws.assert_one_line(caught.value, "`draw`", "(1, 32, 32)", "(3, 32, 32)")
    else:
        laws.assert_same_bits(
            corruption.apply(x, draw),
            corruption.apply(x, corruption.sample(KEYS, x.shape, severity=3)),
        )


def test_those_whose_draw_has_channels() -> None:
    of_channels = {
        name
        for name, corruption in CORRUPTIONS.items()
        if corruption.sample(KEYS, (3, 8, 8), severity=1).of_channels
    }
    assert of_channels == {
        *("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "color_shift")
    }


def test_a_draw_made_by_hand_fits_any_size() -> None:
    turn = Turn(angles=torch.tensor([90.0, 0.0]))
    for size in ((8, 8), (16, 16)):
        x = pictures.batch(2, size=size)
        laws.assert_same_bits(corruptions.rotation.apply(x, turn)[1:], x[1:])


def test_a_draw_of_a_class_of_ones_own_is_left_as_it_is() -> None:
    @dataclass(frozen=True)
    class Mine:
        rows: torch.Tensor

    mine = Mine(torch.zeros(2))
    assert made_for(mine, (3, 8, 8)) is mine
    assert placed(mine, pictures.batch(2), torch.float64).rows.dtype == torch.float64
    assert made_for(Draw(), (3, 8, 8)).shape == (3, 8, 8)
