"""IAT: adversaries of the unmixed batch, two mixtures, the mean of both halves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import laws
import nets
from oracles import two_risks as oracle
from replays import Replay, generator, replay
from vicinal._checks import InputError
from vicinal.inputs import PGD, MixUp
from vicinal.maths.randomness import uniform
from vicinal.objectives import ERM, IAT


def mixture(r: Replay, rng: torch.Generator) -> oracle.Mixed:
    mix = MixUp(alpha=0.8).draw(r.x, rng=rng)
    return oracle.Mixed(mix.partner.tolist(), float(mix.weight[0]))


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_algorithm1_is_half_of_either_mixture(soft: bool) -> None:
    r, rng = replay(soft=soft), generator()
    adv = PGD(eps=0.08, step_size=0.03, steps=3)(r.model, r.x, r.y, rng=rng).x
    mix1, mix2 = mixture(r, rng), mixture(r, rng)
    assert mix1 != mix2
    expected = oracle.iat(r.net, r.xs, r.qs, r.flat(adv), mix1=mix1, mix2=mix2)
    objective = IAT(alpha=0.8, eps=0.08, step_size=0.03, steps=3)
    loss = objective(r.model, r.x, r.y, rng=generator())
    assert loss.item() == pytest.approx(expected, rel=1e-11)


def test_the_form_of_the_mtlat_tables_is_fgsm_of_a_drawn_length() -> None:
    r, rng = replay(), generator()
    eps = float(0.3 * uniform((1,), r.x, rng))
    moved = np.array([
        oracle.one_step(r.net, x, q, eps, towards=False) for x, q in zip(r.xs, r.qs, strict=True)
    ])
    mix1, mix2 = mixture(r, rng), mixture(r, rng)
    expected = oracle.iat(r.net, r.xs, r.qs, moved, mix1=mix1, mix2=mix2)
    objective = IAT(alpha=0.8, eps=0.3, step_size=0.3, steps=1, random_start=False, random_eps=True)
    loss = objective(r.model, r.x, r.y, rng=generator())
    assert loss.item() == pytest.approx(expected, rel=1e-11)


def test_the_draw_scales_the_step_too_also_of_grey_images() -> None:
    """One channel: the length is given per channel."""
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 5))
    seen: list[torch.Tensor] = []
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    x = torch.full((4, 1, 4, 4), 0.5)
    objective = IAT(alpha=0.0, eps=0.2, step_size=0.1, steps=1, random_start=False, random_eps=True)
    objective(model, x, torch.arange(4), rng=generator())
    length = 0.1 * uniform((1,), x, generator())
    torch.testing.assert_close((seen[-1] - x).abs(), length.expand_as(x), rtol=1e-4, atol=1e-6)


def test_at_no_strength_it_is_erm() -> None:
    r = replay()
    none = IAT(alpha=0.0, eps=0.0)(r.model, r.x, r.y)
    torch.testing.assert_close(none, ERM()(r.model, r.x, r.y), rtol=1e-12, atol=0)


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        IAT()(nets.smooth_net(), torch.rand(1, 3, 4, 4).double(), torch.tensor([0]))
    laws.assert_one_line(caught.value, "IAT", "at least 2", "drop_last=True")


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"alpha": -0.1}, "0 <= alpha"),
        ({"eps": 8.0}, "did you mean 8/255?"),
        ({"steps": -1}, "`steps`"),
        ({"batchnorm": "off"}, "`batchnorm`"),
    ],
)
def test_hyper_parameters_have_bounds(fields: dict[str, Any], phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        IAT(**fields)
    laws.assert_one_line(caught.value, phrase)
