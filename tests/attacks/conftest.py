"""A net trained on the bundled digits, and the images it is attacked on."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from vicinal.data.digits import read_digits
from vicinal.models import digits_net


@pytest.fixture(scope="session")
def digits() -> tuple[Tensor, Tensor]:
    """The held-out digits: images in [0, 1] and classes."""
    test = read_digits().test
    return test.x.float() / 255, test.y


@pytest.fixture(scope="session")
def _trained() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        train = read_digits().train
        x, y = train.x.float() / 255, train.y
        model = digits_net(width=16)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
        for _ in range(6):
            for rows in torch.split(torch.randperm(len(y)), 64):
                loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
    return model.eval()


@pytest.fixture
def trained(_trained: nn.Module) -> nn.Module:
    """A fresh copy of the trained net, in eval mode."""
    return copy.deepcopy(_trained)
