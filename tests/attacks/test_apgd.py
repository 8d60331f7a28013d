"""APGD as an attack: the strongest of its iterates, images that leave, honest about its cost."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import laws
import nets
from counting import Counted, Operations
from linear_models import batch_of, linear_model, margins_of
from vicinal._checks import InputError, NotFinite
from vicinal._typing import Norm
from vicinal.attacks.apgd import APGD
from vicinal.gradients import clean_logits
from vicinal.maths import losses

NORMS: dict[Norm, float] = {"linf": 0.08, "l2": 0.5}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("options", [{}, {"loss": "dlr"}, {"loss": "dlr", "targets": 9}])
def test_the_verdict_is_the_models_and_the_norm_is_kept(
    trained: nn.Module, digits: tuple[Tensor, Tensor], norm: Norm, options: dict[str, Any]
) -> None:
    x, y = (part[:40] for part in digits)
    eps = NORMS[norm]
    result = APGD(eps=eps, norm=norm, steps=20, **options)(trained, x, y)
    clean = clean_logits(trained, x).argmax(dim=1) == y
    assert torch.equal(result.success, clean_logits(trained, result.adv).argmax(dim=1) != y)
    assert result.clean_correct is not None
    assert torch.equal(result.clean_correct, clean)
    laws.assert_in_ball(result.adv, x, eps=eps, norm=norm)
    laws.assert_in_unit_range(result.adv)
    assert 0.05 < float(result.success.double().mean()) < 0.98
    assert float(result.norms.max()) > 0.99 * eps


@pytest.mark.parametrize("target", [None, "most_confusing"])
@pytest.mark.parametrize("loss", ["ce", "margin", "dlr"])
def test_images_that_leave_early_change_nothing_for_the_others(
    trained: nn.Module, digits: tuple[Tensor, Tensor], loss: str, target: str | None
) -> None:
    """What another image does, and when it leaves, does not reach an image's own search."""
    model, x, y = trained.double(), digits[0][:40].double(), digits[1][:40]
    options: dict[str, Any] = {"eps": 0.08, "steps": 20, "loss": loss, "target": target}
    kept = APGD(**options, compact_every=None)(model, x, y, rng=seeded())
    for every in (1, 7):
        left = APGD(**options, compact_every=every)(model, x, y, rng=seeded())
        assert torch.equal(left.success, kept.success)
        stays = ~kept.success
        torch.testing.assert_close(left.adv[stays], kept.adv[stays], rtol=0, atol=1e-9)
        assert left.passes == kept.passes
        assert left.spent is not None
        assert left.spent.backward < kept.image_passes.backward
    assert 5 < int(kept.success.sum()) < 35


def test_targets_are_tried_one_after_the_other_on_those_that_are_left() -> None:
    model, _, _ = linear_model(6)
    x, y = batch_of(model, 200)
    found = [
        APGD(eps=0.06, steps=30, loss="dlr", targets=n)(model, x, y, rng=seeded()).success
        for n in (1, 2, 5, 9)
    ]
    for fewer, more in pairwise(found):
        assert bool((more | ~fewer).all())
    assert int(found[0].sum()) < int(found[2].sum())
    assert torch.equal(found[2], found[3])  # there are no more than K - 1


def test_restarts_never_lose_what_was_found(
    trained: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    x, y = (part[:60] for part in digits)
    found = [
        APGD(eps=0.08, steps=3, restarts=n)(trained, x, y, rng=seeded()).success for n in (1, 2, 6)
    ]
    for fewer, more in pairwise(found):
        assert bool((more | ~fewer).all())


def test_a_failed_search_returns_its_strongest_iterate_not_the_clean_image() -> None:
    """The cross-entropy of this model underflows to 0, and with it its gradient in float32."""
    model, _, _ = linear_model(2)
    model = model.float()
    layer = next(part for part in model.modules() if isinstance(part, nn.Linear))
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([400.0, 0.0]))
    x, _ = batch_of(linear_model(2)[0], 20)
    x, y = x.float(), torch.zeros(20).long()
    for loss in ("ce", "dlr"):
        result = APGD(eps=0.1, steps=20, loss=loss)(model, x, y)
        assert not bool(result.success.any())
        assert bool((margins_of(model, result.adv, y) > margins_of(model, x, y) + 0.1).all())


