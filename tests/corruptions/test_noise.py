"""Noise against its description: the same draws, the same levels; Poisson counts in distribution.

The statistical tests draw from fixed seeds; with another seed each would fail by chance with
probability 1e-6 at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import pictures
from oracles import corruption_noise as oracle
from vicinal import corruptions
from vicinal.corruptions import noise

ORACLES: dict[str, Callable[..., Any]] = {
    "gaussian_noise": oracle.gaussian,
    "speckle_noise": oracle.speckle,
    "impulse_noise": oracle.impulse,
    "shot_noise": oracle.shot,
}


@pytest.mark.parametrize("preset", corruptions.PRESETS)
@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("name", sorted(ORACLES))
def test_equals_its_description_given_the_draws(name: str, severity: int, preset: int) -> None:
    corruption = corruptions.CORRUPTIONS[name]
    x = pictures.batch(3, size=(31, 33))
    draw = corruption.sample(torch.tensor([1, 2, 3]), x.shape, severity=severity, preset=preset)
    got = pictures.levels(corruption.apply(x, draw))
    for image, field, row in zip(x, draw.noise, got, strict=True):
        wanted = ORACLES[name](pictures.array(image), pictures.array(field), draw.strength)
        off = np.abs(row - wanted.astype(int))
        # A count whose probability ends within 6e-8 of u may go to either side.
        assert (off > 1).mean() <= (1e-3 if name == "shot_noise" else 0)
        assert (off > 0).mean() < 1e-3


def test_shot_noise_keeps_black_and_counts_photons() -> None:
    x = pictures.batch(2, size=(40, 40))
    x[:, :, :10] = 0.0
    bad = corruptions.shot_noise(
        x, severity=5, preset=224, keys=torch.tensor([4, 5]), quantize=False
    )
    assert not bad[:, :, :10].any()
    assert torch.allclose(3 * bad, (3 * bad).round(), atol=1e-5)


@pytest.mark.parametrize("rate", [3.0, 60.0, 500.0])
@pytest.mark.parametrize("level", [2, 128, 255])
@pytest.mark.parametrize("between", [0.0, 0.5])
def test_counts_follow_the_poisson_law(rate: float, level: int, between: float) -> None:
    n = 40_000
    value = min(1.0, (level + between) / 255)
    u = torch.rand(n, generator=torch.Generator().manual_seed(level))
    counts = noise.poisson(torch.full((n,), value), u, rate=rate)
    mean = rate * value
    grid = np.unique(stats.poisson.ppf(np.linspace(0.02, 0.98, 17), mean))
    edges = np.concatenate([[-1], grid, [np.inf]])
    wanted = np.diff(stats.poisson.cdf(edges, mean)) * n
    found = np.histogram(counts.numpy(), bins=np.append(edges[:-1] + 0.5, np.inf))[0]
    kept = wanted > 0
    assert not found[~kept].any()
    if kept.sum() > 1:
        assert stats.chisquare(found[kept], wanted[kept]).pvalue > 1e-6


def test_a_count_is_the_quantile_of_its_number_and_ends_exist() -> None:
    u = torch.tensor([0.0, 0.5, 1.0 - 2**-24]).repeat(256)
    x = (torch.arange(256) / 255.0).repeat_interleave(3)
    for rate in (3.0, 12.0, 500.0):
        counts = noise.poisson(x, u, rate=rate)
        inner = np.clip(u.double().numpy(), 2**-25, 1 - 2**-25)
        wanted = stats.poisson.ppf(inner, rate * x.double().numpy())
        middle = u.numpy() == 0.5
        assert (counts.numpy()[middle] == wanted[middle]).mean() > 0.99
        assert np.abs(counts.numpy() - wanted)[~middle].max() <= 0.02 * rate + 3
        assert bool((counts[::3][x[::3] == 0] == 0).all())


def test_impulse_noise_hits_values_not_pixels_and_salts_half_of_them() -> None:
    x = torch.full((4, 3, 128, 128), 0.5)
    bad = corruptions.impulse_noise(x, severity=3, preset=224, keys=torch.arange(4))
    salt, pepper = bad == 1, bad == 0
    n = x.numel()
    hit = float((salt | pepper).double().mean())
    assert hit == pytest.approx(0.09, abs=5 * math.sqrt(0.09 / n))
    assert float(salt.sum() / (salt | pepper).sum()) == pytest.approx(0.5, abs=0.01)
    whole = float((salt | pepper).all(dim=1).double().mean())
    assert whole == pytest.approx(0.09**3, abs=5 * math.sqrt(0.09**3 / (n / 3)))


@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise"])
def test_noise_is_white_and_channels_are_independent(name: str) -> None:
    x = torch.full((8, 3, 64, 64), 0.5)
    bad = corruptions.CORRUPTIONS[name](x, severity=1, keys=torch.arange(8), quantize=False)
    z = (bad - x).double()
    z /= z.std()
    n = z.numel()
    assert abs(float(z.mean())) < 5 / math.sqrt(n)
    neighbours: tuple[Tensor, ...] = (
        z[..., 1:] * z[..., :-1],
        z[..., 1:, :] * z[..., :-1, :],
        z[:, 1:] * z[:, :-1],
        z[1:] * z[:-1],
    )
    for product in neighbours:
        assert abs(float(product.mean())) < 5 / math.sqrt(product.numel())


def test_speckle_noise_is_proportional_to_the_value() -> None:
    x = torch.tensor([0.0, 0.2, 0.4]).view(3, 1, 1, 1).expand(3, 1, 64, 64)
    keys = torch.tensor([9, 9, 9])
    bad = corruptions.speckle_noise(x, severity=1, keys=keys, quantize=False)
    assert torch.allclose(2 * bad[1], bad[2], atol=1e-6)
    assert not bad[0].any()
