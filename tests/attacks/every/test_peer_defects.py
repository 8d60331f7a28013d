"""Defects measured in other libraries' attacks, each with the test that it is not shared here.

Where no file is named the test stands below and runs every attack of the catalog; a name without
attacks of its own holds for all of them through `test_laws.py`.

weights get gradients from an attack
    test_laws.py::test_a_move_leaves_the_model_as_it_was
weight gradients are computed at all
    test_gradients.py::test_no_weight_gradient_is_computed
BatchNorm statistics move in train mode
    test_laws.py::test_a_move_leaves_the_model_as_it_was
frozen BatchNorm is put back into train mode
    test_laws.py::test_a_move_leaves_the_model_as_it_was
the model stays in eval mode
    test_laws.py::test_a_move_leaves_the_model_as_it_was
modes and flags are lost after an exception
    test_laws.py::test_an_exception_inside_the_model_leaves_it_as_it_was
the output hangs on a graph
    test_what_is_returned_hangs_on_no_graph
the global generator is reseeded
    test_laws.py::test_one_seed_one_image_and_global_generators_untouched
every batch gets the same noise
    test_the_next_batch_gets_noise_of_its_own
a device is waited for at every step
    test_no_step_waits_for_the_device
the attack fails where gradients are off
    test_laws.py::test_moves_work_where_gradients_are_switched_off
half precision and float64 are refused
    test_every_float_type_is_attacked_and_kept
channels-last images or gradients fail
    test_channels_last_is_attacked_alike
a later restart overwrites an earlier success
    attacks/test_pgd.py::test_restarts_never_hurt
the last iterate is never scored
    test_an_error_at_the_very_last_iterate_is_found
the strongest is chosen by loss, not by error
    attacks/test_strongest.py::test_an_error_beats_a_higher_loss_without_one
a failed image comes back clean, or all zero
    test_a_failed_image_is_neither_the_clean_one_nor_zero
what withstood several attacks comes back clean
    attacks/test_autoattack.py::test_the_strongest_of_all_attacks_is_returned_where_all_failed
an accuracy is taken of flags that have no mean
    attacks/test_matrix.py::test_every_cell_is_the_transfer_of_its_pair
logits of very different scale are attacked as one
    test_each_image_is_attacked_at_its_own_scale
the bisection misses what has logits of another scale
    test_cw_l2_finds_an_error_at_every_scale
gradients shrink with the batch
    test_gradients.py::test_input_gradient_is_that_of_the_summed_loss
the result depends on batch mates
    test_laws.py::test_each_image_is_moved_on_its_own
draws depend on batch mates who have left
    attacks/test_square.py::test_an_image_is_attacked_the_same_whatever_its_batch_mates_do
a shift of all logits changes success
    test_the_same_classifier_with_shifted_logits_is_attacked_the_same
pixels of exactly 0 and 1 never move
    test_black_and_white_pixels_move
the confidence asked for is ignored
    attacks/test_cw_l2.py::test_confidence_is_reached_where_it_is_claimed
bounds of the bisection change in place
    attacks/test_cw_l2.py::test_it_is_the_authors_search
the optimiser keeps its state between constants
    attacks/test_cw_l2.py::test_it_is_the_authors_search
fewer than ten iterations divide by zero
    attacks/test_cw_l2.py::test_any_number_of_iterations_works
momentum is of signs
    attacks/test_mi_fgsm.py::test_momentum_is_of_gradients_not_of_signs
the step is not the budget over the steps
    attacks/test_mi_fgsm.py::test_the_step_is_the_budget_over_the_steps
a zero gradient freezes momentum for good
    attacks/test_mi_fgsm.py::test_a_zero_gradient_does_not_freeze_the_image
zero over zero makes images that are no numbers
    test_gradients_of_zero_or_nan_make_no_nan
fields remembered from the first call
    test_an_attack_remembers_nothing
DLR fails with 2 or 3 classes
    test_two_and_three_classes_are_enough
AutoAttack's parts run fewer steps than its own
    attacks/test_autoattack.py::test_the_standard_version_is_the_authors_sequence
success is not what the model says
    test_laws.py::test_an_attacks_verdict_is_the_models_own
a linf distance without absolute values
    test_laws.py::test_an_attacks_verdict_is_the_models_own
a mask of -1e4 fails on large logits
    test_laws.py::test_extreme_logits_give_finite_images
the margin stops climbing once it has succeeded
    test_the_margin_climbs_on_after_success
the low-precision branch loses the target's sign
    test_a_target_is_a_target_in_bfloat16
the true class may be the target
    attacks/test_search.py::test_two_and_three_classes_are_enough
8-bit images are truncated, not rounded
    attacks/test_rounded.py::test_every_attack_is_judged_on_its_8_bit_rounding
images leave ball or range
    test_laws.py::test_moved_images_stay_in_the_ball_and_the_pixel_range
foreign images are believed
    attacks/test_foreign.py::test_a_claim_is_not_taken_over
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import catalog
import laws
import nets
from counting import Operations
from linear_models import batch_of, linear_model
from vicinal.attacks import (
    APGD,
    CWL2,
    FAB,
    FGSM,
    FMN,
    MIFGSM,
    PGD,
    Foreign,
    Rounded,
    Square,
    Transfer,
    UniformNoise,
)
from vicinal.gradients import clean_logits
from vicinal.maths import hyperplane

every_attack = pytest.mark.parametrize("entry", catalog.ATTACKS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int = 12, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Images, some pixels on 0 and 1, and the classes that the smooth net gives them."""
    x = (torch.rand(n, 3, 4, 4, generator=seeded(1), dtype=torch.float64) * 1.2 - 0.1).clamp(0, 1)
    return x.to(dtype), clean_logits(nets.smooth_net(), x).argmax(dim=1)


