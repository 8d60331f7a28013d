"""Empirical risk, against loops and torch."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

import nets
from oracles import losses as oracle
from vicinal.objectives import ERM


def test_eq1_matches_loops_and_torch() -> None:
    x, y = torch.rand(6, 3, 4, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 4, 0])
    model = nets.smooth_net()
    loss = ERM()(model, x, y).detach()
    z = model(x).detach()
    expected = oracle.cross_entropy(z.numpy(), np.eye(5)[y]).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    torch.testing.assert_close(loss, functional.cross_entropy(z, y), rtol=1e-12, atol=0)


def test_eq3_a_distribution_weighs_the_losses_of_its_classes() -> None:
    x, model = torch.rand(1, 3, 4, 4, dtype=torch.float64), nets.smooth_net()
    q = torch.tensor([[0.5, 0.0, 0.2, 0.3, 0.0]], dtype=torch.float64)
    per_class = torch.stack([ERM()(model, x, torch.tensor([k])) for k in range(5)])
    torch.testing.assert_close(ERM()(model, x, q), (q[0] * per_class).sum(), rtol=1e-12, atol=0)
