"""The Gaussian vicinity: one draw of eq. 5, replayed, and its mean."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import nets
from vicinal.objectives import ERM, GaussianVicinity


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("clip", [True, False])
def test_eq5_is_the_loss_at_a_noisy_copy(clip: bool) -> None:
    x, y = torch.rand(6, 3, 4, 4, dtype=torch.float64), torch.arange(6) % 5
    noisy = x + 0.3 * torch.randn(x.shape, generator=generator(), dtype=torch.float64)
    model = nets.smooth_net()
    expected = functional.cross_entropy(model(noisy.clamp(0, 1) if clip else noisy), y)
    loss = GaussianVicinity(sigma=0.3, clip=clip)(model, x, y, rng=generator())
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)


def test_the_mean_over_draws_is_the_vicinal_risk() -> None:
    """For two linear logits the risk is E log(1 + exp(s)), s Gaussian: a known integral.

    By quadrature against 4,000 draws; a fixed seed, false alarms at most 1e-6.
    """
    sigma, n = 0.5, 4_000
    linear = nn.Linear(4, 2, bias=False, dtype=torch.float64)
    model = nn.Sequential(nn.Flatten(), linear)
    x = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    with torch.no_grad():
        w = linear.weight[1] - linear.weight[0]
        mean, std = float(w @ x.flatten()), sigma * float(w.norm())
        grid = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
        density = torch.exp(-(grid**2) / 2) / (2 * torch.pi) ** 0.5
        values = functional.softplus(mean + std * grid)
        expected = float(torch.trapezoid(values * density, grid))
        spread = float(torch.trapezoid((values - expected) ** 2 * density, grid)) ** 0.5
        y = torch.zeros(n).long()
        loss = GaussianVicinity(sigma=sigma, clip=False)(
            model, x.expand(n, 1, 2, 2), y, rng=generator()
        )
        assert float(loss) == pytest.approx(expected, abs=5 * spread / n**0.5)
        assert float(ERM()(model, x, y[:1])) < float(loss)
