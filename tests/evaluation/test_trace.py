"""A traced search is the search itself."""

from __future__ import annotations

import pytest
import torch

from laws import assert_model_unchanged
from nets import CHANNELS, SIDE, smooth_net, stateful_net
from vicinal.attacks import PGD
from vicinal.evaluation.trace import Trace
from vicinal.gradients import clean_logits
from vicinal.maths.losses import LOSSES


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_its_last_iterate_is_that_of_the_attack(norm: str, loss: str) -> None:
    net, x = smooth_net(), torch.rand(9, CHANNELS, SIDE, SIDE, dtype=torch.float64)
    y = clean_logits(net, x).argmax(dim=1)
    attack = PGD(eps=0.2, step_size=0.05, steps=4, norm=norm, loss=loss, iterate="last")  # type: ignore[arg-type]
    trace = Trace(attack)
    found = trace(net, x, y, rng=torch.Generator().manual_seed(1))
    exact = attack(net, x, y, rng=torch.Generator().manual_seed(1))
    assert torch.equal(found.adv, exact.adv)
    assert torch.equal(found.success, exact.success)
    assert torch.equal(found.norms, exact.norms)
    assert found.passes == exact.passes
    assert found.trail.shape == (9, 5)
    assert torch.equal(found.trail[:, -1], ~found.success)
    assert (trace.eps, trace.norm) == (0.2, norm)
    assert found.heights is not None
    assert found.heights.shape == (9, 5)
    z = clean_logits(net, found.adv)
    assert torch.equal(found.heights[:, -1], LOSSES[loss](z, y))


def test_every_height_is_that_of_an_iterate_of_as_many_steps() -> None:
    net, x = smooth_net(), torch.rand(5, CHANNELS, SIDE, SIDE, dtype=torch.float64)
    y = clean_logits(net, x).argmax(dim=1)
    found = Trace(PGD(eps=0.2, step_size=0.05, steps=3, random_start=False))(net, x, y)
    assert found.heights is not None
    assert torch.equal(found.heights[:, 0], LOSSES["ce"](clean_logits(net, x), y))
    for steps in (1, 2, 3):
        attack = PGD(eps=0.2, step_size=0.05, steps=steps, random_start=False, iterate="last")
        z = clean_logits(net, attack(net, x, y).adv)
        assert torch.allclose(found.heights[:, steps], LOSSES["ce"](z, y), rtol=1e-12, atol=0)


def test_the_model_is_left_as_it_was() -> None:
    net, x = stateful_net(), torch.rand(4, CHANNELS, SIDE, SIDE)
    with assert_model_unchanged(net):
        Trace(PGD(eps=0.1, step_size=0.1, steps=2))(net, x, torch.arange(4))
