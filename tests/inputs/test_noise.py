"""Gaussian noise: its moments, its distribution, its clipping.

The statistical tests draw from fixed seeds; with another seed each would fail by chance with
probability 1e-6 at most.
"""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

import laws
from vicinal._checks import InputError
from vicinal.inputs import GaussianNoise

LEVEL = 1e-6


def noise(x: Tensor, *, sigma: float, clip: bool) -> Tensor:
    move = GaussianNoise(sigma=sigma, clip=clip)
    return move(
        nn.Identity(), x, torch.zeros(len(x)).long(), rng=torch.Generator().manual_seed(0)
    ).x


@pytest.mark.parametrize("sigma", [0.01, 0.25, 3.0])
def test_eq5_noise_is_spherical_gaussian(sigma: float) -> None:
    x = torch.rand(2_000, 1, 3, 3, dtype=torch.float64)
    z = ((noise(x, sigma=sigma, clip=False) - x) / sigma).flatten(1)
    assert stats.kstest(z.flatten().numpy(), "norm").pvalue > LEVEL
    n = z.numel()
    assert float(z.mean()) == pytest.approx(0.0, abs=5 / math.sqrt(n))
    assert float(z.square().mean()) == pytest.approx(1.0, abs=5 * math.sqrt(2 / n))
    covariance = z.T @ z / len(z)  # no pixel's noise tells of another's
    off = covariance - torch.diag(covariance.diagonal())
    assert float(off.abs().max()) < 5.5 / math.sqrt(len(z))


def test_clipping_brings_noise_into_the_pixel_range_and_changes_nothing_else() -> None:
    x = torch.rand(50, 1, 3, 3)
    free, clipped = (noise(x, sigma=0.4, clip=clip) for clip in (False, True))
    laws.assert_in_unit_range(clipped)
    laws.assert_same_bits(clipped, free.clamp(0.0, 1.0))
    assert not torch.equal(free, clipped)


@pytest.mark.parametrize("sigma", [-0.1, math.nan, math.inf])
def test_sigma_is_finite_and_not_negative(sigma: float) -> None:
    with pytest.raises(InputError) as caught:
        GaussianNoise(sigma=sigma)
    laws.assert_one_line(caught.value, "`sigma`", "0 <= sigma < inf")