def test_an_image_that_was_wrong_already_counts_as_broken_and_costs_one_pass() -> None:
    model = Counted(linear_model(3)[0])
    x, y = batch_of(model, 20)
    model.forward_images = 0
    result = APGD(eps=0.01)(model, x, (y + 1) % 3)
    assert bool(result.success.all())
    assert torch.equal(result.adv, x)
    assert (model.forward_images, model.backward_images) == (20, 0)
    assert result.spent == (20, 0)


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({}, (103, 100)),
        ({"norm": "l2"}, (103, 100)),
        ({"loss": "dlr", "targets": 9, "steps": 10}, (1 + 9 * 11 + 1, 90)),
        ({"steps": 4, "restarts": 3}, (17, 12)),
        ({"steps": 4, "target": "random", "compact_every": None}, (7, 4)),
        ({"steps": 6, "eot": 3}, (27, 18)),
    ],
)
def test_an_image_that_stays_takes_exactly_the_passes_that_are_told(
    options: dict[str, Any], passes: tuple[int, int]
) -> None:
    model = Counted(linear_model(12)[0])
    x, y = batch_of(model, 7)
    with torch.no_grad():
        model.net[1].bias[y] += 100.0  # type: ignore[index]
    y = clean_logits(model, x).argmax(dim=1)
    model.forward_images = 0
    result = APGD(**{"eps": 0.01, **options})(model, x, y)
    assert not bool(result.success.any())
    assert result.passes == passes
    assert (model.forward_images, model.backward_images) == (7 * passes[0], 7 * passes[1])
    assert result.spent == (7 * passes[0], 7 * passes[1])


def test_what_is_spent_on_a_batch_that_shrinks_is_what_hooks_count(
    trained: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    x, y = (part[:60] for part in digits)
    for options in ({"targets": 4}, {"restarts": 2}, {"precision": "bf16"}, {"target": "random"}):
        model = Counted(trained).eval()
        result = APGD(**{"eps": 0.1, "steps": 12, **options})(model, x, y)  # type: ignore[arg-type]
        assert result.spent == (model.forward_images, model.backward_images)
        assert result.spent.forward < 60 * result.passes.forward


@pytest.mark.parametrize("options", [{}, {"norm": "l2"}, {"loss": "dlr", "targets": 2}])
def test_nothing_waits_for_the_device_but_the_leaving(options: dict[str, Any]) -> None:
    model = linear_model(4)[0].float()
    x, y = batch_of(linear_model(4)[0], 7)
    for every in (None, 5):
        seen = []
        for steps in (5, 25):
            attack = APGD(**{"eps": 1e-4, "steps": steps, "compact_every": every, **options})
            with Operations() as operations:
                attack(model, x.float(), y)
            seen.append(operations)
        assert seen[0].counts.total() < seen[1].counts.total()
        extra = seen[1].waits - seen[0].waits
        searches = options.get("targets", 1)
        assert extra == (0 if every is None else 4 * searches * 2)
        assert seen[0].transfers == seen[1].transfers


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("options", [{"loss": "dlr"}, {"loss": "dlr", "targets": 9}])
@pytest.mark.parametrize("norm", NORMS)
def test_two_and_three_classes_are_attacked_as_well_as_by_the_margin(
    classes: int, options: dict[str, Any], norm: Norm
) -> None:
    model, _, _ = linear_model(classes)
    x, y = batch_of(model, 100)
    found = APGD(eps=0.1, norm=norm, steps=30, **options)(model, x, y)
    by_margin = APGD(eps=0.1, norm=norm, steps=30, loss="margin", targets=9)(model, x, y)
    assert 0.05 < float(found.success.double().mean()) < 0.95
    assert int((by_margin.success != found.success).sum()) <= 2


def test_the_same_generator_gives_the_same_bits_and_the_global_one_is_left_alone(
    trained: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    x, y = (part[:20] for part in digits)
    attack = APGD(eps=0.05, steps=8, restarts=2, loss="dlr")
    with laws.assert_global_rng_untouched():
        first, again, other = (attack(trained, x, y, rng=seeded(s)).adv for s in (3, 3, 4))
    laws.assert_same_bits(first, again)
    assert not torch.equal(first, other)


def test_a_start_does_not_depend_on_who_is_left() -> None:
    """The generator ends in the same state whatever the batch, so what follows draws the same."""
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 20)
    states = []
    for labels in (y, (y + 1) % 3):
        rng = seeded()
        APGD(eps=0.05, steps=3, restarts=3)(model, x, labels, rng=rng)
        states.append(rng.get_state())
    assert torch.equal(*states)


class Masked(nn.Module):
    """Right at the first look, not a number from then on."""

    def __init__(self, net: nn.Module, *, from_look: int) -> None:
        super().__init__()
        self.net, self.looks, self.from_look = net, 0, from_look

    def forward(self, x: Tensor) -> Tensor:
        self.looks += 1
        z: Tensor = self.net(x)
        return z * torch.nan if self.looks >= self.from_look else z


@pytest.mark.parametrize("from_look", [1, 2, 4])
def test_logits_that_are_no_numbers_are_told_in_a_sentence(from_look: int) -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 10)
    with pytest.raises(NotFinite, match="finite logits") as error:
        APGD(eps=0.01, steps=5)(Masked(model, from_look=from_look), x, y)
    laws.assert_one_line(error.value)


@pytest.mark.parametrize("nth", [1, 2, 5, 9])
def test_a_model_that_raises_midway_is_left_as_it_was(nth: int) -> None:
    net = nets.stateful_net()
    model = nets.Failing(net, at=nth)
    x = torch.rand(6, 3, 4, 4)
    y = clean_logits(net, x).argmax(dim=1)
    with (
        laws.assert_model_unchanged(model),
        laws.assert_inputs_not_modified(x, y),
        pytest.raises(RuntimeError, match="out of memory"),
    ):
        APGD(eps=1e-4, steps=10)(model, x, y)


