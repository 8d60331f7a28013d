"""M-TLAT's four against SciPy and loops, and the ranges that their strengths are drawn from.

The statistical tests draw from fixed seeds; each would fail by chance with probability 1e-6.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import laws
import pictures
from oracles import corruption_digital as oracle
from vicinal import corruptions
from vicinal._checks import InputError
from vicinal.corruptions import ColorShift, Occlusion, Rotation, Translation
from vicinal.corruptions.shifts import Box, Offset, Shift, Tint, Turn

FOUR: list[Shift[Any]] = [Rotation(), Translation(), Occlusion(), ColorShift()]
KEYS = torch.arange(2000)


@pytest.mark.parametrize("size", [(32, 32), (20, 31)])
@pytest.mark.parametrize("degrees", [-40.0, -8.0, 13.5, 90.0])
def test_rotation_equals_scipy(degrees: float, size: tuple[int, int]) -> None:
    x = pictures.batch(2, size=size)
    draw = Turn(angles=torch.tensor([degrees, -degrees]))
    got = corruptions.rotation.apply(x, draw)
    for image, turned, angle in zip(x, got, (degrees, -degrees), strict=True):
        wanted = oracle.rotation(pictures.array(image), angle)
        assert np.allclose(pictures.array(turned), wanted, atol=2e-5)


def test_a_quarter_turn_is_exact_and_corners_go_black() -> None:
    x = pictures.batch(1)
    turned = corruptions.rotation.apply(x, Turn(angles=torch.tensor([90.0])))
    assert torch.allclose(turned, x.rot90(dims=(2, 3)), atol=1e-4)
    half = corruptions.rotation.apply(torch.ones_like(x), Turn(angles=torch.tensor([40.0])))
    assert not half[..., [0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert float(half[..., 16, 16].min()) == pytest.approx(1.0)


@pytest.mark.parametrize(("down", "right"), [(0, 5), (-3, 0), (4, -7), (40, 1)])
def test_translation_moves_and_leaves_black(down: int, right: int) -> None:
    x = pictures.batch(2, size=(20, 31)) * 0.9 + 0.1
    got = corruptions.translation.apply(x, Offset(pixels=torch.tensor([[down, right]] * 2)))
    for image, moved in zip(x, got, strict=True):
        assert np.array_equal(
            pictures.array(moved), oracle.translation(pictures.array(image), down, right)
        )
    kept = max(0, 20 - abs(down)) * max(0, 31 - abs(right))
    assert int((got == 0).sum()) == 2 * 3 * (20 * 31 - kept)


def test_occlusion_hides_a_square_and_nothing_else() -> None:
    x = torch.zeros(2, 3, 20, 31)
    draw = Box(side=torch.tensor([5, 20]), corner=torch.tensor([[3, 26], [0, 11]]))
    got = corruptions.occlusion.apply(x, draw)
    assert (got == 0.5).sum(dim=(2, 3)).tolist() == [[25] * 3, [400] * 3]
    assert bool((got[0, :, 3:8, 26:31] == 0.5).all())


def test_a_colour_shift_adds_to_one_channel_up_to_white() -> None:
    x = pictures.batch(2)
    draw = Tint(channel=torch.tensor([2, 0]), amount=torch.tensor([0.3, 0.08]))
    got = corruptions.color_shift.apply(x, draw)
    for image, bad, channel, amount in zip(x, got, (2, 0), (0.3, 0.08), strict=True):
        wanted = image.clone()
        wanted[channel] += torch.minimum(torch.tensor(amount), 1 - wanted[channel])
        assert torch.allclose(bad, wanted, atol=1e-7)


def test_nothing_is_truncated_unless_asked_for() -> None:
    x = pictures.batch(1)
    for shift in FOUR:
        plain = shift(x, severity=3, keys=KEYS[:1])
        assert torch.equal(plain, shift(x, severity=3, keys=KEYS[:1], quantize=False))
        coarse = shift(x, severity=3, keys=KEYS[:1], quantize=True)
        pictures.levels(coarse)
    assert not torch.equal(plain, coarse)


def strengths(shift: Shift[Any], draw: object, side: int) -> torch.Tensor:
    """Read the strengths off a draw, in the paper's unit."""
    if isinstance(draw, Turn):
        return draw.angles.abs()
    if isinstance(draw, Tint):
        return draw.amount
    if isinstance(draw, Box):
        return draw.side * 224 / side
    assert isinstance(draw, Offset)
    return draw.pixels.double().square().sum(dim=1).sqrt() * 224 / side


