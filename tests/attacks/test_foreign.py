"""The adapter: foreign images judged, measured and counted by our rules, nothing left behind."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import laws
import nets
from counting import Counted
from vicinal import evaluate
from vicinal._checks import InputError
from vicinal.attacks import PGD, Foreign
from vicinal.gradients import clean_logits

N = 6


def images() -> Tensor:
    return torch.rand(N, nets.CHANNELS, nets.SIDE, nets.SIDE, dtype=torch.float64)


def labels() -> Tensor:
    return torch.arange(N) % nets.CLASSES


def shift(by: float) -> Any:
    return lambda model, x, y: x + by * (x < 0.5)


def test_it_stands_in_the_list_beside_ours() -> None:
    model, x, y = nets.smooth_net(), images(), labels()
    ours = PGD(eps=0.1, step_size=0.05, steps=2)

    def call(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return ours(net, x, y, rng=torch.Generator().manual_seed(0)).adv

    own = ours(model, x, y, rng=torch.Generator().manual_seed(0))
    counted = Counted(model)
    result = Foreign(call=call, eps=0.1)(counted, x, y)
    assert torch.equal(result.adv, own.adv)
    assert torch.equal(result.success, own.success)
    assert torch.equal(result.norms, own.norms)
    assert result.passes == (own.passes.forward + 2, own.passes.backward)
    assert result.spent == (counted.forward_images, counted.backward_images)
    found = evaluate(model, (x, y), attacks={"ours": ours, "theirs": Foreign(call=call, eps=0.1)})
    assert found["theirs"] <= found["clean"]


@pytest.mark.parametrize(
    ("call", "phrase"),
    [
        (shift(0.2), "linf 0.1 of the images; "),
        (lambda model, x, y: x - 0.09, "pixels in [0, 1]"),
        (lambda model, x, y: x[:3], "must return images of shape"),
        (lambda model, x, y: (x, y), "take the images out in `call`"),
        (lambda model, x, y: None, "NoneType"),
        (lambda model, x, y: x * torch.nan, "NaN"),
    ],
)
def test_what_is_outside_or_no_image_is_said(call: Any, phrase: str) -> None:
    model = nets.smooth_net()
    with laws.assert_model_unchanged(model), pytest.raises(InputError) as error:
        Foreign(call=call, eps=0.1)(model, images(), labels())
    laws.assert_one_line(error.value, phrase)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_what_is_outside_may_be_judged_after_projection(norm: Any) -> None:
    model, x, y = nets.smooth_net(), images(), labels()
    result = Foreign(call=shift(0.9), norm=norm, eps=0.1, outside="project")(model, x, y)
    laws.assert_in_ball(result.adv, x, eps=0.1, norm=norm)
    laws.assert_in_unit_range(result.adv)
    assert torch.equal(result.success, clean_logits(model, result.adv).argmax(dim=1) != y)


def test_a_radius_for_each_channel_is_kept_and_told() -> None:
    model, x, y = nets.smooth_net(), images(), labels()
    eps = torch.tensor([0.1, 0.2, 0.3])
    with pytest.raises(InputError, match=r"within linf 0\.1, 0\.2, 0\.3 of the images") as error:
        Foreign(call=shift(0.25), eps=eps)(model, x, y)
    laws.assert_one_line(error.value)
    held = Foreign(call=shift(0.25), eps=eps, outside="project")(model, x, y).adv - x
    sizes = held.abs().amax(dim=(0, 2, 3))
    torch.testing.assert_close(sizes, torch.tensor([0.1, 0.2, 0.25]).double(), rtol=1e-6, atol=0)


def test_rounding_at_the_rim_is_no_offence() -> None:
    model, x, y = nets.smooth_net(), images(), labels()
    result = Foreign(call=shift(0.1 + 1e-7), eps=0.1)(model, x, y)
    assert float(result.norms.max()) <= 0.1 + 1e-12


def test_a_claim_is_not_taken_over() -> None:
    """An attack that gives the clean images back has fooled nobody whom they did not fool."""
    model, x = nets.smooth_net(), images()
    y = clean_logits(model, x).argmax(dim=1)
    result = Foreign(call=lambda model, x, y: x, eps=0.1)(model, x, y)
    assert not bool(result.success.any())
    assert not bool(result.norms.any())


def spoiling(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Everything that the surveyed packages leave behind, and an array for a tensor."""
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    model.train()
    model.requires_grad_(True)
    nn.functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
    x.add_(0.01).clamp_(0, 1)
    array: Any = x.detach().numpy()
    return array  # type: ignore[no-any-return]


def test_whatever_it_does_to_model_images_and_generators_is_undone() -> None:
    """Modes, flags, gradients and BatchNorm's averages: the defects of half of the survey."""
    model = nets.stateful_net()
    x, y = images().float(), labels()
    rng = torch.Generator().manual_seed(0)
    with (
        laws.assert_model_unchanged(model),
        laws.assert_inputs_not_modified(x, y),
        laws.assert_global_rng_untouched(),
    ):
        Foreign(call=spoiling)(model, x, y, rng=rng)


def test_passes_are_counted_however_the_model_is_called() -> None:
    counted = Counted(nets.smooth_net())

    def by_name(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        at = x.clone().requires_grad_(True)
        loss = nn.functional.cross_entropy(model(x=at), y)
        return (x + 0.1 * torch.autograd.grad(loss, at)[0].sign()).clamp(0, 1)

    result = Foreign(call=by_name, eps=0.1)(counted, images(), labels())
    assert result.passes == (3, 1)
    assert result.image_passes == (counted.forward_images, counted.backward_images)


def test_a_foreign_attack_that_fails_leaves_nothing() -> None:
    model = nets.stateful_net()

    def failing(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        spoiling(net, x, y)
        raise RuntimeError("theirs")

    with laws.assert_model_unchanged(model), pytest.raises(RuntimeError, match="theirs"):
        Foreign(call=failing)(model, images().float(), labels())


def test_its_draws_follow_the_generator() -> None:
    model, x, y = nets.smooth_net(), images(), labels()
    noise = Foreign(call=lambda model, x, y: (x + 0.1 * torch.rand_like(x)).clamp(0, 1), eps=0.1)
    with laws.assert_global_rng_untouched():
        one, same, other = (
            noise(model, x, y, rng=torch.Generator().manual_seed(s)) for s in (0, 0, 1)
        )
    assert torch.equal(one.adv, same.adv)
    assert not torch.equal(one.adv, other.adv)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"call": "pgd"}, "`call` must be callable"),
        ({"norm": "l1"}, "`norm`"),
        ({"outside": "clip"}, "`outside`"),
        ({"eps": 8.0}, "did you mean 8/255"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Foreign(**{"call": shift(0.1), **fields})
