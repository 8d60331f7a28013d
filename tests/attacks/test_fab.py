"""FAB: the oracle's iterates, and none of the defects of the libraries before it."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nets
from counting import Counted
from laws import assert_global_rng_untouched, assert_model_unchanged, assert_same_bits
from linear_models import flat, margins_of
from oracles.fab import search
from two_layers import batch, twins
from vicinal._checks import InputError, NotFinite
from vicinal._typing import Norm
from vicinal.attacks import FAB
from vicinal.gradients import clean_logits

NORMS: tuple[Norm, ...] = ("linf", "l2")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("targets", [1, 3])
def test_algorithm1_matches_a_loop_over_images_and_targets(norm: Norm, targets: int) -> None:
    model, net = twins()
    x, y = batch(model, 6)
    result = FAB(eps=math.inf, norm=norm, steps=6, targets=targets)(model, x, y)
    found = 0
    for i, own in enumerate(y.tolist()):
        exact = search(net, flat(x)[i], own, steps=6, targets=targets, norm=norm)
        assert (exact is not None) == bool(result.success[i])
        if exact is not None:
            np.testing.assert_allclose(flat(result.adv)[i], exact, atol=1e-7)
            found += 1
    assert found >= 5


def test_each_target_is_aimed_at_once_and_never_the_own_class() -> None:
    """More targets find nothing larger, and more than there are wrong classes are not aimed at."""
    model, _ = twins()
    x, y = batch(model, 30)
    norms = [FAB(eps=math.inf, steps=12, targets=n)(model, x, y).norms for n in (1, 2, 3, 9)]
    for fewer, more in pairwise(norms):
        assert bool((more <= fewer).all())
    assert bool((norms[2] < norms[0]).any())
    assert_same_bits(norms[2], norms[3])
    assert FAB(eps=0.1, steps=5)(model, x, y).passes == (2 * 15 + 3 + 2, 15)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("every", [1, 3])
def test_what_is_found_does_not_depend_on_when_images_leave(norm: Norm, every: int) -> None:
    model, _ = twins()
    x, y = batch(model, 30, wrong=4)
    eps = {"linf": 0.06, "l2": 0.15}[norm]
    whole, fewer = (
        FAB(eps=eps, norm=norm, steps=5, restarts=2, targets=2, compact_every=n)(
            model, x, y, rng=torch.Generator().manual_seed(0)
        )
        for n in (None, every)
    )
    assert 4 < int(whole.success.sum()) < 30
    torch.testing.assert_close(fewer.adv, whole.adv, rtol=0, atol=1e-12)
    assert torch.equal(fewer.success, whole.success)
    assert fewer.image_passes < whole.image_passes
    assert whole.image_passes == (30 * whole.passes.forward, 30 * whole.passes.backward)


def test_restarts_never_hurt_and_are_worst_per_image() -> None:
    model, _ = twins()
    x, y = batch(model, 60)
    found = []
    for restarts in (1, 2, 4, 8):
        attack = FAB(eps=0.08, steps=1, restarts=restarts, targets=1)
        found.append(attack(model, x, y, rng=torch.Generator().manual_seed(0)).success)
    for fewer, more in pairwise(found):
        assert bool((more | ~fewer).all())
    assert int(found[-1].sum()) > int(found[0].sum()) > 0


@pytest.mark.parametrize("norm", NORMS)
def test_a_failed_image_comes_back_in_the_ball_where_it_was_strongest(norm: Norm) -> None:
    """Neither the clean image nor zeros, and never outside the ball."""
    model, _ = twins()
    x, y = batch(model, 30)
    result = FAB(eps=0.01, norm=norm, steps=10)(model, x, y)
    failed = ~result.success
    assert int(failed.sum()) > 10
    assert float(result.norms.max()) <= 0.01 + 1e-12
    torch.testing.assert_close(result.norms[failed], torch.full_like(result.norms[failed], 0.01))
    higher = margins_of(model, result.adv, y) > margins_of(model, x, y)
    assert higher[failed.numpy()].mean() >= 0.8


def test_the_walk_back_and_the_lean_make_perturbations_smaller() -> None:
    """More steps never end farther away, and the first crossing is not the last word."""
    model, _ = twins()
    x, y = batch(model, 20)
    results = [FAB(eps=math.inf, steps=n, targets=1)(model, x, y) for n in (3, 10, 30)]
    norms = [torch.where(r.success, r.norms, math.inf) for r in results]
    assert bool((norms[1] <= norms[0]).all())
    assert bool((norms[2] <= norms[1]).all())
    assert float((norms[2] / norms[0]).median()) < 0.999


@pytest.mark.parametrize("classes", [2, 3])
def test_two_and_three_classes_are_enough(classes: int) -> None:
    model, _ = twins(classes)
    x, y = batch(model, 20)
    result = FAB(eps=math.inf, steps=20)(model, x, y)
    assert bool(result.success.all())
    assert result.passes.backward == 20 * (classes - 1)


class _Flat(nn.Module):
    """Logits that depend on the images, but with no slope anywhere."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor([1.0, 0.0, -1.0]).to(x) + 0 * x.flatten(1)[:, :3]


