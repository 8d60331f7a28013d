"""Words become objects: from tables only, with every default written down."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vicinal import inputs, labels, objectives
from vicinal._checks import InputError
from vicinal.recipes import files, resolve
from vicinal.recipes.schema import Recipe

NAME = "alps/cifar10-preactresnet18"


def _recipe(**overrides: Any) -> Recipe:
    dotted = {name.replace("__", "."): value for name, value in overrides.items()}
    return files.recipe(NAME, scale="smoke", overrides=dotted)


def test_an_objective_is_built_with_its_arguments() -> None:
    found = resolve.objective(_recipe(objective__eps="1/5", objective__mode=0.8))
    assert found == objectives.ALPS(eps=0.2, mode=0.8, concentration=12.0)


def test_any_input_move_with_any_label_move() -> None:
    recipe = _recipe(
        objective="Vicinal",
        objective__inputs={"name": "PGD", "eps": "8/255", "step_size": "2/255", "steps": 3},
        objective__labels="Smooth",
    )
    assert resolve.objective(recipe) == objectives.Vicinal(
        inputs=inputs.PGD(eps=8 / 255, step_size=2 / 255, steps=3), labels=labels.Smooth(eps=0.1)
    )


def test_a_move_left_out_keeps_and_is_written_down() -> None:
    recipe = _recipe(objective="Vicinal")
    assert resolve.objective(recipe) == objectives.Vicinal()
    moves = recipe.objective.arguments
    assert moves == {"inputs": {"name": "Keep"}, "labels": {"name": "Keep"}}


def test_the_defaults_are_written_down_and_nothing_changes_by_that() -> None:
    recipe = _recipe(objective="MixUp", optimizer="adam", schedule="step")
    assert recipe.objective.arguments == {"alpha": 1.0, "per_sample": False}
    assert recipe.optimizer.arguments["betas"] == [0.9, 0.999]
    assert recipe.schedule.arguments == {"milestones": [0.5, 0.75], "gamma": 0.1}
    assert resolve.complete(recipe) == recipe


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"objective__epss": 1}, "`objective.epss` is no field of this recipe. "
         "Did you mean objective.eps?"),
        ({"objective__eps": 8}, "`objective.eps` must satisfy"),
        ({"objective__eps": "big"}, "`objective.eps` must be a number"),
        ({"objective": "ALP"}, "Did you mean ALPS?"),
        ({"objective": "Vicinal", "objective__labels": "Smoth"}, "Did you mean Smooth?"),
        ({"objective": "Vicinal", "objective__labels": {"name": "Smooth", "epss": 1}},
         "Did you mean objective.labels.eps?"),
        ({"objective": "Vicinal", "objective__inputs": {"name": "FGSM"}},
         "`objective.inputs.eps` must be given: FGSM has no default for it."),
        ({"optimizer": "sdg"}, "Did you mean sgd?"),
        ({"optimizer__momentun": 0.9}, "Did you mean optimizer.momentum?"),
        ({"schedule__peak": 2}, "`schedule.peak` must satisfy"),
        ({"model__widht": 8}, "Did you mean model.width?"),
        ({"model__width": 0}, "`model.width` must be an integer >= 1"),
        ({"model__name": "vgg19"}, "Did you mean vgg16?"),
        ({"model__num_classes": 3}, "`model.num_classes` is taken from the data set"),
        ({"dataset": "cifar"}, "Did you mean cifar10?"),
        ({"method": "erm"}, "`method` names a recipe"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(overrides: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as refusal:
        _recipe(**overrides)
    assert sentence in str(refusal.value)


def test_checking_a_model_draws_nothing() -> None:
    before = torch.get_rng_state()
    _recipe()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_move_within_a_move_and_a_loss_within_a_loss_are_built_and_written_down() -> None:
    vertex = {"name": "Vertex", "gamma": 1.5, "move": {"name": "FeatureScatter", "eps": "1/10"}}
    recipe = _recipe(objective="Vicinal", objective__inputs=vertex, objective__labels="Vertex")
    assert resolve.objective(recipe) == objectives.Vicinal(
        inputs=inputs.Vertex(move=inputs.FeatureScatter(eps=0.1), gamma=1.5),
        labels=labels.Vertex(),
    )
    assert recipe.objective.arguments["inputs"]["move"]["transport"] == "sinkhorn"
    assert resolve.complete(recipe) == recipe
    around = {"name": "TRADES", "beta": 1}
    recipe = _recipe(objective="AWP", objective__objective=around, objective__gamma=0.01)
    assert resolve.objective(recipe) == objectives.AWP(
        objective=objectives.TRADES(beta=1), gamma=0.01
    )
    assert recipe.objective.arguments["objective"]["steps"] == 10
    assert resolve.objective(_recipe(objective="AWP")) == objectives.AWP()
    deep = _recipe(
        objective="AWP",
        objective__objective={"name": "AdversarialTraining", "labels": {"name": "Smooth"}},
    )
    inner = objectives.AdversarialTraining(labels=labels.Smooth())
    assert resolve.objective(deep) == objectives.AWP(objective=inner)


def test_a_mistake_within_is_named_by_its_whole_place() -> None:
    with pytest.raises(InputError, match=r"Did you mean objective\.objective\.beta\?"):
        _recipe(objective="AWP", objective__objective={"name": "TRADES", "bata": 1})
    with pytest.raises(InputError, match=r"`objective\.inputs\.move` must be given"):
        _recipe(objective="Vicinal", objective__inputs="Vertex", objective__labels="Vertex")


@pytest.mark.parametrize(
    ("overrides", "mixed"),
    [
        ({"objective": "ERM"}, False),
        ({"objective": "TRADES"}, False),
        ({"objective": "IAT"}, True),
        ({"objective": "MTLAT"}, True),
        ({"objective": "AWP"}, False),
        ({"objective": "AWP", "objective.objective": "IAT"}, True),
        ({"objective": "Vicinal", "objective.inputs": "MixUp"}, True),
    ],
)
def test_a_method_that_mixes_is_known_wherever_it_stands(
    overrides: dict[str, Any], mixed: bool
) -> None:
    assert resolve.mixes(files.recipe(NAME, scale="smoke", overrides=overrides)) is mixed
