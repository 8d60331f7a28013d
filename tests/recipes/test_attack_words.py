"""Attacks as texts: what is written is read back, and a mistake is one sentence."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import nn

from vicinal._checks import InputError
from vicinal.attacks import APGD, ATTACKS, FGSM, PGD, AutoAttack, Transfer
from vicinal.recipes.attack_words import describe, parse_attack, spec
from vicinal.recipes.schema import Evaluation


@pytest.mark.parametrize(
    "attack",
    [
        FGSM(eps=4 / 255),
        FGSM(eps=0.1, loss="margin", target="least_likely"),
        PGD(eps=4 / 255, step_size=1 / 255, steps=10),
        PGD(eps=math.inf, step_size=0.01, steps=200, random_start=False, iterate="last"),
        PGD(eps=0.5, step_size=0.1, steps=7, restarts=3, norm="l2"),
        PGD(eps=1 / 3, step_size=0.123456789, steps=1),
    ],
)
def test_what_spec_writes_parse_attack_reads_back(attack: FGSM | PGD) -> None:
    assert parse_attack(spec(attack)) == attack
    assert spec(parse_attack(spec(attack))) == spec(attack)


def test_spec_writes_the_fields_that_differ_as_papers_do() -> None:
    assert (
        spec(PGD(eps=4 / 255, step_size=1 / 255, steps=10))
        == "pgd(eps=4/255, step_size=1/255, steps=10)"
    )
    assert spec(FGSM(eps=0.1)) == "fgsm(eps=0.1)"


def test_one_budget_per_channel_is_a_list() -> None:
    eps = torch.tensor([0.01, 0.02, 0.03])
    text = spec(FGSM(eps=eps))
    again = parse_attack(text)
    assert isinstance(again, FGSM)
    assert isinstance(again.eps, torch.Tensor)
    assert torch.equal(again.eps, eps)
    assert spec(again) == text


def test_target_classes_are_integers() -> None:
    attack = parse_attack("fgsm(eps=0.1, target=[1, 2])")
    assert isinstance(attack, FGSM)
    assert isinstance(attack.target, torch.Tensor)
    assert attack.target.tolist() == [1, 2]
    assert attack.target.dtype == torch.int64
    assert spec(attack) == "fgsm(eps=0.1, target=[1, 2])"


BUDGET = Evaluation(eps=0.1, step_size=0.025, steps=10)


def test_an_attack_without_eps_takes_the_budget() -> None:
    assert parse_attack("pgd", budget=BUDGET) == PGD(eps=0.1, step_size=0.025, steps=10)
    assert parse_attack("fgsm", budget=BUDGET) == FGSM(eps=0.1)
    assert parse_attack("pgd(steps=50)", budget=BUDGET) == PGD(eps=0.1, step_size=0.025, steps=50)


def test_steps_that_an_attack_has_of_its_own_are_not_the_budgets() -> None:
    assert parse_attack("apgd", budget=BUDGET) == APGD(eps=0.1)
    assert parse_attack("apgd(steps=20)", budget=BUDGET) == APGD(eps=0.1, steps=20)
    assert parse_attack("autoattack", budget=BUDGET) == AutoAttack(eps=0.1)
    assert spec(AutoAttack(eps=8 / 255, norm="l2")) == "autoattack(eps=8/255, norm=l2)"


def test_what_a_text_leaves_out_of_a_budget_is_filled() -> None:
    found = parse_attack("pgd(eps=8/255, steps=50)", budget=BUDGET)
    assert found == PGD(eps=8 / 255, step_size=0.025, steps=50)
    found = parse_attack("pgd(eps=8/255)", budget=BUDGET)
    assert found == PGD(eps=8 / 255, step_size=0.025, steps=10)
    with pytest.raises(InputError, match="'pgd' must be given step_size"):
        parse_attack("pgd(eps=8/255, steps=50)")


IN_L2 = [
    ("pgd(norm=l2)", "its own eps and step_size: it searches in l2, and the budget at hand is one"),
    ("pgd(norm=l2, eps=0.5)", "its own step_size: it searches in l2"),
    ("apgd(norm=l2)", "'apgd(norm=l2)' must be given its own eps"),
    ("autoattack(norm=l2)", "must be given its own eps"),
    ("fmn(norm=l2)", "must be given its own eps"),
    ("mi_fgsm(norm=l2)", "must be given its own eps"),
    ("rounded(attack=pgd(norm=l2, eps=0.5))", "its own step_size: it searches in l2"),
]


@pytest.mark.parametrize(("text", "sentence"), IN_L2)
def test_radius_and_step_of_one_norm_are_not_those_of_another(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        parse_attack(text, budget=BUDGET)


def test_a_budget_in_l2_fills_searches_in_l2_and_steps_fill_any() -> None:
    found = parse_attack("pgd(norm=l2)", budget=BUDGET, norm="l2")
    assert found == PGD(eps=0.1, step_size=0.025, steps=10, norm="l2")
    with pytest.raises(InputError, match="'pgd' must be given its own eps and step_size: it sear"):
        parse_attack("pgd", budget=BUDGET, norm="l2")
    found = parse_attack("pgd(norm=l2, eps=0.5, step_size=0.1)", budget=BUDGET)
    assert found == PGD(eps=0.5, step_size=0.1, steps=10, norm="l2")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("pgd", "give eps, such as 'pgd"),
        ("pgdd(eps=0.1)", "Did you mean pgd?"),
        ("cw-l2", "got 'cw-l2'. Did you mean cw_l2?"),
        ("pgd-20", "got 'pgd-20'. Did you mean pgd?"),
        ("mi-fgsm(eps=0.1)", "got 'mi-fgsm'. Did you mean mi_fgsm?"),
        ("pgd(eps=-0.1-0.1)", "must be a name with keyword arguments"),
        ("pgd(epss=0.1)", "Did you mean eps?"),
        ("pgd(eps=8, step_size=1/255, steps=1)", "did you mean 8/255?"),
        ("fgsm(eps=fgsm(eps=1))", "`eps` must be a number or a word"),
        ("transfer(attack=fgsm(eps=0.1))", "'transfer' must be given source"),
        ("transfer(source='r', attack=fgsm(eps=0.1))", "cannot be loaded here"),
    ],
)
def test_a_wrong_attack_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse_attack(text)
    assert sentence in str(refusal.value)


def test_a_transfer_names_its_source_and_its_attack() -> None:
    asked = []

    def load(path: str) -> nn.Module:
        asked.append(path)
        return nn.Flatten()

    text = "transfer(source='runs/erm', attack=pgd)"
    attack = parse_attack(text, budget=BUDGET, load=load)
    assert isinstance(attack, Transfer)
    assert attack.attack == PGD(eps=0.1, step_size=0.025, steps=10)
    assert asked == ["runs/erm"]
    named = describe(text, attack)
    assert named == ("transfer(source='runs/erm', attack=pgd(eps=0.1, step_size=0.025, steps=10))")
    again = parse_attack(named, load=load)
    assert isinstance(again, Transfer)
    assert again.attack == attack.attack


def test_spec_refuses_what_is_not_of_the_library() -> None:
    class Mine:
        pass

    with pytest.raises(InputError, match="Mine is none of"):
        spec(Mine())  # type: ignore[arg-type]
    assert set(ATTACKS) >= {"fgsm", "pgd", "transfer"}