@pytest.mark.parametrize("norm", NORMS)
def test_a_zero_gradient_is_no_step_and_no_nan(norm: Norm) -> None:
    x = torch.rand(4, 3, 2, 2)
    result = FAB(eps=0.1, norm=norm, steps=5)(_Flat(), x, torch.zeros(4).long())
    assert not bool(result.success.any())
    assert bool(torch.isfinite(result.adv).all())


class _Bad(nn.Module):
    """NaN logits for images whose first pixel has moved, or for all."""

    def __init__(self, net: nn.Module, *, always: bool) -> None:
        super().__init__()
        self.net, self.always = net, always

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x)
        bad = torch.ones_like(x[:, 0, 0, 0]) if self.always else (x[:, 0, 0, 0] - 0.5).abs() * 1e6
        return torch.where((bad > 0.5).unsqueeze(1), z * torch.nan, z)


def test_nan_logits_are_an_error_and_never_a_success() -> None:
    model, _ = twins()
    x, y = batch(model, 6)
    with pytest.raises(NotFinite, match="NaN or infinity for 6 of 6"):
        FAB(eps=0.1, steps=3)(_Bad(model, always=True), x, y)
    x[:, 0, 0, 0] = 0.5
    y = clean_logits(model, x).argmax(dim=1)
    assert not bool(FAB(eps=0.3, steps=3)(_Bad(model, always=False), x, y).success.any())
    assert bool(FAB(eps=0.3, steps=3)(model, x, y).success.any())


def test_nothing_of_the_caller_changes_even_when_the_model_fails_midway() -> None:
    """The reference reseeds the global generator; others leave weight gradients or train mode."""
    model = nets.Failing(nets.stateful_net(), at=5)
    x, y = torch.rand(6, 3, 4, 4), torch.arange(6) % 5
    attack = FAB(eps=0.05, steps=4, restarts=2, compact_every=2)
    with assert_model_unchanged(model), assert_global_rng_untouched():
        with pytest.raises(RuntimeError, match="out of memory"):
            attack(model, x, y, rng=torch.Generator().manual_seed(0))
        attack(model.net, x, y, rng=torch.Generator().manual_seed(0))


def test_channels_last_images_and_half_precision_are_attacked_alike() -> None:
    model, _ = twins()
    x, y = batch(model, 10)
    attack = FAB(eps=math.inf, steps=10, norm="l2")
    plain = attack(model, x, y)
    last = attack(model, x.contiguous(memory_format=torch.channels_last), y)
    torch.testing.assert_close(last.adv, plain.adv, rtol=0, atol=1e-12)
    narrow = FAB(eps=0.2, steps=5)(model.bfloat16(), x.bfloat16(), y)
    assert narrow.adv.dtype == torch.bfloat16
    assert int(narrow.success.sum()) > 0


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eps": 8.0}, "did you mean 8/255"),
        ({"eps": torch.tensor([0.1, 0.1, 0.1])}, "`eps` must be one number"),
        ({"norm": "l1"}, "`norm` must be linf | l2"),
        ({"steps": 0}, "`steps` must be an integer >= 1"),
        ({"targets": 0}, "`targets` must be an integer >= 1"),
        ({"bisections": -1}, "`bisections` must be an integer >= 0"),
        ({"compact_every": 0}, "`compact_every` must be an integer >= 1"),
        ({"eps": math.inf, "restarts": 2}, "`eps` must be finite for more than one restart"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence.replace("|", r"\|")) as error:
        FAB(**{"eps": 0.1, **fields})
    assert "\n" not in str(error.value)


def test_normalised_images_are_refused_with_the_likely_cause() -> None:
    model, _ = twins()
    x, y = batch(model, 5)
    with pytest.raises(InputError, match="put the normalisation inside the model"):
        FAB(eps=0.1)(model, 4 * x - 2, y)


class Pocket(nn.Module):
    """Wrong where the mean is above 0.6; in channels-last it seems so in a narrow pocket too."""

    def __init__(self, alarm: float) -> None:
        super().__init__()
        self.alarm, self.rung = alarm, False

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(1, 2, 3))
        height = 1 - torch.exp(-20 * (mean - 0.6))
        if not x.is_contiguous():
            inside = (mean.detach() - 0.545).abs() < 0.003
            height = torch.where(inside, height - height.detach() + self.alarm, height)
            self.rung |= bool(inside.any())
        return torch.stack((torch.zeros_like(height), height), dim=1)


@pytest.mark.parametrize(("alarm", "restarts"), [(1e-3, 1), (5.0, 8)])
@pytest.mark.parametrize("every", [None, 3])
def test_a_false_alarm_of_the_search_ends_no_search(
    every: int | None, alarm: float, restarts: int
) -> None:
    """A slight one is outdone by the next error, a loud one is judged before the next start."""
    x, y = torch.full((4, 3, 8, 8), 0.5), torch.zeros(4, dtype=torch.long)
    x[0] = 0.7  # wrong already: it stays as it is
    pocket = Pocket(alarm)
    model = Counted(pocket)
    attack = FAB(eps=0.2, steps=9, restarts=restarts, compact_every=every, channels_last=True)
    result = attack(model, x, y, rng=torch.Generator().manual_seed(0))
    assert pocket.rung
    assert bool(result.success.all())
    assert torch.equal(result.adv[0], x[0])
    assert result.image_passes == (model.forward_images, model.backward_images)
