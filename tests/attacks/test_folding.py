"""Folded BatchNorm: the same logits, fewer layers, and nothing changed."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor, nn

import laws
from norms import shake_norms
from vicinal.attacks.folding import Exact, folded, make_logits_exact
from vicinal.attacks.levers import Levers, Lowered
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


def test_a_copy_searched_in_bf16_has_logits_of_full_precision() -> None:
    model = preactresnet18(num_classes=10, width=4).eval()
    shake_norms(model)
    x = torch.rand(64, 3, 32, 32)
    rough = Levers(precision="bf16").lower(model, x.device)
    fine = Levers(precision="bf16", folded=True).lower(model, x.device)
    assert isinstance(rough, Lowered)
    assert isinstance(fine, Lowered)
    assert rough.coarse
    assert not fine.coarse
    with laws.assert_model_unchanged(model), torch.no_grad():
        z, coarse, exact = model(x), rough(x).float(), fine(x)
    assert exact.dtype == torch.float32
    assert torch.equal(coarse, coarse.bfloat16().float())
    assert int((exact == exact.bfloat16().float()).sum()) < exact.numel() // 20
    assert float((exact - z).abs().mean()) < float((coarse - z).abs().mean())


def test_what_is_no_copy_or_ends_otherwise_is_left_alone() -> None:
    linear = nn.Linear(4, 3)
    assert not make_logits_exact(linear)
    traced = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(4, 3), nn.ReLU()))
    assert not make_logits_exact(traced)
    assert not any(isinstance(part, Exact) for part in traced.modules())
