"""The family's tables: every method of its recipe, the same attacks for each."""

from __future__ import annotations

import pytest

from vicinal.campaigns.family_tables import METHODS, SUBJECTS, family_cells
from vicinal.campaigns.threats import Threat
from vicinal.corruptions import SETS
from vicinal.recipes import methods

PGD = Threat(name="pgd", eps=8 / 255, step_size=2 / 255, steps=20, random_start=True)


def test_small_is_cifar_10_clean_and_under_20_steps_on_two_losses() -> None:
    found = family_cells("family/small", scale="small", overrides={})
    assert list(dict.fromkeys(cell.threat for cell in found)) == [
        None,
        PGD,
        Threat(**{**vars(PGD), "loss": "margin"}),
    ]
    assert {cell.dataset for cell in found} == {"cifar10"}
    assert len(found) == 3 * len(METHODS)


def test_demo_is_digits_and_has_fgsm_too_at_a_budget_that_moves_them() -> None:
    found = family_cells("family/demo", scale="smoke", overrides={})
    assert {cell.dataset for cell in found} == {"digits"}
    assert {c.threat.eps for c in found if c.threat} == {0.1}
    assert {c.threat.step_size for c in found if c.threat} == {0.0, 0.025}
    assert len(found) == 4 * len(METHODS)


@pytest.mark.parametrize("table", SUBJECTS)
def test_every_method_of_the_recipe_is_a_row_and_no_other(table: str) -> None:
    found = family_cells(table, scale="full", overrides={})
    assert {cell.key for cell in found} == set(methods(str(found[0].recipe)))
    assert {cell.metric for cell in found} <= {"accuracy", "robustness_score"}


def test_overrides_of_the_evaluation_change_the_budget() -> None:
    found = family_cells("family/demo", scale="smoke", overrides={"evaluation.eps": 0.2})
    assert {c.threat.eps for c in found if c.threat} == {0.2}


def test_a_row_under_corruptions_is_one_measurement_read_21_times_and_its_share_of_clean() -> None:
    found = [
        cell
        for cell in family_cells("family/corruptions", scale="small", overrides={})
        if cell.key == "mtlat"
    ]
    assert len({cell.threat for cell in found}) == 1
    each = {name: [k / 100] * 5 for k, name in enumerate(SETS["all"])}
    means = {"accuracy": 0.25, "robustness_score": 0.5, "clean_accuracy": 0.5}
    told = {**means, "by_corruption": each}
    read = {(cell.condition, cell.metric): cell.number_in(told) for cell in found}
    expected = {(name.replace("_", " "), "accuracy"): k / 100 for k, name in enumerate(SETS["all"])}
    whole = {("clean", "accuracy"): 0.5, ("mean", "accuracy"): 0.25}
    assert read == pytest.approx(whole | expected | {("mean", "robustness_score"): 0.5})
