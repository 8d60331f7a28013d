"""Calibration finds the strengths that cost a net what they shall, and leaves the net alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import laws
from vicinal._checks import InputError
from vicinal.corruptions import ColorShift, Occlusion, Rotation, Translation, gaussian_noise
from vicinal.corruptions.shifts import Shift
from vicinal.evaluation import calibrate


class Thresholds(nn.Module):
    """Says class 0 as long as no value is larger than a half."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        worst = x.amax(dim=(1, 2, 3))
        return torch.stack((0.5 - worst, worst - 0.5), dim=1)


def dark_images(n: int) -> tuple[Tensor, Tensor]:
    """Image i is misled once a colour rises by more than 0.5 - i / 200."""
    x = (torch.arange(n) / (2 * n)).view(n, 1, 1, 1).expand(n, 3, 8, 8).contiguous()
    return x, torch.zeros(n, dtype=torch.int64)


def test_the_ends_cost_what_they_shall() -> None:
    x, y = dark_images(100)
    found = calibrate(Thresholds(), (x, y), ColorShift(), steps=10)
    assert found.clean == 1.0
    # An image whose level is i / 200 falls at 0.5 - i / 200: five fall at 0.025, thirty at 0.15.
    assert found.corruption.low == pytest.approx(0.025, abs=1e-3)
    assert found.corruption.high == pytest.approx(0.15, abs=1e-3)
    assert found.accuracy(found.corruption.low) == 0.95
    assert found.accuracy(found.corruption.high) == 0.70
    assert isinstance(found.corruption, ColorShift)


def test_batches_do_not_matter_and_no_strength_is_tried_twice() -> None:
    x, y = dark_images(60)
    model, whole = Thresholds(), calibrate(Thresholds(), (x, y), ColorShift())
    parts = calibrate(
        model, [(x[:17], y[:17]), (x[17:40], y[17:40]), (x[40:], y[40:])], ColorShift()
    )
    assert parts == whole
    assert model.seen == 3 * (1 + len(parts.tried))
    assert len(parts.tried) <= 2 * 6 + 8


@pytest.mark.parametrize("shift", [Rotation(), Translation(), Occlusion()])
def test_every_range_can_be_found(shift: Shift[Any]) -> None:
    torch.manual_seed(0)
    x = torch.rand(120, 3, 16, 16)
    layer = nn.Linear(768, 4, bias=False)
    # All grey is then as much of one class as of another.
    layer.weight.data -= layer.weight.data.mean(dim=1, keepdim=True)
    model = nn.Sequential(nn.Flatten(), layer).eval()
    found = calibrate(model, (x, model(x).argmax(dim=1)), shift, steps=4)
    assert found.clean == 1.0
    assert found.accuracy(found.corruption.low) <= 0.95
    assert found.accuracy(found.corruption.high) <= 0.70
    assert 0 < found.corruption.low <= found.corruption.high <= shift.limit


def test_the_model_is_left_as_it_was() -> None:
    model = Thresholds().train()
    before = copy.deepcopy(model.state_dict())
    calibrate(model, dark_images(20), ColorShift(), steps=2)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_what_cannot_be_is_said_in_a_sentence() -> None:
    data = dark_images(20)
    wrong: Any = gaussian_noise
    with pytest.raises(InputError) as caught:
        calibrate(Thresholds(), data, wrong)
    laws.assert_one_line(caught.value, "`corruption`", "Rotation()")
    for drops in ((0.3, 0.05), (0.05,), (0.0, 0.3)):
        with pytest.raises(InputError) as caught:
            calibrate(Thresholds(), data, ColorShift(), drops=drops)
        laws.assert_one_line(caught.value, "`drops`")
    layer = nn.Linear(192, 2)
    nn.init.zeros_(layer.weight)
    steady = nn.Sequential(nn.Flatten(), layer)
    with pytest.raises(InputError) as caught:
        calibrate(steady, data, ColorShift())
    laws.assert_one_line(caught.value, "color_shift", "largest strength")
