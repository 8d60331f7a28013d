"""Snow and brightness against their descriptions: the same draws, the same levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pictures
from oracles import corruption_weather as oracle
from vicinal import corruptions
from vicinal.corruptions.weather import SnowFall, luma


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("severity", "preset"), [(1, 32), (3, 32), (5, 64), (2, 224), (4, 224)])
def test_snow_equals_its_description_given_the_draws(
    severity: int, preset: int, channels: int
) -> None:
    x = pictures.batch(2, channels=channels)
    draw = corruptions.snow.sample(torch.tensor([1, 2]), x.shape, severity=severity, preset=preset)
    got = pictures.levels(corruptions.snow.apply(x, draw))
    for image, noise, angle, row in zip(x, draw.noise, draw.angles, got, strict=True):
        field = noise[0].double().numpy()
        wanted = oracle.snow(pictures.array(image), field, float(angle), draw.strength)
        off = np.abs(row - wanted.astype(int))
        assert off.max() <= 1
        assert (off > 0).mean() < 0.01


def test_snow_on_black_looks_the_same_upside_down_and_falls() -> None:
    keys = torch.arange(200)
    draw = corruptions.snow.sample(keys, (3, 32, 32), severity=3)
    assert float(draw.angles.min()) >= -135
    assert float(draw.angles.max()) < -45
    bad = corruptions.snow.apply(torch.zeros(200, 3, 32, 32), draw)
    assert torch.equal(bad, bad.flip((2, 3)))
    assert bool(bad.any())
    calm = SnowFall(noise=torch.zeros(1, 1, 32, 32), angles=torch.zeros(1), strength=draw.strength)
    pale = corruptions.snow.apply(torch.zeros(1, 3, 32, 32), calm, quantize=False)
    assert torch.allclose(pale, torch.full_like(pale, 0.5 * (1 - draw.strength[-1])))


@pytest.mark.parametrize(("severity", "preset"), [(1, 32), (5, 32), (3, 64), (4, 224)])
def test_brightness_equals_the_way_through_hsv(severity: int, preset: int) -> None:
    x = pictures.batch(2)
    got = corruptions.brightness(x, severity=severity, preset=preset)
    amount = corruptions.brightness.constant(severity, x.shape, preset)
    for image, row in zip(x, pictures.levels(got), strict=True):
        off = np.abs(row - oracle.brightness(pictures.array(image), amount).astype(int))
        assert off.max() <= 1
        assert (off > 0).mean() < 0.06


def test_brightness_raises_the_largest_channel_and_keeps_the_hue() -> None:
    x = pictures.batch(4)
    bad = corruptions.brightness(x, severity=2, preset=224, quantize=False)
    value = x.amax(dim=1)
    assert torch.allclose(bad.amax(dim=1), (value + 0.2).clamp(max=1), atol=1e-6)
    cross = bad[:, 0] * x[:, 1] - bad[:, 1] * x[:, 0]
    assert float(cross.abs().max()) < 1e-6
    black = torch.zeros(1, 3, 2, 2)
    assert torch.allclose(corruptions.brightness(black, severity=5, quantize=False), black + 0.3)


def test_luma_weighs_colours_and_leaves_grey() -> None:
    assert luma(torch.eye(3).view(3, 3, 1, 1)).flatten().tolist() == pytest.approx([
        0.299,
        0.587,
        0.114,
    ])
    grey = pictures.batch(1, channels=1)
    assert luma(grey) is grey
