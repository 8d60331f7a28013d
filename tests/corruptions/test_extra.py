"""Saturation against the way through HSV."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pictures
from oracles import corruption_weather as oracle
from vicinal import corruptions


@pytest.mark.parametrize("preset", corruptions.PRESETS)
@pytest.mark.parametrize("severity", corruptions.SEVERITIES)
def test_saturate_equals_the_way_through_hsv(severity: int, preset: int) -> None:
    x = pictures.batch(2)
    got = corruptions.saturate(x, severity=severity, preset=preset)
    factor, term = corruptions.saturate.constant(severity, x.shape, preset)
    for image, row in zip(x, pictures.levels(got), strict=True):
        off = np.abs(row - oracle.saturate(pictures.array(image), factor, term).astype(int))
        assert off.max() <= 1
        assert (off > 0).mean() < 0.08


def test_saturate_keeps_the_value_and_turns_grey_red() -> None:
    x = pictures.batch(2)
    bad = corruptions.saturate(x, severity=1, preset=224, quantize=False)
    assert torch.allclose(bad.amax(dim=1), x.amax(dim=1), atol=1e-6)
    grey = torch.full((1, 3, 1, 1), 0.5)
    red = corruptions.saturate(grey, severity=5, preset=224, quantize=False).flatten()
    assert red.tolist() == pytest.approx([0.5, 0.4, 0.4])
    black = torch.zeros(1, 3, 1, 1)
    assert torch.equal(corruptions.saturate(black, severity=5, quantize=False), black)
