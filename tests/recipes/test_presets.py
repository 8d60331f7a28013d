"""The tuned overlay: what it says, over what, and that the paper's own is untouched."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from vicinal._checks import InputError
from vicinal.objectives import OBJECTIVES
from vicinal.recipes import files, resolve
from vicinal.recipes.presets import TUNED_EPS, layer

NAME = "alps/cifar10-preactresnet18"
PGD = {
    "objective": "Vicinal",
    "objective.inputs": "PGD",
    "objective.inputs.eps": 4 / 255,
    "objective.inputs.step_size": 1 / 255,
}
COMMON = {"tuned": {"ema": 0.9}}


def test_tuned_is_what_the_sheet_of_reproduction_says() -> None:
    tuned = files.recipe(NAME, preset="tuned")
    assert tuned.preset == "tuned"
    assert tuned.optimizer.arguments["weight_decay"] == 5e-4
    assert (tuned.ema, tuned.precision) == (0.995, "bf16")
    assert (tuned.validation, tuned.select) == (1000, "best")


def test_paper_is_the_default_and_the_recipe_as_its_file_has_it() -> None:
    paper = files.recipe(NAME)
    assert paper == files.recipe(NAME, preset="paper")
    assert (paper.preset, paper.ema, paper.validation, paper.select) == (
        "paper",
        None,
        None,
        "last",
    )


def test_only_what_the_preset_names_differs() -> None:
    paper, tuned = (files.recipe(NAME, preset=p).model_dump() for p in ("paper", "tuned"))
    differing = {field for field in paper if paper[field] != tuned[field]}
    assert differing == {"preset", "optimizer", "ema", "precision", "validation", "select"}
    assert tuned["optimizer"] == {**paper["optimizer"], "weight_decay": 5e-4}


@pytest.mark.parametrize("name", files.names())
def test_every_row_of_every_recipe_can_be_tuned_at_every_scale(name: str) -> None:
    for method in files.methods(name):
        for scale in files.SCALES:
            tuned = files.recipe(name, method=method, preset="tuned", scale=scale)
            resolve.objective(tuned)
            assert tuned.select == "best"


def test_the_scale_wins_over_the_preset_and_the_user_over_both() -> None:
    assert files.recipe(NAME, preset="tuned", scale="smoke").precision == "fp32"
    over = {"ema": 0.9, "optimizer.weight_decay": 1e-3}
    chosen = files.recipe(NAME, preset="tuned", scale="small", overrides=over)
    assert (chosen.ema, chosen.optimizer.arguments["weight_decay"]) == (0.9, 1e-3)


def test_of_a_small_set_fewer_images_are_held_out() -> None:
    assert files.recipe(NAME, preset="tuned", scale="smoke").validation == 200


def _tuned(objective: dict[str, Any]) -> dict[str, Any]:
    return layer("tuned", {"objective": objective}, common=COMMON, scale="full")


def test_a_move_that_attacks_gets_8_255_in_eval_mode_and_its_steps_grow_in_proportion() -> None:
    move = {"name": "PGD", "eps": 4 / 255, "step_size": 1 / 255, "batchnorm": "train"}
    found = _tuned({"name": "Vicinal", "inputs": move})
    assert found["objective"]["inputs"] == {
        "batchnorm": "eval",
        "eps": TUNED_EPS,
        "step_size": pytest.approx(2 / 255),
    }
    assert found["evaluation"] == {"eps": 8 / 255, "step_size": pytest.approx(2 / 255)}


def test_one_step_stays_one_step() -> None:
    found = _tuned({"name": "Vicinal", "inputs": {"name": "FGSM", "eps": 4 / 255}})
    assert found["objective"]["inputs"] == {"batchnorm": "eval", "eps": TUNED_EPS}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_that_attacks_is_found_and_none_that_does_not(name: str) -> None:
    """Whoever attacks says in its source in which mode BatchNorm does."""
    source = inspect.getsource(inspect.getmodule(OBJECTIVES[name]))  # type: ignore[arg-type]
    found = _tuned({"name": name})
    attacks = "batchnorm: BatchNormMode" in source
    assert ("objective" in found) == attacks
    if attacks:
        assert found["objective"]["batchnorm"] == "eval"
        assert TUNED_EPS in found["objective"].values()


def test_an_objective_within_an_objective_is_tuned_too() -> None:
    inner = {"name": "PGD", "eps": 0.01, "step_size": 0.005}
    found = _tuned({"name": "AWP", "objective": {"name": "Vicinal", "inputs": inner}})
    tuned = found["objective"]["objective"]["inputs"]
    assert tuned == {
        "batchnorm": "eval",
        "eps": TUNED_EPS,
        "step_size": pytest.approx(TUNED_EPS / 2),
    }


def test_a_budget_that_is_no_linf_budget_of_pixels_stays() -> None:
    move = {"name": "PGD", "eps": 0.5, "step_size": 0.1, "norm": "l2"}
    assert _tuned({"name": "Vicinal", "inputs": move})["objective"]["inputs"] == {
        "batchnorm": "eval"
    }
    move = {"name": "PGD", "eps": 0.0, "step_size": 0.1}
    assert "eps" not in _tuned({"name": "Vicinal", "inputs": move})["objective"]["inputs"]


@pytest.mark.parametrize("name", ["ERM", "LabelSmoothing", "MixUp", "ALPS", "GaussianVicinity"])
def test_a_method_that_does_not_attack_keeps_its_own_eps(name: str) -> None:
    assert _tuned({"name": name}) == COMMON["tuned"]


def test_the_users_budget_wins_over_the_tuned_one() -> None:
    chosen = files.recipe(NAME, preset="tuned", overrides=PGD)
    assert chosen.objective.arguments["inputs"]["eps"] == 4 / 255


def test_an_unknown_preset_is_one_sentence_and_it_is_no_field_to_override() -> None:
    with pytest.raises(InputError, match=r"^`preset` must be paper \| tuned; got 'best'"):
        files.recipe(NAME, preset="best")
    with pytest.raises(InputError, match=r"^`preset` names a recipe and cannot be overridden\.$"):
        files.recipe(NAME, overrides={"preset": "tuned"})


def test_neither_the_fields_nor_the_common_ones_are_modified() -> None:
    fields = {"objective": {"name": "Vicinal", "inputs": {"name": "FGSM", "eps": 0.1}}}
    common = {"tuned": {"optimizer": {"weight_decay": 1.0}}}
    layer("tuned", fields, common=common, scale="smoke")
    assert fields == {"objective": {"name": "Vicinal", "inputs": {"name": "FGSM", "eps": 0.1}}}
    assert common == {"tuned": {"optimizer": {"weight_decay": 1.0}}}
