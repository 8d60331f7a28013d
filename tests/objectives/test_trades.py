"""TRADES: the two risks of eq. 5 against loops, the search, and what the gradient flows through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import laws
import nets
from oracles import two_risks as oracle
from replays import generator, replay
from vicinal._checks import InputError
from vicinal.maths.randomness import normal
from vicinal.objectives import ERM, TRADES


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_eq5_is_both_risks_at_the_climbed_image(steps: int, soft: bool) -> None:
    r = replay(soft=soft)
    noise = normal(r.x.shape, r.x, generator())
    objective = TRADES(beta=2.5, eps=0.08, step_size=0.03, steps=steps, start=0.01)
    starts = r.flat(r.x + 0.01 * noise)
    moved = np.array([
        oracle.kl_ascent(r.net, x, start, eps=0.08, step=0.03, steps=steps)
        for x, start in zip(r.xs, starts, strict=True)
    ])
    expected = oracle.trades(r.net, r.xs, r.qs, moved, beta=2.5)
    loss = objective(r.model, r.x, r.y, rng=generator())
    assert loss.item() == pytest.approx(expected, rel=1e-11)
    assert steps == 0 or expected > oracle.risk(r.net, r.xs, r.qs) + 0.01


def test_the_gradient_flows_through_both_sides_of_the_divergence() -> None:
    """By finite differences in one weight, x' held fixed: eps = 0.05 is reached in one step."""
    r = replay()
    objective = TRADES(beta=4.0, eps=0.05, step_size=0.05, steps=1)
    loss = objective(r.model, r.x, r.y, rng=generator())
    weight = next(r.model.parameters())
    (slope,) = torch.autograd.grad(loss, weight)
    noise = normal(r.x.shape, r.x, generator())
    starts = r.flat(r.x + 0.001 * noise)
    moved = np.array([
        oracle.kl_ascent(r.net, x, s, eps=0.05, step=0.05, steps=1)
        for x, s in zip(r.xs, starts, strict=True)
    ])
    for at in ((0, 0), (3, 7), (11, 20)):
        values = []
        for shift in (1e-5, -1e-5):
            r.net.w[at] += shift
            values.append(oracle.trades(r.net, r.xs, r.qs, moved, beta=4.0))
            r.net.w[at] -= shift
        assert slope[at].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)


def test_at_beta_0_no_search_is_felt_and_at_eps_0_there_is_none() -> None:
    r = replay()
    erm = ERM()(r.model, r.x, r.y)
    none = TRADES(beta=0.0, steps=2)(r.model, r.x, r.y, rng=generator())
    still = TRADES(eps=0.0, steps=2)(r.model, r.x, r.y, rng=generator())
    laws.assert_same_bits(none, erm)
    torch.testing.assert_close(still, erm, rtol=1e-12, atol=1e-12)


def test_a_step_for_each_channel_is_not_one_for_each_column() -> None:
    """Images as wide as they have channels: by broadcasting, (C,) would go along the columns."""
    r = replay()
    x = 0.3 + 0.4 * r.x[:, :, : nets.CHANNELS, : nets.CHANNELS]
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(x[0].numel(), 5)).to(x)
    seen: list[Tensor] = []
    model.register_forward_hook(lambda net, args, z: seen.append(args[0].detach()))
    step = torch.tensor([0.01, 0.02, 0.04])
    TRADES(eps=step, step_size=step / 2, steps=1, start=1e-4)(model, x, r.y)
    moved = (seen[-1] - x).abs()
    for channel, size in enumerate((step / 2).tolist()):
        torch.testing.assert_close(
            moved[:, channel], torch.full_like(moved[:, channel], size), rtol=0, atol=1e-3
        )


def test_a_probability_that_underflows_breaks_nothing() -> None:
    """KLDiv with a probability as target gives NaN gradients here (TRADES, issue 30)."""
    model = nets.Scaled(nets.smooth_net().float(), 2e3)
    x, y = torch.rand(6, nets.CHANNELS, nets.SIDE, nets.SIDE), torch.arange(6) % 5
    assert (model(x).softmax(dim=1) == 0).any()
    loss = TRADES(steps=2)(model, x, y)
    slopes = torch.autograd.grad(loss, list(model.parameters()))
    assert all(torch.isfinite(slope).all() for slope in (loss, *slopes))


@pytest.mark.parametrize("batchnorm", ["eval", "train_frozen_stats", "train"])
def test_the_search_sees_one_mode_in_all_its_passes(batchnorm: Any) -> None:
    """Prediction at x and at x' come from the same net: with start 0 the divergence is flat."""
    model = nets.stateful_net().train()
    model[5] = torch.nn.Identity()  # dropout would tell two passes apart
    seen: list[Tensor] = []
    model.register_forward_hook(lambda net, args, z: seen.append(z.detach()))
    x, y = torch.rand(6, 3, nets.SIDE, nets.SIDE), torch.arange(6) % 5
    TRADES(steps=1, start=0.0, batchnorm=batchnorm)(model, x, y)
    torch.testing.assert_close(seen[0], seen[1])
    assert torch.allclose(seen[0], seen[2]) == (batchnorm != "eval")


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"beta": -1.0}, "0 <= beta"),
        ({"eps": 8.0}, "did you mean 8/255?"),
        ({"step_size": -0.1}, "0 <= step_size"),
        ({"steps": -1}, "`steps`"),
        ({"start": -0.1}, "0 <= start"),
        ({"batchnorm": "off"}, "`batchnorm`"),
    ],
)
def test_hyper_parameters_have_bounds(fields: dict[str, Any], phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        TRADES(**fields)
    laws.assert_one_line(caught.value, phrase)
