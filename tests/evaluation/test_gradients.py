"""Input gradients against NumPy on linear models, and against pixels that lie in [-1, 1]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cheats
from counting import Counted
from laws import assert_model_unchanged
from linear_models import batch_of, flat, linear_model
from nets import CHANNELS, SIDE, smooth_net, stateful_net
from vicinal._checks import InputError
from vicinal.evaluation import input_gradients, instability
from vicinal.evaluation.gradients import BAT_SCALE, slopes
from vicinal.gradients import clean_logits
from vicinal.maths.losses import cross_entropy, margin


def _data(n: int = 20) -> tuple[nn.Module, Tensor, Tensor]:
    model, _, _ = linear_model(4)
    x, y = batch_of(model, n)
    y[::3] = (y[::3] + 1) % 4
    return model, x, y


def test_norms_are_those_of_the_gradients_written_out() -> None:
    """Cross-entropy: W'(p - e_y); margin: w_j - w_y with j the likeliest wrong class."""
    model, weight, bias = linear_model(4)
    _, x, y = _data()
    found = input_gradients(model, (x, y))
    for i, row in enumerate(flat(x)):
        z = weight @ row + bias
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        own = int(y[i])
        others = [k for k in range(4) if k != own]
        likeliest = max(others, key=lambda k: z[k])
        exact = {"ce": weight.T @ (p - np.eye(4)[own]), "margin": weight[likeliest] - weight[own]}
        for loss, gradient in exact.items():
            assert float(found[loss].squared[i]) == pytest.approx(float(gradient @ gradient))
    # One pixel counts for nothing in this model: that alone is no zero gradient.
    assert [each.zero_share for each in found.values()] == [0.0, 0.0]


def test_norms_are_told_on_the_scale_of_bats_table_2() -> None:
    """A model of pixels in [-1, 1], differentiated there, has the norms that are told."""
    net = smooth_net()
    x = torch.rand(9, CHANNELS, SIDE, SIDE, dtype=torch.float64)
    y = torch.arange(9) % 5
    u = (2 * x - 1).requires_grad_(True)
    (g,) = torch.autograd.grad(cross_entropy(net((u + 1) / 2), y).sum(), u)
    exact = g.flatten(1).square().sum(dim=1)
    found = input_gradients(net, (x, y))["ce"]
    right = clean_logits(net, x).argmax(dim=1) == y
    assert 0 < int(right.sum()) < 9
    for group, chosen in (("all", right | True), ("correct", right), ("wrong", ~right)):
        spread, values = found.spread(group), exact[chosen].sort().values
        assert spread.n == len(values)
        assert spread.min == pytest.approx(float(values[0]))
        assert spread.max == pytest.approx(float(values[-1]))
        assert spread.mean == pytest.approx(float(values.mean()))
        assert spread.median == pytest.approx(float(values[(len(values) - 1) // 2]))
    assert found.record["scale"] == BAT_SCALE == "pixels scaled to [-1, 1]"


def test_zero_gradients_are_counted_loss_by_loss() -> None:
    net, x = smooth_net(dtype=torch.float32), torch.rand(16, CHANNELS, SIDE, SIDE)
    y = clean_logits(net, x).argmax(dim=1)
    honest = input_gradients(net, (x, y))
    assert [each.zero_share for each in honest.values()] == [0.0, 0.0]
    sure = input_gradients(cheats.Stretched(cheats.Stretched(net)), (x, y))
    assert sure["ce"].zero_share == 1.0
    assert sure["margin"].zero_share == 0.0
    flat_ = input_gradients(cheats.Quantised(net), (x, y))
    assert [each.zero_share for each in flat_.values()] == [1.0, 1.0]


def test_gradients_that_are_no_numbers_are_counted_and_left_out() -> None:
    net, x = smooth_net(dtype=torch.float32), torch.rand(16, CHANNELS, SIDE, SIDE)
    x[:4, 0, 0, 0] = 0.0
    y = clean_logits(net, x).argmax(dim=1)
    found = input_gradients(cheats.Rooted(net), (x, y))["ce"]
    assert found.not_finite_share == 0.25
    assert found.spread().n == 12
    assert math.isfinite(found.spread().mean)
    assert math.isnan(found.spread("wrong").mean)


def test_tiny_gradients_have_a_square() -> None:
    """BAT's table 2 tells 3e-32; the square of a gradient of 1e-25 is no float32."""
    layer = nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1e-25] * 4, [0.0] * 4]))
    model = nn.Sequential(nn.Flatten(), layer)
    found = input_gradients(model, (torch.rand(1, 1, 2, 2), torch.tensor([0])))["margin"]
    assert float(found.squared) == pytest.approx(4e-50, rel=1e-5, abs=0.0)


