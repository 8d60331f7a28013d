"""The judgement after an epoch, against evaluation called by hand; and no best without one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from vicinal import attacks, data
from vicinal._checks import InputError
from vicinal.engine import generator
from vicinal.recipes import files
from vicinal.recipes.run import train
from vicinal.recipes.schema import Recipe
from vicinal.recipes.validation import check_selection, is_judged, validator

NAME = "alps/cifar10-preactresnet18"


def _recipe(**changed: object) -> Recipe:
    return files.recipe(NAME, scale="smoke", seed=3, overrides=changed)


def _net() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10)).eval()


def _batches(net: nn.Module) -> data.Loader:
    """Images that the net gets right, 20 and 7 at a time."""
    x = torch.randint(256, (27, 1, 8, 8), dtype=torch.uint8)
    with torch.no_grad():
        y = net(x.float() / 255).argmax(dim=1)
    return data.Loader(data.Split(x=x, y=y), batch_size=20)


def test_the_score_is_the_accuracy_under_pgd_of_the_recipes_budget() -> None:
    net, recipe = _net(), _recipe(**{"evaluation.eps": 0.03})
    batches = _batches(net)
    found = validator(recipe, batches)(net, 1)

    budget = recipe.evaluation
    attack = attacks.PGD(eps=0.03, step_size=budget.step_size, steps=budget.steps)
    rng, survived = generator(3, "validation"), 0
    for x, y in batches:
        survived += int((~attack(net, x, y, rng=rng).success).sum())
    assert 0 < survived < 27
    assert found == {
        "score": survived / 27,
        "validation_accuracy": 1.0,
        "validation_robust_accuracy": survived / 27,
    }


def test_every_epoch_is_judged_with_the_same_draws_and_leaves_the_model_and_the_caller() -> None:
    net = _net().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    batches = _batches(_net())
    state = torch.get_rng_state()
    validate = validator(_recipe(), batches)
    assert validate(net, 1) == validate(net, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(weight.grad is None for weight in net.parameters())


def test_every_kth_epoch_and_the_last_are_judged_and_nothing_is_paid_for_the_others() -> None:
    recipe = _recipe(epochs=7, validation=100, validate_every=3)
    assert [e for e in range(1, 8) if is_judged(recipe, e)] == [3, 6, 7]
    net = _net()
    calls: list[int] = []
    net.register_forward_hook(lambda *_: calls.append(1))
    validate = validator(recipe, _batches(_net()))
    assert validate(net, 4) == {}
    assert not calls
    assert validate(net, 6)["score"] >= 0


def test_the_best_is_chosen_among_the_judged_epochs(tmp_path: Path) -> None:
    few = {"epochs": 5, "train_subset": 100, "validation": 60, "validate_every": 2}
    run = train(NAME, scale="smoke", overrides={**few, "select": "best"}, run_dir=tmp_path)
    assert ["score" in record for record in run.metrics] == [False, True, False, True, True]


def test_the_best_without_held_out_images_is_one_sentence() -> None:
    with pytest.raises(
        InputError, match=r"^`select` can be best only with `validation`, [^\n]*\?$"
    ):
        check_selection(_recipe(select="best"))
    check_selection(_recipe(select="best", validation=100))
    check_selection(_recipe(validation=100))
