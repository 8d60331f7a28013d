"""Laying fields over fields: what wins, what is dropped, what is kept."""

from __future__ import annotations

import copy

import pytest

from vicinal._checks import InputError
from vicinal.recipes.overlay import nest, overlay


def _accepts(model: str, argument: str) -> bool:
    return argument in {"net_a": ("width", "dropout"), "net_b": ("dropout", "norm_layer")}[model]


def test_the_upper_field_wins_and_the_others_stay() -> None:
    below = {"epochs": 200, "augment": {"pad": 4, "flip": True}}
    assert overlay(below, {"augment": {"flip": False}}, accepts=_accepts) == {
        "epochs": 200,
        "augment": {"pad": 4, "flip": False},
    }


@pytest.mark.parametrize("part", ["objective", "optimizer", "schedule"])
def test_a_new_name_drops_the_arguments_of_the_old_one(part: str) -> None:
    below = {part: {"name": "old", "momentum": 0.9}}
    assert overlay(below, {part: {"name": "new", "lr": 1}}, accepts=_accepts) == {
        part: {"name": "new", "lr": 1}
    }


def test_the_same_name_keeps_the_arguments() -> None:
    below = {"objective": {"name": "ALPS", "eps": 0.2, "mode": 0.9}}
    assert overlay(below, {"objective": {"name": "ALPS", "eps": 0.3}}, accepts=_accepts) == {
        "objective": {"name": "ALPS", "eps": 0.3, "mode": 0.9}
    }


def test_a_new_model_keeps_the_arguments_that_it_has_too() -> None:
    below = {"model": {"name": "net_a", "width": 64, "dropout": 0.5}}
    found = overlay(below, {"model": {"name": "net_b", "norm_layer": "group"}}, accepts=_accepts)
    assert found == {"model": {"name": "net_b", "dropout": 0.5, "norm_layer": "group"}}


def test_a_move_inside_an_objective_is_replaced_like_a_part() -> None:
    below = {"objective": {"name": "Vicinal", "labels": {"name": "Smooth", "eps": 0.1}}}
    above = {"objective": {"labels": {"name": "Keep"}}}
    found = overlay(below, above, accepts=_accepts)
    assert found == {"objective": {"name": "Vicinal", "labels": {"name": "Keep"}}}


def test_neither_input_is_modified() -> None:
    below = {"model": {"name": "net_a", "width": 1}, "augment": {"pad": 1}}
    above = {"model": {"name": "net_b"}, "augment": {"pad": 2}}
    before = copy.deepcopy((below, above))
    overlay(below, above, accepts=_accepts)
    assert (below, above) == before


def test_dotted_names_nest() -> None:
    assert nest({"objective.labels.eps": 0.3, "objective.name": "Vicinal", "epochs": 1}) == {
        "objective": {"labels": {"eps": 0.3}, "name": "Vicinal"},
        "epochs": 1,
    }


def test_a_word_for_a_part_is_its_name() -> None:
    assert nest({"objective": "MixUp", "objective.alpha": 0.5}) == {
        "objective": {"name": "MixUp", "alpha": 0.5}
    }


@pytest.mark.parametrize(
    "fields", [{"epochs": 1, "epochs.x": 2}, {"epochs.x": 2, "epochs": 1}, {"a.b": 1, "a.b.c": 1}]
)
def test_a_value_and_a_field_of_it_cannot_both_be_given(fields: dict[str, int]) -> None:
    with pytest.raises(InputError, match="cannot both be given"):
        nest(fields)
