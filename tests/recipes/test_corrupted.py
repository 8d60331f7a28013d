"""A run judged under corruptions: the records in its folder, and mCE beside another run."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import layouts
from vicinal import data, records
from vicinal._checks import InputError
from vicinal.corruptions import gaussian_noise
from vicinal.evaluation import CorruptionResults, corrupted
from vicinal.recipes import files, foreign, loading, resolve, run
from vicinal.recipes.corrupted import (
    Ask,
    _together,
    baseline_of,
    corrupt_job,
    corrupt_run,
    judged,
)

FEW = {"epochs": 1, "train_subset": 200}
NOISE = Ask(corruptions="gaussian_noise", n=60)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "erm"
    run.train("alps/cifar10-vgg16", scale="smoke", overrides=FEW, run_dir=folder, progress=False)
    return folder


def kept(folder: Path) -> list[dict[str, Any]]:
    return records.read(folder / "results.jsonl")


def test_the_records_are_those_of_the_evaluation_and_say_of_what(trained: Path) -> None:
    before = len(kept(trained))
    found = corrupt_run(trained, NOISE)
    assert [{"schema": 1, **one} for one in found] == kept(trained)[before:]
    recipe = files.read(trained / "recipe.yaml")
    split = data.first(data.load("digits").test, 60)
    seed = torch.Generator()
    results = judged(run.load(trained), recipe, NOISE, data_dir=None)
    assert [one["accuracy"] for one in found] == [one["accuracy"] for one in results.records]
    plain = corrupted(
        run.load(trained),
        (split.x / 255, split.y),
        corruptions={"gaussian_noise": gaussian_noise},
        rng=seed,
    )
    assert plain.clean_correct == results.clean_correct
    told = {"method": "alps", "dataset": "digits", "scale": "smoke", "seed": 0, "files": None}
    assert all(told.items() <= one.items() for one in found)
    assert [one["severity"] for one in found[:-1]] == [1, 2, 3, 4, 5, None]


def test_what_was_judged_is_kept_where_the_caller_says(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, recipe = run.load(trained), files.read(trained / "recipe.yaml")
    once = judged(model, recipe, NOISE, data_dir=None, kept=tmp_path)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("judged again")

    monkeypatch.setattr(importlib.import_module("vicinal.evaluation.corrupted"), "logits", never)
    again = judged(model, recipe, NOISE, data_dir=None, kept=tmp_path)
    assert (again.correct, again.clean_correct) == (once.correct, once.clean_correct)
    with pytest.raises(AssertionError, match="judged again"):
        judged(model, recipe, replace(NOISE, seed=1), data_dir=None, kept=tmp_path)


def test_a_seed_is_a_result(trained: Path) -> None:
    recipe = files.read(trained / "recipe.yaml")
    hard = [
        judged(
            run.load(trained),
            recipe,
            Ask(corruptions="gaussian_noise", severities="5", seed=seed),
            data_dir=None,
        ).correct["gaussian_noise"][5]
        for seed in (0, 0, 1, 2, 3)
    ]
    assert hard[0] == hard[1]
    assert len(set(hard)) > 1


def test_a_run_is_a_baseline_for_another(trained: Path) -> None:
    corrupt_run(trained, NOISE)
    own = baseline_of(str(trained))
    assert (own.name, set(own.errors)) == ("erm", {"gaussian_noise"})
    found = corrupt_run(trained, Ask(corruptions="gaussian_noise", n=60, baseline=str(trained)))
    assert found[-1]["baseline"] == "erm"
    assert found[-1]["mce"] == pytest.approx(100)


def test_a_baseline_judged_on_something_else_is_refused(trained: Path, tmp_path: Path) -> None:
    """Three corruptions at severity 5, then one at all five, of fewer images."""
    three = Ask(corruptions="brightness,contrast,fog", severities="5", n=50)
    for name in ("recipe.yaml", "weights.safetensors"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    corrupt_run(tmp_path, three)
    corrupt_run(tmp_path, Ask(corruptions="brightness", n=20))
    beside = replace(three, severities="1-5", baseline=str(tmp_path))
    with pytest.raises(InputError, match="was last on n 20, not 50"):
        corrupt_run(trained, beside)
    with pytest.raises(
        InputError, match="not, or not comparably, under contrast, fog, only bright"
    ):
        corrupt_run(trained, replace(beside, n=20))
    with pytest.raises(InputError, match="must be a run judged on digits"):
        corrupt_run(trained, replace(beside, baseline="alexnet"))
    found = corrupt_run(tmp_path, replace(beside, n=20, corruptions="brightness,translation"))
    assert found[-1]["over"] == ["brightness"]
    assert found[-1]["mce"] == pytest.approx(100)


def test_what_is_no_baseline_is_one_sentence(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean alexnet"):
        baseline_of("alexnett")
    with pytest.raises(InputError, match="judged under corruptions"):
        baseline_of(str(tmp_path))
    corrupt_run(trained, Ask(corruptions="gaussian_noise", n=10, severities="3"))
    with pytest.raises(InputError, match=r"all five severities; .* was at \[3\]"):
        baseline_of(str(trained))
    assert baseline_of("alexnet").clean == 0.435


def test_a_published_set_is_judged_as_its_files_are(tmp_path: Path) -> None:
    """CIFAR-10-C made up beside CIFAR-10 made up; the model is ours, untrained."""
    layouts.cifar_c(tmp_path / "CIFAR-10-C", ["fog", "snow"], images=8)
    layouts.cifar_npz(tmp_path, images=8)
    recipe = files.recipe("alps/cifar10-vgg16", scale="small", overrides={"model.width": 2})
    images = loading.open_images(recipe, tmp_path)
    recipe = loading.with_data(recipe, images)
    model = resolve.model(recipe)
    found = judged(model, recipe, Ask(corruptions="cifar10-c", severities="2,5"), data_dir=tmp_path)
    assert found.clean_n == 8
    published = data.load_corrupted("cifar10-c", tmp_path)
    model.eval()
    for name in ("fog", "snow"):
        for severity in (2, 5):
            part = published.part(name, severity)
            assert isinstance(part, data.Split)
            with torch.no_grad():
                right = model(part.x / 255).argmax(dim=1) == part.y
            assert found.correct[name][severity] == int(right.sum())
    ask = Ask(corruptions="cifar10-c", severities="2", n=3)
    few = judged(model, recipe, ask, data_dir=tmp_path)
    assert (few.n, few.clean_n) == (3, 3)
    # Its images are test images: those held out of training are no twins of theirs.
    held: dict[str, Any] = {"evaluation.split": "validation", "validation": 4, "train_subset": None}
    held |= {"model.width": 2}
    other = files.recipe("alps/cifar10-vgg16", scale="small", overrides=held)
    bare = judged(model, other, ask, data_dir=tmp_path)
    assert (bare.n, bare.clean_n, bare.correct) == (3, 0, few.correct)


def test_a_published_set_has_the_size_of_its_files(tmp_path: Path) -> None:
    """Beside a baseline: eight images of the set, though only six clean ones are there."""
    layouts.cifar_c(tmp_path / "CIFAR-10-C", ["fog"], images=8)
    layouts.cifar_npz(tmp_path, images=6)
    recipe = files.recipe("alps/cifar10-vgg16", scale="small", overrides={"model.width": 2})
    recipe = loading.with_data(recipe, loading.open_images(recipe, tmp_path))
    model, ask = resolve.model(recipe), Ask(corruptions="cifar10-c")
    facts = {"dataset": "cifar10", "split": "test", "files": "cifar10-c"}
    before = judged(model, recipe, ask, data_dir=tmp_path)
    for record in before.records:
        records.append(tmp_path / "results.jsonl", {**record, **facts})
    beside = replace(ask, baseline=str(tmp_path))
    found = judged(model, recipe, beside, data_dir=tmp_path)
    assert (found.n, found.records[-1]["mce"]) == (8, pytest.approx(100))
    with pytest.raises(InputError, match="n 8, not 5"):
        judged(model, recipe, replace(beside, n=5), data_dir=tmp_path)


def test_what_several_processes_found_is_put_side_by_side_again() -> None:
    shared: dict[str, Any] = {"n": 4, "clean_correct": 3, "clean_n": 4}
    one = CorruptionResults(
        correct={"fog": {1: 1}, "snow": {1: 2}},
        ece={"fog": {1: 0.1}, "snow": {1: 0.2}},
        forward=12,
        seconds=1.0,
        **shared,
    )
    other = CorruptionResults(
        correct={"frost": {1: 3}},
        ece={"frost": {1: 0.3}},
        aside=frozenset({"frost"}),
        forward=8,
        seconds=2.0,
        **shared,
    )
    found = _together([one, other], ("fog", "frost", "snow"))
    assert list(found.correct.items()) == [("fog", {1: 1}), ("frost", {1: 3}), ("snow", {1: 2})]
    assert (found.aside, found.over) == (frozenset({"frost"}), ("fog", "snow"))
    assert (found.forward, found.seconds, found.clean) == (20, 2.0, 0.75)
    assert found.ece == {"fog": {1: 0.1}, "snow": {1: 0.2}, "frost": {1: 0.3}}


def test_a_model_of_ones_own_is_judged_as_the_run_is(trained: Path, tmp_path: Path) -> None:
    laid = foreign.job_of(run.load(trained), name="net", dataset="digits", folder=tmp_path)
    found = corrupt_job(laid, NOISE)
    own = corrupt_run(trained, NOISE)
    keys = ("corruption", "severity", "correct", "n")
    assert [[one.get(key) for key in keys] for one in found] == [
        [one.get(key) for key in keys] for one in own
    ]
    assert [{"schema": 1, **one} for one in found] == kept(tmp_path)
    assert all(one["model"] == "net" and "circumstances" in one for one in found)


def test_a_baseline_that_is_not_there_is_found_out_before_anything_is_judged(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("judged")

    monkeypatch.setattr("vicinal.recipes.corrupted.corrupted", never)
    with pytest.raises(InputError, match="baseline"):
        corrupt_run(trained, Ask(corruptions="gaussian_noise", n=5, baseline="nobody"))