def run(entry: catalog.AttackEntry, model: nn.Module, x: Tensor, y: Tensor, seed: int = 0) -> Any:
    """Attack a model; a transfer's source is the model itself, so that it fits any image."""
    attack: Any = entry.instance
    if isinstance(attack, Transfer):
        attack = dataclasses.replace(attack, source=model)
    return attack(model, x, y, rng=seeded(seed))


def test_every_test_of_the_table_exists() -> None:
    tests = Path(__file__).parents[2]
    rows = re.findall(r"^    (\S+)$", __doc__ or "", flags=re.MULTILINE)
    assert len(rows) >= 40
    for row in rows:
        file, _, name = row.rpartition("::")
        text = (tests / file if file else Path(__file__)).read_text(encoding="utf-8")
        assert f"def {name}(" in text, row


@every_attack
def test_what_is_returned_hangs_on_no_graph(entry: catalog.AttackEntry) -> None:
    x, y = batch(4, dtype=torch.float32)
    result = run(entry, nets.stateful_net(), x.requires_grad_(), y)
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if isinstance(value, Tensor):
            assert not value.requires_grad
            assert value.grad_fn is None
    assert x.grad is None


@pytest.mark.parametrize("entry", [e for e in catalog.ATTACKS if e.draws])
def test_the_next_batch_gets_noise_of_its_own(entry: catalog.AttackEntry) -> None:
    x, y = batch(1)
    model, rng = nets.smooth_net(), seeded()
    seen: list[Tensor] = []
    attack: Any = entry.instance
    if isinstance(attack, Transfer):
        attack = dataclasses.replace(attack, source=model)
    model.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    attack(model, x, y, rng=rng)
    first = len(seen)
    attack(model, x, y, rng=rng)
    assert first > 1
    assert any(not torch.equal(*two) for two in zip(seen[:first], seen[first:], strict=False))


