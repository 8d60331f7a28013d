"""Fog and its fractal against a point-by-point torus: the same draws, the same levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pictures
from oracles import corruption_weather as oracle
from vicinal import corruptions
from vicinal.corruptions.plasma import Haze, plasma


@pytest.mark.parametrize("decay", [1.4, 3.0])
@pytest.mark.parametrize("side", [2, 8, 32])
def test_plasma_equals_the_loops(side: int, decay: float) -> None:
    noise = torch.rand(3, side * side - 1, generator=torch.Generator().manual_seed(side)) * 2 - 1
    got = plasma(noise, side=side, decay=decay)
    for field, draws in zip(got, noise, strict=True):
        wanted = oracle.plasma(draws.tolist(), side, decay)
        assert np.allclose(field.numpy(), wanted, atol=2e-6)
        assert float(field.min()) == 0.0
        assert float(field.max()) == 1.0


@pytest.mark.parametrize("size", [(32, 32), (21, 34)])
@pytest.mark.parametrize(("severity", "preset"), [(1, 32), (5, 32), (3, 64), (4, 224)])
def test_fog_equals_its_description_given_the_draws(
    severity: int, preset: int, size: tuple[int, int]
) -> None:
    x = pictures.batch(2, size=size) * 0.9
    draw = corruptions.fog.sample(torch.tensor([1, 2]), x.shape, severity=severity, preset=preset)
    assert draw.side == (32 if size == (32, 32) else 64)
    got = pictures.levels(corruptions.fog.apply(x, draw))
    for image, noise, row in zip(x, draw.noise, got, strict=True):
        wanted = oracle.fog(pictures.array(image), noise.tolist(), draw.side, *draw.strength)
        off = np.abs(row - wanted.astype(int))
        assert off.max() <= 1
        assert (off > 0).mean() < 0.01


def test_fog_is_one_plane_and_keeps_the_largest_value() -> None:
    x = pictures.batch(4) * 0.7
    bad = corruptions.fog(x, severity=5, keys=torch.arange(4), quantize=False)
    assert bool((bad.amax(dim=(1, 2, 3)) <= x.amax(dim=(1, 2, 3)) + 1e-6).all())
    black = torch.full((1, 3, 32, 32), 0.5)
    thick = corruptions.fog(black, severity=5, keys=torch.arange(1), quantize=False)
    assert torch.equal(thick[:, 0], thick[:, 1])
    assert torch.equal(thick[:, 0], thick[:, 2])


def test_a_map_without_noise_is_no_fog() -> None:
    x = torch.full((1, 1, 4, 4), 0.5)
    flat = Haze(noise=torch.zeros(1, 15), side=4, strength=(1.0, 2.0))
    assert torch.allclose(corruptions.fog.apply(x, flat, quantize=False), x / 3)


@pytest.mark.parametrize(("side", "wanted"), [(32, 32), (33, 64), (224, 256), (299, 512)])
def test_the_map_is_the_smallest_power_of_two_that_holds_the_picture(
    side: int, wanted: int
) -> None:
    draw = corruptions.fog.sample(torch.tensor([1]), (1, side, side), severity=1)
    assert draw.side == wanted
    assert draw.noise.shape == (1, wanted**2 - 1)