def test_confident_success_in_bf16_is_judged_in_float32(
    trained: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    x, y = (part[:60] for part in digits)
    result = APGD(eps=0.06, steps=15, precision="bf16")(trained, x, y, rng=seeded())
    assert torch.equal(result.success, clean_logits(trained, result.adv).argmax(dim=1) != y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = APGD(eps=0.06, steps=15)(trained, x, y, rng=seeded())
    assert torch.equal(inside.success, clean_logits(trained, inside.adv).argmax(dim=1) != y)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_model_keeps_its_own_dtype_and_images_their_layout(dtype: torch.dtype) -> None:
    """The authors' code casts to float32, and fails on gradients in channels-last."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    model = net.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.rand(12, 3, 6, 6, dtype=dtype).contiguous(memory_format=torch.channels_last)
    y = clean_logits(model, x).argmax(dim=1)
    for norm in NORMS:
        result = APGD(eps=0.1, norm=norm, steps=8, loss="dlr", targets=2)(model, x, y)
        assert result.adv.dtype == dtype
        assert torch.equal(result.success, clean_logits(model, result.adv).argmax(dim=1) != y)


def test_a_random_model_is_followed_by_its_mean_gradient() -> None:
    """With noise far above the signal one draw is lost, and many are not."""

    class Noisy(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            z: Tensor = self.net(x)
            scale = 1 + 3 * torch.randn(z.shape, dtype=z.dtype)
            return z + (scale - 1) * (z - z.detach())

    model, _, _ = linear_model(3)
    x, y = batch_of(model, 150)
    torch.manual_seed(0)
    rates = [
        float(APGD(eps=0.05, steps=12, eot=n)(Noisy(model), x, y).success.double().mean())
        for n in (1, 20)
    ]
    assert rates[1] > rates[0] + 0.03


def test_radii_may_differ_from_channel_to_channel() -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 50)
    eps = torch.tensor([0.0, 0.05, 0.2], dtype=torch.float64)
    result = APGD(eps=eps, steps=20)(model, x, y)
    size = (result.adv - x).abs().amax(dim=(2, 3))
    assert bool((size <= eps + 1e-12).all())
    assert float(size[:, 2].max()) > 0.19


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eps": 8.0}, "did you mean 8/255"),
        ({"eps": float("inf")}, "`eps`"),
        ({"steps": 0}, "`steps` must be an integer >= 1"),
        ({"restarts": 0}, "`restarts`"),
        ({"targets": 0}, "`targets`"),
        ({"targets": 3, "target": "random"}, "`targets` must be None where `target`"),
        ({"compact_every": 0}, "`compact_every`"),
        ({"loss": "kl"}, "`loss`"),
        ({"norm": "Linf"}, "Did you mean linf"),
        ({"rho": 1.5}, "`rho`"),
        ({"precision": "fp16"}, "`precision`"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        APGD(**{"eps": 0.1, **fields})
    laws.assert_one_line(error.value)


@pytest.mark.parametrize("norm", NORMS)
def test_linear_models_are_broken_exactly_where_it_is_possible(norm: Norm) -> None:
    from oracles.linear_attack import highest_margin_l2, highest_margin_linf

    model, weight, bias = linear_model(4, seed=1)
    x, y = batch_of(model, 200, inner=norm == "l2")
    eps = {"linf": 0.06, "l2": 0.08}[norm]
    exact = {"linf": highest_margin_linf, "l2": highest_margin_l2}[norm]
    flat = x.flatten(1).numpy()
    highest = [exact(weight, bias, flat[i], own, eps) for i, own in enumerate(y.tolist())]
    options: dict[str, Any] = {"eps": eps, "norm": norm, "compact_every": None}
    result = APGD(loss="dlr", targets=9, **options)(model, x, y)
    assert result.success.tolist() == [value > 0 for value in highest]
    assert 0.1 < float(result.success.double().mean()) < 0.9
    margins = margins_of(model, result.adv, y)
    assert bool((margins <= np.asarray(highest) + 1e-9).all())
    by_margin = APGD(loss="margin", targets=3, **options)(model, x, y)
    assert float(np.abs(margins_of(model, by_margin.adv, y) - highest).mean()) < 1e-3


def test_two_classes_reach_the_exact_optimum_by_every_loss() -> None:
    from oracles.linear_attack import highest_margin_linf

    model, weight, bias = linear_model(2)
    x, y = batch_of(model, 100)
    flat = x.flatten(1).numpy()
    exact = [highest_margin_linf(weight, bias, flat[i], own, 0.1) for i, own in enumerate(y)]
    for loss in losses.LOSSES:
        result = APGD(eps=0.1, steps=20, loss=loss, compact_every=None)(model, x, y)
        np.testing.assert_allclose(margins_of(model, result.adv, y), exact, atol=1e-9)
