"""The fields of a recipe: every mistake is one sentence that names the field."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from vicinal._checks import InputError
from vicinal.recipes.schema import field_names, read_recipe, suggest_field

GOOD: dict[str, Any] = {
    "name": "toy/toy",
    "paper": "nobody2026nothing",
    "method": "erm",
    "scale": "full",
    "dataset": "digits",
    "model": {"name": "digits_net"},
    "objective": {"name": "ERM"},
    "epochs": 1,
    "batch_size": 8,
    "optimizer": {"name": "sgd", "lr": "1/10"},
    "schedule": {"name": "constant"},
}


def test_a_recipe_is_read_and_fractions_are_numbers_everywhere() -> None:
    fields = {**GOOD, "evaluation": {"eps": "8/255"}, "tables": ["2", "5.3"]}
    recipe = read_recipe(fields)
    assert recipe.evaluation.eps == 8 / 255
    assert recipe.optimizer.arguments == {"lr": 0.1}
    assert recipe.tables == ("2", "5.3")


def test_a_recipe_is_frozen() -> None:
    recipe = read_recipe(GOOD)
    with pytest.raises(pydantic.ValidationError):
        recipe.epochs = 3


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("epoch", 3, "`epoch` is no field of this recipe. Did you mean epochs?"),
        ("eps", 0.3, "`eps` is no field of this recipe. Did you mean objective.eps?"),
        ("augment", {"padd": 1}, "Did you mean augment.pad?"),
        ("evaluation", {"atack_subset": 1}, "Did you mean evaluation.attack_subset?"),
        ("epochs", "many", "`epochs` must be a valid integer; got 'many'."),
        ("epochs", 0, "`epochs` must be greater than or equal to 1; got 0."),
        ("epochs", 1.5, "`epochs` must be a valid integer; got 1.5."),
        ("seed", -1, "`seed` must be greater than or equal to 0; got -1."),
        ("precision", "fp16", "`precision` must be 'fp32' or 'bf16'; got 'fp16'."),
        ("model", "digits_net", "`model`"),
        ("objective", {"eps": 1}, "`objective.name`"),
        ("evaluation", {"eps": "-1/255"}, "`evaluation.eps` must be greater than or equal to 0"),
    ],
)
def test_a_mistake_is_one_sentence_naming_the_field(
    field: str, value: object, sentence: str
) -> None:
    with pytest.raises(InputError) as refusal:
        read_recipe({**GOOD, field: value}, known=("objective.eps",))
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("field", ["epochs", "dataset", "model"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(InputError, match=f"field `{field}`; it is missing"):
        read_recipe({name: value for name, value in GOOD.items() if name != field})


def test_suggestions_go_by_the_last_word_and_prefer_the_objective() -> None:
    known = ["evaluation.eps", "objective.eps", "epochs", "objective.concentration"]
    assert suggest_field("eps", known) == " Did you mean objective.eps?"
    assert suggest_field("optimizer.eps", known) == " Did you mean objective.eps?"
    assert (
        suggest_field("objective.concentraton", known) == " Did you mean objective.concentration?"
    )
    assert suggest_field("epocs", known) == " Did you mean epochs?"


def test_field_names_reach_into_the_parts() -> None:
    assert {"epochs", "augment.pad", "objective.name", "evaluation.eps"} <= set(field_names())


@pytest.mark.parametrize("field", ["epochs", "batch_size", "train_subset", "seed"])
@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_no_number(field: str, value: bool) -> None:
    with pytest.raises(InputError, match=f"`{field}` must be a number; got {value}"):
        read_recipe({**GOOD, field: value})


@pytest.mark.parametrize("field", ["eps", "steps", "attack_subset"])
def test_a_boolean_is_no_number_inside_a_part(field: str) -> None:
    with pytest.raises(InputError, match=rf"`evaluation\.{field}` must be a number; got True"):
        read_recipe({**GOOD, "evaluation": {field: True}})


def test_a_boolean_stays_one_where_it_belongs() -> None:
    recipe = read_recipe({**GOOD, "channels_last": True, "augment": {"flip": False}})
    assert (recipe.channels_last, recipe.augment.flip) == (True, False)
