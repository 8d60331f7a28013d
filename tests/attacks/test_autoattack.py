"""AutoAttack: each attack on those that withstood the others, and nobody's word taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import laws
import nets
from linear_models import batch_of, linear_model
from vicinal._checks import InputError, NotFinite
from vicinal._typing import Attack, AttackResult, Model, Passes
from vicinal.attacks import APGD, CWL2, FAB, FGSM, FMN, PGD, AutoAttack, Rounded, Square
from vicinal.attacks.result import Result
from vicinal.gradients import clean_logits

QUICK: dict[str, Attack] = {
    "apgd-ce": APGD(eps=0.05, steps=10),
    "apgd-t": APGD(eps=0.05, steps=10, loss="dlr", targets=3),
    "fab-t": FAB(eps=0.05, steps=5, targets=3),
    "square": Square(eps=0.05, queries=20),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True, kw_only=True)
class Claiming:
    """An attack that returns what it is told to, and says that it succeeded."""

    shift: float
    seen: list[int]

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        self.seen.append(len(x))
        return Result(
            adv=x + self.shift,
            success=torch.ones(len(x), dtype=torch.bool),
            norms=torch.zeros(len(x)),
            passes=Passes(5, 3),
            seconds=0.0,
        )


def test_the_standard_version_is_the_authors_sequence() -> None:
    for norm in ("linf", "l2"):
        members = AutoAttack(eps=0.1, norm=norm).members
        assert list(members) == ["apgd-ce", "apgd-t", "fab-t", "square"]
        ce, t, fab, square = members.values()
        assert isinstance(ce, APGD)
        assert isinstance(t, APGD)
        assert isinstance(fab, FAB)
        assert isinstance(square, Square)
        assert (ce.loss, ce.steps, ce.restarts, ce.targets, ce.eot) == ("ce", 100, 1, None, 1)
        assert (t.loss, t.steps, t.restarts, t.targets, t.eot) == ("dlr", 100, 1, 9, 1)
        assert (fab.steps, fab.restarts, fab.targets) == (100, 1, 9)
        assert (square.queries, square.restarts, square.initial_share) == (5000, 1, 0.8)
        assert square.schedule == 10_000
        assert {a.eps for a in (ce, t, fab, square)} == {0.1}
        assert {a.norm for a in (ce, t, fab, square)} == {norm}


def test_the_version_for_random_models_averages_20_draws() -> None:
    members = AutoAttack(eps=0.1, version="rand").members
    assert list(members) == ["apgd-ce", "apgd-dlr"]
    for attack, loss in zip(members.values(), ("ce", "dlr"), strict=True):
        assert attack == APGD(eps=0.1, loss=loss, eot=20)


def test_levers_are_those_of_its_own_searches() -> None:
    """The version for random models, and attacks from outside, are searched as they are."""
    assert AutoAttack(eps=0.1).levers.used
    assert not AutoAttack(eps=0.1, version="rand").levers.used
    assert not AutoAttack(eps=0.1, attacks=[FGSM(eps=0.1)]).levers.used


def test_each_image_is_named_by_what_broke_it_and_attacked_no_more() -> None:
    model, _, _ = linear_model(4)
    x, y = batch_of(model, 60)
    y[:5] = (y[:5] + 1) % 4
    seen: list[int] = []
    watch = Claiming(shift=0.0, seen=seen)
    attack = AutoAttack(
        eps=0.05,
        attacks={"none": watch, "pgd": PGD(eps=0.05, step_size=0.02, steps=5), "late": watch},
    )
    result = attack(model, x, y, rng=seeded())
    names = result.broken_by
    assert names is not None
    assert names[:5] == ("clean",) * 5
    assert set(names[5:]) == {"pgd", None}
    assert [name is not None for name in names] == result.success.tolist()
    assert seen == [55, 55 - names.count("pgd")]
    assert result.clean_correct is not None
    assert result.clean_correct.tolist() == [False] * 5 + [True] * 55
    assert torch.equal(result.adv[:5], x[:5])


@pytest.mark.parametrize("shift", [0.2, -0.2, 2.0, float("nan")])
def test_an_image_outside_its_ball_or_range_breaks_nothing(shift: float) -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 50)
    with torch.no_grad():
        assert bool((clean_logits(model, x + 0.2).argmax(dim=1) != y).any())
    attack = AutoAttack(eps=0.1, attacks=[Claiming(shift=shift, seen=[])])
    result = attack(model, x, y)
    assert not bool(result.success.any())
    assert float(result.norms.max()) <= 0.1
    laws.assert_in_unit_range(result.adv)


def test_the_norm_in_question_is_the_one_that_is_checked() -> None:
    """A step of 0.05 in each of 12 pixels is 0.17 long."""
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 60, inner=True)
    inside = [
        AutoAttack(eps=eps, norm="l2", attacks=[Claiming(shift=0.05, seen=[])])(model, x, y)
        for eps in (0.17, 0.18)
    ]
    assert float(inside[0].norms.max()) == 0.0
    assert float(inside[1].norms.max()) == pytest.approx(0.05 * 12**0.5)


@dataclass(frozen=True, kw_only=True)
class Noted:
    """An attack whose passes are noted."""

    attack: Attack
    notes: list[Passes]

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> AttackResult:
        result = self.attack(model, x, y, rng=rng)
        self.notes.append(result.passes)
        return result


def test_an_image_that_stays_takes_exactly_the_authors_passes() -> None:
    """Forward: each of the authors' iterates once, the clean image and the verdict of each attack.

    Their code adds a clean pass before every target; its last gradient of every search of APGD
    decides nothing and is not taken here.
    """
    net = linear_model(12)[0].float()
    x = batch_of(linear_model(12)[0], 8)[0][:1].float()
    with torch.no_grad():
        net[1].bias[3] += 200.0  # type: ignore[index]
    model, notes = laws.Counting(net), list[Passes]()
    members = AutoAttack(eps=0.01).members
    noted = {name: Noted(attack=part, notes=notes) for name, part in members.items()}
    result = AutoAttack(eps=0.01, attacks=noted)(model, x, torch.tensor([3]))
    assert not bool(result.success.any())
    ce, t, fab, square = notes
    assert ce == (1 + 101 + 1, 100)
    assert t == (1 + 9 * 101 + 1, 9 * 100)
    assert fab.backward == 9 * 100
    assert 5000 <= square.forward <= 5000 + 3
    assert square.backward == 0
    forward = 1 + 4 + sum(part.forward for part in notes)
    assert result.passes == (forward, 100 + 900 + 900)
    assert model.passes(1) == result.passes
    assert result.image_passes == result.passes


def test_what_is_spent_is_what_a_model_counts(
    trained: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    x, y = (part[:40] for part in digits)
    model = laws.Counting(trained).eval()
    result = AutoAttack(eps=0.05, attacks=QUICK)(model, x, y)
    assert result.spent == (model.forwards, model.backwards)
    assert result.spent.forward < 40 * result.passes.forward
    assert torch.equal(result.success, clean_logits(trained, result.adv).argmax(dim=1) != y)


def test_more_attacks_never_find_less(trained: nn.Module, digits: tuple[Tensor, Tensor]) -> None:
    x, y = (part[:40] for part in digits)
    found = []
    for names in (["apgd-ce"], ["apgd-ce", "apgd-t"], list(QUICK)):
        attack = AutoAttack(eps=0.05, attacks={name: QUICK[name] for name in names})
        found.append(attack(trained, x, y, rng=seeded()).success)
    assert bool((found[1] | ~found[0]).all())
    assert bool((found[2] | ~found[1]).all())


def test_the_strongest_of_all_attacks_is_returned_where_all_failed() -> None:
    model, _, _ = linear_model(3)
    x, y = batch_of(model, 20, inner=True)
    weak, strong = (PGD(eps=e, step_size=e, steps=1, loss="margin") for e in (1e-4, 1e-3))
    for order in ([weak, strong], [strong, weak]):
        result = AutoAttack(eps=1e-3, attacks=order)(model, x, y)
        held = ~result.success
        assert int(held.sum()) > 10
        assert torch.allclose(result.norms[held], torch.tensor(1e-3, dtype=x.dtype))


def test_same_generator_same_bits_and_nothing_of_the_model_changed(
    trained: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    x, y = (part[:20] for part in digits)
    attack = AutoAttack(eps=0.05, attacks=QUICK)
    with laws.assert_global_rng_untouched(), laws.assert_model_unchanged(trained):
        first, again = (attack(trained, x, y, rng=seeded(3)) for _ in range(2))
    laws.assert_same_bits(first.adv, again.adv)
    assert first.broken_by == again.broken_by


@pytest.mark.parametrize("nth", [1, 3, 20, 60, 90])
def test_a_model_that_raises_midway_is_left_as_it_was(nth: int) -> None:
    net = nets.stateful_net()
    model = nets.Failing(net, at=nth)
    x = torch.rand(6, 3, 4, 4)
    y = clean_logits(net, x).argmax(dim=1)
    small: Any = {
        "a": APGD(eps=1e-5, steps=10),
        "t": APGD(eps=1e-5, steps=10, loss="dlr", targets=3),
        "f": FAB(eps=1e-5, steps=10, targets=3),
        "s": Square(eps=1e-5, queries=40),
    }
    with (
        laws.assert_model_unchanged(model),
        laws.assert_inputs_not_modified(x, y),
        pytest.raises(RuntimeError, match="out of memory"),
    ):
        AutoAttack(eps=1e-5, attacks=small)(model, x, y)


@pytest.mark.parametrize("classes", [2, 3])
def test_two_and_three_classes_run_through_every_attack(classes: int) -> None:
    model, _, _ = linear_model(classes)
    x, y = batch_of(model, 30)
    result = AutoAttack(eps=0.05, attacks=QUICK)(model, x, y)
    assert 0 < int(result.success.sum()) < 30


def test_logits_that_are_no_numbers_are_told_in_a_sentence() -> None:
    z = torch.tensor([[0.0, torch.nan, 1.0]])
    with pytest.raises(NotFinite, match="finite logits"):
        AutoAttack(eps=0.05)(nets.Returning(z), torch.rand(4, 3, 4, 4), torch.zeros(4).long())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eps": 8.0}, "did you mean 8/255"),
        ({"norm": "Linf"}, "Did you mean linf"),
        ({"version": "plus"}, "`version` must be standard | rand"),
        ({"attacks": []}, "`attacks` must hold at least one attack"),
        ({"eps": torch.tensor([0.1, 0.1, 0.1])}, "`eps` must be one number"),
        ({"attacks": "standard"}, "several attacks, in a sequence or by name"),
        ({"attacks": FGSM(eps=0.1)}, "several attacks, in a sequence or by name"),
        ({"attacks": ["apgd-ce"]}, "must hold attacks such as"),
        ({"attacks": [FGSM]}, "must hold attacks such as"),
        ({"attacks": [FGSM(eps=0.2)]}, "'1 FGSM' with linf 0.2"),
        ({"attacks": {"a": APGD(eps=torch.tensor([0.1, 0.2]))}}, "'a' with linf 0.2"),
        ({"attacks": [Rounded(attack=APGD(eps=0.2))]}, "'1 Rounded' with linf 0.2"),
        ({"attacks": [APGD(eps=0.1, norm="l2")]}, "'1 APGD' with l2 0.1"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        AutoAttack(**{"eps": 0.1, **fields})
    laws.assert_one_line(error.value)


def test_attacks_without_a_ball_or_on_a_smaller_one_may_take_part() -> None:
    members: list[Attack] = [FGSM(eps=0.05), FMN(norm="l2"), CWL2(), Rounded(attack=FGSM(eps=0.1))]
    assert list(AutoAttack(eps=0.1, attacks=members).members.values()) == members


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounded_pixels_at_the_rim_of_the_ball_count(dtype: torch.dtype) -> None:
    """In half precision a corner of the ball lies outside by as much as its pixels are rounded."""
    model = linear_model(3)[0].to(dtype)
    x = batch_of(linear_model(3)[0], 40)[0].to(dtype)
    y = clean_logits(model, x).argmax(dim=1)
    attack = APGD(eps=0.05, steps=10)
    alone = attack(model, x, y, rng=seeded())
    result = AutoAttack(eps=0.05, attacks=[attack])(model, x, y, rng=seeded())
    assert 0 < int(alone.success.sum()) < 40
    assert float(alone.norms.float().max()) > 0.05 + 1e-6
    assert abs(int(result.success.sum()) - int(alone.success.sum())) <= 1