@pytest.mark.parametrize("side", [32, 224])
@pytest.mark.parametrize("shift", FOUR, ids=lambda shift: str(shift.name))
def test_strengths_fill_the_range_evenly_or_are_one_of_five(shift: Shift[Any], side: int) -> None:
    shape = (3, side, side + 3)
    pixel = 1.5 * 224 / side if isinstance(shift, (Translation, Occlusion)) else 1e-6
    drawn = strengths(shift, shift.sample(KEYS, shape), side).double()
    assert shift.low - pixel <= float(drawn.min()) < shift.low + 0.05 * shift.high + pixel
    assert shift.high - 0.05 * shift.high - pixel < float(drawn.max()) <= shift.high + pixel
    middle, spread = (shift.low + shift.high) / 2, (shift.high - shift.low) / 12**0.5
    assert abs(float(drawn.mean()) - middle) < 4.9 * spread / len(KEYS) ** 0.5 + 0.02 * pixel
    for severity in corruptions.SEVERITIES:
        wanted = shift.low + (severity - 1) / 4 * (shift.high - shift.low)
        fixed = strengths(shift, shift.sample(KEYS[:20], shape, severity=severity), side)
        assert float((fixed - wanted).abs().max()) <= pixel


def test_signs_directions_places_and_channels_are_alike() -> None:
    turns = corruptions.rotation.sample(KEYS, (3, 32, 32)).angles
    assert abs(int((turns > 0).sum()) - 1000) < 4.9 * 500**0.5
    pixels = corruptions.translation.sample(KEYS, (3, 224, 224)).pixels.sign()
    quarters = torch.bincount((pixels[:, 0] > 0) * 2 + (pixels[:, 1] > 0), minlength=4)
    assert float(((quarters - 500) ** 2 / 500).sum()) < 31
    channels = torch.bincount(corruptions.color_shift.sample(KEYS, (3, 8, 8)).channel, minlength=3)
    assert float(((channels - 2000 / 3) ** 2 / (2000 / 3)).sum()) < 28
    box = corruptions.occlusion.sample(KEYS, (3, 32, 32), severity=5)
    assert int(box.side[0]) == 18
    rows = torch.bincount(box.corner[:, 0], minlength=15)
    assert len(rows) == 15
    assert float(((rows - 2000 / 15) ** 2 / (2000 / 15)).sum()) < 55


@pytest.mark.parametrize("shift", FOUR, ids=lambda shift: str(shift.name))
def test_range_mode_is_a_field_too_and_a_batch_is_its_images(shift: Shift[Any]) -> None:
    x = pictures.batch(4)
    ranged = dataclasses.replace(shift, ranged=True)
    whole = shift(x, keys=KEYS[:4])
    laws.assert_same_bits(whole, ranged(x, severity=5, keys=KEYS[:4]))
    for place in range(4):
        one = shift(x[place : place + 1], keys=KEYS[place : place + 1])
        laws.assert_same_bits(one[0], whole[place])
    assert not torch.equal(whole, shift(x, severity=1, keys=KEYS[:4]))


def test_a_range_is_checked() -> None:
    for low, high, name in ((5.0, 300.0, "`high`"), (9.0, 8.0, "`low`"), (-1.0, 8.0, "`low`")):
        with pytest.raises(InputError) as caught:
            Rotation(low=low, high=high)
        laws.assert_one_line(caught.value, name)
    with pytest.raises(InputError) as caught:
        corruptions.rotation(pictures.batch(1), severity=0)
    laws.assert_one_line(caught.value, "`severity`")