STEPPING: dict[str, Callable[[int], Any]] = {
    "pgd": lambda k: PGD(eps=0.01, step_size=0.01, steps=k),
    "mi_fgsm": lambda k: MIFGSM(eps=0.01, steps=k),
    "cw_l2": lambda k: CWL2(steps=k, search_steps=1, abort_early=False),
    "apgd": lambda k: APGD(eps=0.01, steps=k, compact_every=None),
    "apgd l2": lambda k: APGD(eps=0.01, norm="l2", loss="dlr", steps=k, compact_every=None),
    "fab": lambda k: FAB(eps=0.01, steps=k, targets=1, compact_every=None),
    "fab l2": lambda k: FAB(eps=0.01, norm="l2", steps=k, targets=1, compact_every=None),
    "fmn": lambda k: FMN(eps=0.01, steps=k, compact_every=None),
    "square": lambda k: Square(eps=0.01, queries=k, compact_every=None),
    "square l2": lambda k: Square(eps=0.01, norm="l2", queries=k, compact_every=None),
    "noise": lambda k: UniformNoise(eps=0.01, draws=k, compact_every=None),
}


@pytest.mark.parametrize("build", STEPPING.values(), ids=STEPPING)
def test_no_step_waits_for_the_device(
    build: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # On the processor, where there is nothing to wait for, FAB projects by another method.
    monkeypatch.setattr(hyperplane, "_by_newton", hyperplane._by_sort)
    x, y = batch(4)
    model, waits = nets.smooth_net(), []
    for steps in (8, 16):
        with Operations() as operations:
            build(steps)(model, x, y)
        waits.append(operations.waits)
    assert waits[0] == waits[1]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@every_attack
def test_every_float_type_is_attacked_and_kept(
    entry: catalog.AttackEntry, dtype: torch.dtype
) -> None:
    x, y = batch(dtype=dtype)
    model = nets.smooth_net(dtype=dtype)
    result = run(entry, model, x, y)
    assert result.adv.dtype == dtype
    laws.assert_in_unit_range(result.adv)
    assert torch.equal(result.success, clean_logits(model, result.adv).argmax(dim=1) != y)
    if entry.norm == "linf":
        rounding = 2 * torch.finfo(dtype).eps
        laws.assert_in_ball(result.adv, x, eps=entry.eps, norm="linf", tolerance=rounding)


@every_attack
def test_channels_last_is_attacked_alike(entry: catalog.AttackEntry) -> None:
    x, y = batch(6)
    model = nets.smooth_net()
    plain = run(entry, model, x, y)
    last = run(entry, model, x.contiguous(memory_format=torch.channels_last), y)
    torch.testing.assert_close(last.adv.contiguous(), plain.adv, rtol=1e-9, atol=1e-9)


LAST: list[Any] = [
    FGSM(eps=0.1),
    PGD(eps=0.1, step_size=0.05, steps=2, random_start=False),
    PGD(eps=0.1, step_size=0.05, steps=2, random_start=False, compact_every=1),
    PGD(eps=0.1, step_size=0.05, steps=2, random_start=False, iterate="last"),
    MIFGSM(eps=0.1, steps=2),
    APGD(eps=0.1, steps=1),
    APGD(eps=0.1, steps=1, compact_every=1),
]


@pytest.mark.parametrize("attack", LAST)
def test_an_error_at_the_very_last_iterate_is_found(attack: Any) -> None:
    """Two classes, the border all but a whole budget away: only where the last step ends."""
    model, weight, _ = linear_model(2)
    x = batch_of(model, 40, inner=True)[0]
    y = clean_logits(model, x).argmax(dim=1)
    rise = torch.from_numpy(weight[1] - weight[0]).abs().sum() * 0.1
    gap = clean_logits(model, x).diff(dim=1).abs().squeeze(1)
    shifted = nn.Sequential(model, _Toward(y, 0.97 * rise - gap))
    assert not bool((clean_logits(shifted, x).argmax(dim=1) != y).any())
    found = attack(shifted, x, y, rng=seeded())
    assert bool(found.success.all())


class _Toward(nn.Module):
    """Raises the own class of every image, so that all stand equally far from the border."""

    def __init__(self, y: Tensor, by: Tensor) -> None:
        super().__init__()
        self.bias = nn.functional.one_hot(y, 2) * by.unsqueeze(1)

    def forward(self, z: Tensor) -> Tensor:
        return z + self.bias


@every_attack
def test_a_failed_image_is_neither_the_clean_one_nor_zero(entry: catalog.AttackEntry) -> None:
    """An offset for its own class that nothing in the ball makes up for."""
    x, _ = batch()
    model = nets.smooth_net()
    layer = model[3]
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.bias[2] += 100.0
    y = torch.full((len(x),), 2)
    result = run(entry, model, x, y)
    assert not bool(result.success.any())
    moved = (result.adv - x).abs().flatten(1).amax(dim=1)
    assert float(moved.min()) > 0
    assert float(result.adv.flatten(1).amax(dim=1).min()) > 0
    laws.assert_in_ball(result.adv, x, eps=entry.eps, norm=entry.norm)
    if not isinstance(entry.instance, (Foreign, Transfer)):
        rise = clean_logits(model, result.adv) - clean_logits(model, x)
        others = torch.tensor([0, 1, 3, 4])
        assert float((rise[:, others].amax(dim=1) - rise[:, 2]).max()) > 0


@pytest.mark.parametrize("shift", [-50.0, 50.0])
@every_attack
def test_the_same_classifier_with_shifted_logits_is_attacked_the_same(
    entry: catalog.AttackEntry, shift: float
) -> None:
    x, y = batch()
    plain, shifted = nets.smooth_net(), nets.smooth_net()
    layer = shifted[3]
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.bias.add_(shift)
    one, other = run(entry, plain, x, y), run(entry, shifted, x, y)
    assert torch.equal(one.success, other.success)
    torch.testing.assert_close(one.adv, other.adv, rtol=1e-6, atol=1e-6)


class _Scaled(nn.Module):
    """Logits a million times as large for light images as for dark ones."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        light = x.detach().mean(dim=(1, 2, 3)) > 0.5
        z: Tensor = self.net(x) * torch.where(light, 1e3, 1e-3).to(x.dtype).unsqueeze(1)
        return z


@pytest.mark.parametrize("entry", [e for e in catalog.ATTACKS if not e.draws])
def test_each_image_is_attacked_at_its_own_scale(entry: catalog.AttackEntry) -> None:
    x, _ = batch(6)
    x = torch.cat([0.3 * x[:3], 1 - 0.3 * x[3:]])  # no step in a ball changes light to dark
    model = _Scaled(nets.smooth_net())
    y = clean_logits(model, x).argmax(dim=1)
    together = run(entry, model, x, y)
    for i in range(6):
        alone = run(entry, model, x[i : i + 1], y[i : i + 1])
        torch.testing.assert_close(together.adv[i : i + 1], alone.adv, rtol=1e-9, atol=1e-9)


def test_cw_l2_finds_an_error_at_every_scale() -> None:
    x, _ = batch(6)
    x = torch.cat([0.3 * x[:3], 1 - 0.3 * x[3:]])
    model = _Scaled(nets.smooth_net())
    y = clean_logits(model, x).argmax(dim=1)
    attack = CWL2(steps=100, learning_rate=0.1, constant=0.1)
    assert bool(attack(model, x, y).success.all())


@every_attack
def test_black_and_white_pixels_move(entry: catalog.AttackEntry) -> None:
    x, _ = batch()
    x = x.round()
    model = nets.smooth_net()
    y = clean_logits(model, x).argmax(dim=1)
    attack: Any = entry.instance
    if isinstance(attack, CWL2):
        attack = dataclasses.replace(attack, steps=120, learning_rate=0.2, constant=100.0)
        entry = dataclasses.replace(entry, instance=attack)
    result = run(entry, model, x, y)
    moved = (result.adv - x).abs()
    assert float(moved.flatten(1).amax(dim=1).min()) > 1e-3
    assert float(moved[x == 0].max()) > 1e-3
    assert float(moved[x == 1].max()) > 1e-3


class _Unnumbered(nn.Module):
    """Sends a NaN back to some pixels, or zero to all, while its logits are finite."""

    def __init__(self, net: nn.Module, *, pixels: int | None) -> None:
        super().__init__()
        self.net, self.pixels = net, pixels

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x if self.pixels else x.detach())
        some = x.flatten(1)[:, : self.pixels or 1]
        nothing = (some - some).sqrt() if self.pixels else 0 * some
        spoilt: Tensor = z + nothing.sum(dim=1, keepdim=True)
        return spoilt


@pytest.mark.parametrize("pixels", [None, 1, 48])
@every_attack
def test_gradients_of_zero_or_nan_make_no_nan(
    entry: catalog.AttackEntry, pixels: int | None
) -> None:
    x, y = batch()
    model = _Unnumbered(nets.smooth_net(), pixels=pixels)
    if isinstance(entry.instance, Foreign):
        return  # whose arithmetic is its own: test_foreign.py has what it does with NaN
    result = run(entry, model, x, y)
    laws.assert_in_unit_range(result.adv)
    laws.assert_in_ball(result.adv, x, eps=entry.eps, norm=entry.norm)
    assert torch.equal(result.success, clean_logits(model, result.adv).argmax(dim=1) != y)


@every_attack
def test_an_attack_remembers_nothing(entry: catalog.AttackEntry) -> None:
    x, y = batch()
    fresh = run(entry, nets.smooth_net(), x, y)
    run(entry, nets.smooth_net(seed=4), 1 - x, (y + 1) % 5)
    again = run(entry, nets.smooth_net(), x, y)
    laws.assert_same_bits(fresh.adv, again.adv)


@pytest.mark.parametrize("classes", [2, 3])
@every_attack
def test_two_and_three_classes_are_enough(entry: catalog.AttackEntry, classes: int) -> None:
    x, _ = batch()
    model = nets.smooth_net(classes=classes)
    y = clean_logits(model, x).argmax(dim=1)
    result = run(entry, model, x, y)
    laws.assert_in_unit_range(result.adv)
    assert torch.equal(result.success, clean_logits(model, result.adv).argmax(dim=1) != y)
    assert result.passes <= tuple(entry.passes)


def test_the_margin_climbs_on_after_success() -> None:
    model, _, _ = linear_model(2)
    x, y = batch_of(model, 20, inner=True)
    height = []
    for steps in (5, 10):
        attack = PGD(
            eps=0.5, step_size=0.05, steps=steps, loss="margin", random_start=False, iterate="last"
        )
        result = attack(model, x, y)
        assert bool(result.success.all())
        z = clean_logits(model, result.adv)
        own = z.gather(1, y.unsqueeze(1)).squeeze(1)
        height.append(z.scatter(1, y.unsqueeze(1), -torch.inf).amax(dim=1) - own)
    assert bool((height[1] > height[0]).all())


def test_a_target_is_a_target_in_bfloat16() -> None:
    model = linear_model(4)[0].float()
    x, y = (part[:30] for part in batch_of(linear_model(4)[0], 30))
    for build in (PGD, APGD):
        hits = []
        for precision in ("fp32", "bf16"):
            options: dict[str, Any] = {"step_size": 0.1} if build is PGD else {}
            attack: Any = build(
                eps=0.4, steps=10, target="random", loss="ce", precision=precision, **options
            )
            result = attack(model, x.float(), y, rng=seeded())
            assert result.target_hit is not None
            hits.append(int(result.target_hit.sum()))
        assert hits[0] > 15
        assert abs(hits[0] - hits[1]) <= 1


def test_the_table_covers_rounding_of_any_attack() -> None:
    assert any(isinstance(entry.instance, Rounded) for entry in catalog.ATTACKS)
