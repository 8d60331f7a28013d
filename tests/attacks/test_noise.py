"""Uniform noise: best of its draws, the floor under every attack."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from counting import Counted
from two_layers import batch, twins
from vicinal._checks import InputError
from vicinal._typing import Norm
from vicinal.attacks import PGD, UniformNoise
from vicinal.gradients import clean_logits
from vicinal.maths.balls import project, sample
from vicinal.maths.losses import margin

NORMS: tuple[Norm, ...] = ("linf", "l2")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("every", [None, 1, 4])
def test_it_is_the_worst_of_the_draws(norm: Norm, every: int | None) -> None:
    """Of those that fool, the first; of those that do not, the one of highest margin."""
    model, _ = twins()
    x, y = batch(model, 30)
    eps = {"linf": 0.2, "l2": 0.4}[norm]
    attack = UniformNoise(eps=eps, norm=norm, draws=12, compact_every=every)
    result = attack(model, x, y, rng=generator())
    rng = generator()
    tried = torch.stack([
        project(sample(x, eps=eps, norm=norm, rng=rng), x, eps=eps, norm=norm) for _ in range(12)
    ])
    heights = torch.stack([margin(clean_logits(model, at), y) for at in tried])
    for i in range(30):
        fooling = (heights[:, i] > 0).nonzero().flatten().tolist()
        best = fooling[0] if fooling else int(heights[:, i].argmax())
        torch.testing.assert_close(result.adv[i], tried[best, i], rtol=0, atol=1e-12)
        assert bool(result.success[i]) == bool(fooling)
    assert 2 < int(result.success.sum()) < 28


def test_more_draws_never_hurt_and_an_attack_by_gradients_does_more() -> None:
    model, _ = twins()
    x, y = batch(model, 60)
    few, many = (
        UniformNoise(eps=0.2, draws=n)(model, x, y, rng=generator()).success for n in (3, 40)
    )
    assert bool((many | ~few).all())
    pgd = PGD(eps=0.2, step_size=0.05, steps=10)(model, x, y, rng=generator()).success
    assert int(few.sum()) < int(many.sum()) < int(pgd.sum())


def test_passes_are_those_that_the_model_sees() -> None:
    net, _ = twins()
    model = Counted(net)
    x, y = batch(net, 20)
    result = UniformNoise(eps=0.3, draws=25, compact_every=2)(model, x, y, rng=generator())
    assert result.image_passes == (model.forward_images, 0) < (20 * 26, 0)
    assert result.passes == (26, 0)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eps": 8.0}, "did you mean 8/255"),
        ({"draws": 0}, "`draws` must be an integer >= 1"),
        ({"norm": "l1"}, "`norm` must be"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        UniformNoise(**{"eps": 0.1, **fields})
