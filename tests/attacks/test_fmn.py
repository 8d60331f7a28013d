"""FMN: the oracle's iterates, median distances, and what the libraries before it get wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from laws import assert_same_bits
from linear_models import flat
from oracles.fmn import search
from two_layers import batch, twins
from vicinal._checks import InputError, NotFinite
from vicinal._typing import Norm
from vicinal.attacks import FAB, FMN
from vicinal.gradients import clean_logits

NORMS: tuple[Norm, ...] = ("linf", "l2")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("steps", [1, 7, 40])
def test_algorithm1_matches_a_loop_over_images(norm: Norm, steps: int) -> None:
    model, net = twins()
    x, y = batch(model, 15, wrong=2)
    result = FMN(norm=norm, steps=steps)(model, x, y)
    for i, own in enumerate(y.tolist()):
        exact = search(net, flat(x)[i], own, steps=steps, norm=norm)
        assert (exact is not None) == bool(result.success[i])
        if exact is not None:
            np.testing.assert_allclose(flat(result.adv)[i], exact, atol=1e-9)
    assert bool((result.norms[-2:] == 0).all())


@pytest.mark.parametrize("norm", NORMS)
def test_distances_agree_with_another_attack_and_are_the_models_own(norm: Norm) -> None:
    model, _ = twins()
    x, y = batch(model, 40)
    ours = FMN(norm=norm, steps=100)(model, x, y)
    other = FAB(eps=math.inf, norm=norm, steps=40, bisections=5)(model, x, y)
    assert bool(ours.success.all())
    assert torch.equal(clean_logits(model, ours.adv).argmax(dim=1) != y, ours.success)
    assert float(ours.norms.median()) == pytest.approx(float(other.norms.median()), rel=0.04)


def test_the_iterate_after_the_last_step_is_judged() -> None:
    """One step fools many images; a loop that only looks before it steps would find none."""
    model, _ = twins()
    x, y = batch(model, 40)
    assert int(FMN(steps=1)(model, x, y).success.sum()) > 5


@pytest.mark.parametrize("norm", NORMS)
def test_with_a_radius_an_image_fooled_within_it_leaves(norm: Norm) -> None:
    model, _ = twins()
    x, y = batch(model, 40, wrong=3)
    eps = {"linf": 0.05, "l2": 0.12}[norm]
    whole, fewer = (
        FMN(eps=eps, norm=norm, steps=40, compact_every=n)(model, x, y) for n in (None, 4)
    )
    assert 3 < int(whole.success.sum()) < 40
    torch.testing.assert_close(fewer.adv, whole.adv, rtol=0, atol=1e-12)
    assert fewer.image_passes < whole.image_passes == (40 * 42, 40 * 40)
    assert float(whole.norms.max()) <= eps + 1e-12
    free = FMN(norm=norm, steps=40)(model, x, y)
    assert int((whole.success != (free.norms <= eps)).sum()) <= 1


def test_a_failed_image_says_so_and_is_not_the_clean_one() -> None:
    """adv-lib returns the clean image, Foolbox's CW one of zeros."""
    model, _ = twins()
    layer = next(part for part in model.modules() if isinstance(part, nn.Linear))
    outer: Any = model[3]  # type: ignore[index]
    with torch.no_grad():
        outer.bias[0] += 60.0  # class 0 everywhere
    assert layer is not outer
    x, _ = batch(model, 10)
    result = FMN(steps=20)(model, x, torch.zeros(10).long())
    assert not bool(result.success.any())
    assert bool((result.norms > 0).all())
    before, after = (clean_logits(model, part) for part in (x, result.adv))
    margins = [z[:, 1:].amax(dim=1) - z[:, 0] for z in (before, after)]
    assert bool((margins[1] > margins[0]).all())


def test_the_layout_of_the_images_in_memory_changes_nothing() -> None:
    """adv-lib 0.2.8 projects a copy of channels-last images, that is not at all."""
    model, _ = twins()
    x, y = batch(model, 20)
    for norm in NORMS:
        plain = FMN(norm=norm, steps=30)(model, x, y)
        last = FMN(norm=norm, steps=30)(model, x.contiguous(memory_format=torch.channels_last), y)
        torch.testing.assert_close(last.norms, plain.norms, rtol=0, atol=1e-9)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [2, 3])
def test_pixels_at_the_ends_of_the_range_move(norm: Norm, classes: int) -> None:
    """Images of zeros and ones only; most of their pixels can go one way."""
    model, _ = twins(classes)
    x = torch.rand(30, 3, 2, 2, dtype=torch.float64).round()
    y = clean_logits(model, x).argmax(dim=1)
    result = FMN(norm=norm, steps=60)(model, x, y)
    assert bool(result.success.all())
    assert float(result.adv.min()) >= 0.0
    assert float(result.adv.max()) <= 1.0


class _Flat(nn.Module):
    """Logits without a slope."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor([1.0, 0.0, -1.0]).to(x) + 0 * x.flatten(1)[:, :3]


@pytest.mark.parametrize("norm", NORMS)
def test_a_zero_gradient_moves_nothing_and_makes_no_nan(norm: Norm) -> None:
    x = torch.rand(4, 3, 2, 2)
    result = FMN(norm=norm, steps=5)(_Flat(), x, torch.zeros(4).long())
    assert not bool(result.success.any())
    assert torch.equal(result.adv, x)


def test_nan_logits_are_an_error() -> None:
    with pytest.raises(NotFinite, match="NaN or infinity"):
        FMN(steps=3)(nets_nan(), torch.rand(3, 3, 2, 2), torch.zeros(3).long())


def nets_nan() -> nn.Module:
    class Nan(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :3] * torch.nan

    return Nan()


def test_nothing_is_drawn() -> None:
    model, _ = twins()
    x, y = batch(model, 5)
    rng = torch.Generator().manual_seed(0)
    state = rng.get_state()
    one, other = FMN(steps=5)(model, x, y, rng=rng), FMN(steps=5)(model, x, y)
    assert_same_bits(one.adv, other.adv)
    assert torch.equal(rng.get_state(), state)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eps": 8.0}, "did you mean 8/255"),
        ({"steps": 0}, "`steps` must be an integer >= 1"),
        ({"gamma": 1.0}, "`gamma` must satisfy"),
        ({"first_step": 0.0}, "`first_step` must satisfy"),
        ({"norm": "l0"}, "`norm` must be"),
        ({"compact_every": 0}, "`compact_every`"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        FMN(**fields)
    assert "\n" not in str(error.value)
