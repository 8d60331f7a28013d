"""Folded BatchNorm: the same logits, fewer layers, and nothing changed."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor, nn

import laws
from norms import shake_norms
from vicinal.attacks.folding import folded
from vicinal.models import preactresnet18, vgg16


@pytest.mark.parametrize(("build", "left"), [(vgg16, 0), (preactresnet18, 9)])
def test_the_logits_are_the_same(build: object, left: int) -> None:
    model = build(num_classes=10, width=4).eval()  # type: ignore[operator]
    shake_norms(model)
    x = torch.rand(2, 3, 32, 32)
    with laws.assert_model_unchanged(model):
        fused = folded(model)
    expected = model(x).detach()
    scale = float(expected.abs().max())
    assert torch.allclose(fused(x), expected, atol=1e-4 * scale)
    assert sum(isinstance(part, nn.BatchNorm2d) for part in fused.modules()) == left


def test_a_convolution_that_is_read_twice_keeps_its_norm() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            h = self.conv(x)
            z: Tensor = (self.norm(h) + h).flatten(1)
            return z

    model = Twice().eval()
    shake_norms(model)
    x = torch.rand(2, 3, 4, 4)
    assert torch.allclose(folded(model)(x), model(x), atol=1e-6)


def test_a_forward_that_cannot_be_traced_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))

        def forward(self, x: Tensor) -> Tensor:
            z: Tensor = self.net(x) if x.sum() > 0 else x
            return z

    model = Branching()
    with caplog.at_level(logging.WARNING, logger="vicinal"):
        assert folded(model) is model
    assert "cannot be traced" in caplog.text


def _small() -> nn.Module:
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)
    model = nn.Sequential(*layers).eval()
    shake_norms(model)
    return model


@pytest.mark.parametrize("part", ["", "0", "1"])
@pytest.mark.parametrize("before", [True, False])
def test_a_hook_is_part_of_the_function(part: str, before: bool) -> None:
    """A trace passes over a root's hooks, as many nets have them to normalise."""
    model, x = _small(), torch.rand(2, 3, 4, 4)
    plain = model(x)
    at = model.get_submodule(part)
    if before:
        at.register_forward_pre_hook(lambda _, given: (3 * given[0] - 1,))
    else:
        at.register_forward_hook(lambda _, given, z: 3 * z - 1)
    assert not torch.allclose(model(x), plain, atol=1e-2)
    assert torch.allclose(folded(model)(x), model(x), atol=1e-5)


def test_a_forward_of_the_object_is_part_of_the_function() -> None:
    model, x = _small(), torch.rand(2, 3, 4, 4)
    own = model.forward
    model.forward = lambda x: own(5 * x)
    assert torch.allclose(folded(model)(x), model(x), atol=1e-5)


def test_a_model_that_draws_by_itself_goes_on_drawing() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = _small()

        def forward(self, x: Tensor) -> Tensor:
            z: Tensor = self.net(x + torch.randn(4, 4))
            return z

    search, x = folded(Noisy().eval()), torch.rand(2, 3, 4, 4)
    assert not torch.equal(search(x), search(x))
