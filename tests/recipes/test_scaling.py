"""What follows from a scale: longer rows stay longer, training attacks follow the evaluation's."""

from __future__ import annotations

from typing import Any

import pytest

from vicinal.recipes.scaling import scaled

HARDER = {"evaluation": {"eps": 0.1}}


def fields(**own: Any) -> dict[str, Any]:
    return {
        "dataset": "cifar10",
        "model": {"name": "preactresnet18", "mean": [0.5]},
        "objective": {"name": "TRADES", "eps": "8/255", "step_size": "2/255"},
        "evaluation": {"eps": "8/255"},
        "epochs": 100,
        **own,
    }


def test_training_budgets_grow_as_the_evaluations_does() -> None:
    found = scaled(fields(), HARDER, user={})["objective"]
    assert found["eps"] == 0.1
    assert found["step_size"] == pytest.approx(0.025)
    weak = fields(objective={"name": "BAT", "eps": "4/255"})
    assert scaled(weak, HARDER, user={})["objective"] == {"name": "BAT", "eps": 0.05}


@pytest.mark.parametrize(
    ("below", "scale"),
    [
        (fields(objective={"name": "ALPS", "eps": 0.2}), HARDER),
        (fields(), {"epochs": 100}),
        (fields(evaluation={"eps": 0.1}), HARDER),
        (fields(evaluation={}), HARDER),
    ],
)
def test_an_objective_without_attack_or_a_scale_of_the_same_budget_changes_none(
    below: dict[str, Any], scale: dict[str, Any]
) -> None:
    assert scaled(below, scale, user={})["objective"] == below["objective"]


@pytest.mark.parametrize(
    ("own", "file", "expected"), [(200, 100, 48), (100, 100, 24), (150, 100, 36), (50, 100, 24)]
)
def test_a_longer_row_stays_longer_in_proportion_and_a_shorter_one_does_not(
    own: int, file: int, expected: int
) -> None:
    assert scaled(fields(epochs=own), {"epochs": 24}, user={}, epochs=file)["epochs"] == expected


def test_a_scale_that_leaves_the_epochs_alone_leaves_those_of_a_longer_row() -> None:
    assert scaled(fields(epochs=200), {}, user={}, epochs=100)["epochs"] == 200


def test_what_is_fixed_of_a_data_set_does_not_hold_for_the_scales() -> None:
    assert scaled(fields(), {"dataset": "digits"}, user={})["model"] == {"name": "preactresnet18"}
    assert scaled(fields(), {"dataset": "cifar10"}, user={})["model"]["mean"] == [0.5]


def test_nothing_that_was_given_is_changed() -> None:
    below, scale = fields(), {"dataset": "digits", "model": {"width": 16}, **HARDER}
    scaled(below, scale, user={"model": "wide_resnet"}, epochs=50)
    assert below == fields()
    assert scale == {"dataset": "digits", "model": {"width": 16}, **HARDER}
