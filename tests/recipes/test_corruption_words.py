"""Words become corruptions: from tables only, on the command line and in a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from vicinal import corruptions, inputs, objectives
from vicinal._checks import InputError
from vicinal.recipes import files, resolve
from vicinal.recipes.corruption_words import (
    CORRUPTION_CLASSES,
    read_corruptions,
    read_severities,
)


def test_every_corruption_is_what_its_word_builds() -> None:
    assert CORRUPTION_CLASSES.keys() == corruptions.CORRUPTIONS.keys()
    for name, build in CORRUPTION_CLASSES.items():
        assert build() == corruptions.CORRUPTIONS[name]


@pytest.mark.parametrize("name", corruptions.CORRUPTIONS)
def test_a_recipe_trains_on_any_corruption_in_one_line(name: str) -> None:
    moves = {"name": "Corrupt", "corruption": name, "severities": [1, 3], "share": 0.5}
    recipe = files.recipe(
        "alps/cifar10-preactresnet18",
        scale="smoke",
        overrides={"objective": "Vicinal", "objective.inputs": moves},
    )
    wanted = inputs.Corrupt(corruption=corruptions.CORRUPTIONS[name], severities=(1, 3), share=0.5)
    assert resolve.objective(recipe) == objectives.Vicinal(inputs=wanted)
    assert resolve.complete(recipe) == recipe
    assert recipe.objective.arguments["inputs"]["corruption"]["name"] == name


def test_a_misspelt_corruption_in_a_recipe_is_one_sentence() -> None:
    moves = {"name": "Corrupt", "corruption": "gausian_noise"}
    with pytest.raises(InputError, match=r"`objective\.inputs\.corruption\.name`.*gaussian_noise"):
        files.recipe(
            "alps/cifar10-preactresnet18",
            scale="smoke",
            overrides={"objective": "Vicinal", "objective.inputs": moves},
        )


def test_names_sets_and_both() -> None:
    assert list(read_corruptions("gaussian_noise, gaussian_noise")) == ["gaussian_noise"]
    for wrong, sentence in {
        "": "at least one",
        ",": "at least one",
        "gausian_noise": "Did you mean gaussian_noise",
    }.items():
        with pytest.raises(InputError, match=sentence):
            read_corruptions(wrong)


@pytest.mark.parametrize("name", corruptions.SETS)
def test_a_set_is_its_names_in_order(name: str) -> None:
    assert tuple(read_corruptions(name)) == corruptions.SETS[name]
    more = read_corruptions(f"{name},gaussian_noise")
    assert tuple(more)[: len(corruptions.SETS[name])] == corruptions.SETS[name]


def test_the_original_textures_are_the_frosts() -> None:
    found = read_corruptions("frost,fog", frost=Path("textures"))
    assert found["frost"] != corruptions.CORRUPTIONS["frost"]
    assert found["fog"] is corruptions.CORRUPTIONS["fog"]


def test_severities_are_numbers_and_ranges() -> None:
    assert read_severities("1-5") == (1, 2, 3, 4, 5)
    assert read_severities("5, 2,2-3") == (2, 3, 5)
    for wrong in ("", "0", "6", "a", "1-", "1-9", "1,,2", "4-2"):
        with pytest.raises(InputError, match="`severities` must"):
            read_severities(wrong)
