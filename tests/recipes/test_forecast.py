"""A forecast: its passes are those of the real run, its memory is counted, and nothing is left."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from counting import Counted
from vicinal import data, engine
from vicinal.recipes import files, resolve, run
from vicinal.recipes.forecast import TrainingForecast, forecast_training
from vicinal.recipes.schema import Recipe

NAME = "alps/cifar10-preactresnet18"
CPU = torch.device("cpu")


def _recipe(**fields: Any) -> Recipe:
    scale, method = fields.pop("scale", "smoke"), fields.pop("method", "erm")
    few = {"epochs": 2, "train_subset": 200, "model.width": 4} if scale == "smoke" else {}
    return files.recipe(NAME, method=method, scale=scale, overrides={**few, **fields})


def _forecast(recipe: Recipe, *, done: int = 0) -> TrainingForecast:
    return forecast_training(recipe, device=CPU, done=done, seconds=0.3)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"objective.name": "ALPS"},
        {"batch_size": 50, "accumulate": 3},
        {"batch_size": 33},
        {"batch_size": 199},  # the last batch of one image is left out
        {"objective": {"name": "Vicinal", "inputs": "PGD", "labels": "Keep"}},
        {"ema": 0.9},
        {"validation": 50, "select": "best", "evaluation.steps": 3},
        {"validation": 50, "validate_every": 2, "evaluation.steps": 3},
    ],
    ids=str,
)
def test_the_passes_are_those_that_a_real_run_makes(
    fields: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "objective" in fields:
        inputs = {"name": "PGD", "eps": 0.1, "step_size": 0.05, "steps": 2}
        part = {"name": "Vicinal", "inputs": inputs, "labels": {"name": "Keep"}}
        fields = {"objective": part}
    recipe = _recipe(**fields)
    found = _forecast(recipe)
    counted, build = [], resolve.model

    def counting(told: Recipe) -> nn.Module:
        counted.append(Counted(build(told)))
        return counted[-1]

    monkeypatch.setattr(resolve, "model", counting)
    records = list(run.stream(recipe, run_dir=tmp_path))
    assert len(records) == found.epochs == 2
    assert sum(net.forward_images for net in counted) == found.forward
    assert sum(net.backward_images for net in counted) == found.backward


def test_steps_and_images_are_those_of_the_loader() -> None:
    for n, batch in ((200, 64), (200, 199), (200, 100), (100, 64)):
        found = _forecast(_recipe(train_subset=n, batch_size=batch))
        split = data.first(data.load("digits").train, n)
        loader = data.Loader(split, batch_size=batch, drop_last=n % batch == 1)
        batches = list(loader.epoch(torch.Generator().manual_seed(0)))
        assert (found.steps, found.images) == (len(batches), sum(len(y) for _, y in batches))


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_parameters_gradients_and_optimizer_are_exact(name: str) -> None:
    lr = {"optimizer": {"name": name, "lr": 0.01}}
    recipe = _recipe(scale="small", **lr, **{"model.width": 4})
    memory = _forecast(recipe).memory
    model = run._initial_model(
        recipe.model_copy(
            update={
                "model": recipe.model.model_copy(
                    update={"num_classes": 10, "in_channels": 3, "mean": [0.5] * 3}
                )
            }
        )
    )
    built = engine.build_optimizer(model.parameters(), resolve.optimizer(recipe))
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    built.step()
    state = [
        value
        for each in built.state.values()
        for value in each.values()
        if isinstance(value, torch.Tensor)
    ]
    assert memory.optimizer == sum(value.nbytes for value in state)
    assert memory.gradients == sum(weight.nbytes for weight in model.parameters())
    whole = [*model.parameters(), *model.buffers()]
    assert memory.parameters == sum(tensor.nbytes for tensor in whole)


def test_the_images_on_the_device_are_counted_padded_and_as_they_were() -> None:
    memory = _forecast(_recipe(train_subset=200)).memory
    assert memory.data == 200 * 64 + 200 * 8
    padded = _forecast(_recipe(train_subset=200, **{"augment.pad": 2})).memory
    assert padded.data == 200 * 144 + 200 * 64 + 200 * 8


def test_copies_and_micro_batches_are_counted() -> None:
    plain = _forecast(_recipe()).memory
    assert plain.copies == 0
    assert _forecast(_recipe(ema=0.9)).memory.copies == plain.parameters
    halves = _forecast(_recipe(accumulate=2)).memory.activations
    assert halves == pytest.approx(plain.activations / 2, rel=0.05)


def test_what_is_done_already_is_not_forecast() -> None:
    recipe = _recipe()
    left = _forecast(recipe, done=1)
    assert (left.epochs, left.forward) == (1, 200)
    nothing = _forecast(recipe, done=2)
    assert (nothing.forward, nothing.backward, nothing.seconds) == (0, 0, 0.0)


def test_seconds_grow_with_epochs_and_count_the_incomplete_batch() -> None:
    found = _forecast(_recipe(batch_size=64))
    assert found.seconds == pytest.approx(2 * 200 / 64 * found.step_seconds)
    longer = dataclasses.replace(found, epochs=6)
    assert longer.seconds == pytest.approx(3 * found.seconds)


def test_a_published_set_needs_no_data() -> None:
    found = _forecast(_recipe(scale="small", **{"model.width": 4}))
    assert (found.images, found.sizes.shape, found.steps) == (10_000, (3, 32, 32), 79)
    assert found.sizes.source == "as published, not looked for"


def test_too_little_memory_proposes_accumulate(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = _recipe()
    enough = _forecast(recipe)
    assert enough.accumulate is None
    fixed = enough.memory.total - enough.memory.activations
    for share, wanted in ((0.6, 2), (0.3, 4), (0.0001, None)):
        free = int(fixed + share * enough.memory.activations)
        monkeypatch.setattr("vicinal.recipes.forecast.free_memory", lambda _, free=free: free)
        assert _forecast(recipe).accumulate == wanted
    monkeypatch.setattr("vicinal.recipes.forecast.free_memory", lambda _: None)
    assert _forecast(recipe).accumulate is None


def test_nothing_is_written_and_no_generator_is_drawn_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    recipe = _recipe(method="alps")
    kept = copy.deepcopy(recipe)
    found = _forecast(recipe)
    assert torch.equal(torch.get_rng_state(), before)
    assert not list(tmp_path.iterdir())
    assert recipe == kept
    assert json.loads(json.dumps(found.record))["forward"] == 400