def test_batches_distributions_and_passes() -> None:
    _, x, y = _data()
    model = Counted(_data()[0])
    parts = input_gradients(model, [(x[:7], y[:7]), (x[7:], y[7:])])
    assert (model.forward_images, model.backward_images) == (2 * len(x), 2 * len(x))
    whole = input_gradients(model.net, (x, y))
    assert torch.allclose(parts["ce"].squared, whole["ce"].squared)
    assert torch.equal(parts["ce"].correct, whole["ce"].correct)
    q = nn.functional.one_hot(y, 4).double()
    assert torch.allclose(input_gradients(model.net, (x, q))["ce"].squared, whole["ce"].squared)
    with torch.inference_mode():
        assert torch.allclose(input_gradients(model.net, (x, y))["ce"].squared, whole["ce"].squared)


def test_instability_is_the_change_under_its_own_noise() -> None:
    model, x, y = _data()
    found = instability(model, (x, y), eps=0.01, rng=torch.Generator().manual_seed(3))
    u = torch.rand(x.shape, generator=torch.Generator().manual_seed(3), dtype=x.dtype)
    noisy = (x + 0.01 * (2 * u - 1)).clamp(0, 1)
    for name, loss in (("ce", cross_entropy), ("margin", margin)):
        before, after = loss(clean_logits(model, x), y), loss(clean_logits(model, noisy), y)
        assert torch.allclose(found[name], (after - before).abs() / before.abs())
    assert float(instability(model, (x, y), eps=0.0)["margin"].max()) == 0.0


def test_a_shattered_loss_is_far_less_stable() -> None:
    net, x = smooth_net(dtype=torch.float32), torch.rand(30, CHANNELS, SIDE, SIDE)
    y = clean_logits(net, x).argmax(dim=1)
    calm, wild = (
        float(instability(model, (x, y), eps=0.01)["margin"].median())
        for model in (net, cheats.Shattered(net))
    )
    assert wild > 5 * calm


def test_the_model_is_left_as_it_was_and_bad_calls_are_refused() -> None:
    net, x = stateful_net(), torch.rand(4, CHANNELS, SIDE, SIDE)
    with assert_model_unchanged(net):
        input_gradients(net, (x, torch.arange(4)))
        instability(net, (x, torch.arange(4)), eps=0.1)
    with pytest.raises(InputError, match="`losses` must be"):
        input_gradients(net, (x, torch.arange(4)), losses=["hinge"])
    with pytest.raises(InputError, match="classes in 0"):
        input_gradients(net, (x, torch.arange(4) + 9))
    with pytest.raises(InputError, match="`which` must be"):
        input_gradients(net, (x, torch.arange(4)))["ce"].spread("some")
    with pytest.raises(InputError, match="differentiable operations"):
        input_gradients(cheats.Typed(net), (x, torch.arange(4)))


def test_the_slope_of_a_linear_model_is_what_its_gradient_says_in_whatever_batches() -> None:
    model, *_ = linear_model(3)
    x, y = batch_of(model, 12)
    found = slopes(model, (x, y), eps=0.1, rng=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, torch.ones(12, dtype=torch.float64), rtol=1e-6, atol=0)
    parts = [(x[:5], y[:5]), (x[5:], y[5:])]
    again = slopes(model, parts, eps=0.1, rng=torch.Generator().manual_seed(0))
    torch.testing.assert_close(again, found, rtol=1e-6, atol=0)


class _Times(torch.autograd.Function):
    """The images themselves, and a multiple of their gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return ctx.factor * gradients[0], None


class _Scaled(nn.Module):
    def __init__(self, net: nn.Module, factor: float) -> None:
        super().__init__()
        self.net, self.factor = net, factor

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(_Times.apply(x, self.factor))  # type: ignore[no-untyped-call]
        return z


@pytest.mark.parametrize("factor", [-1.0, 0.25, 4.0])
def test_a_gradient_that_promises_too_much_is_told_by_how_much(factor: float) -> None:
    model, *_ = linear_model(3)
    x, y = batch_of(model, 12)
    found = slopes(_Scaled(model, factor), (x, y), eps=0.1)
    torch.testing.assert_close(found, torch.full_like(found, 1 / factor), rtol=1e-6, atol=0)


def test_a_slope_that_rounding_hides_is_not_measured_and_the_model_is_left_alone() -> None:
    net, x = stateful_net(), torch.rand(4, CHANNELS, SIDE, SIDE)
    with assert_model_unchanged(net):
        assert slopes(net, (x, torch.arange(4)), eps=0.1).isfinite().any()
    last = nn.Linear(CHANNELS * SIDE**2, 4)
    nn.init.constant_(last.bias, 1e7)
    wide = nn.Sequential(nn.Flatten(), last)
    assert slopes(wide, (x, torch.arange(4)), eps=0.1).isnan().all()
