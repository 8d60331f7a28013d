"""The work of a campaign on real digits: trained once, measured once, in any order."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vicinal import data, records
from vicinal._checks import InputError
from vicinal.campaigns import cells
from vicinal.campaigns.cells import CLEAN, Evaluating, Measurement, Training
from vicinal.recipes import Recipe, load, read, recipe

FGSM = Measurement("fgsm(eps=0.1)", 20)
PGD = Measurement("pgd(eps=0.5, step_size=0.001, steps=1, random_start=True, iterate=last)", 500)
BLACK = Measurement("transfer(source='erm-seed1000', attack=fgsm(eps=0.1))", 20)
RECIPE = "alps/cifar10-preactresnet18"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, Any]) -> Path:
    """A run folder of one epoch on digits."""
    folder = tmp_path_factory.mktemp("run") / "erm-seed0"
    task = Training(
        recipe=RECIPE,
        method="erm",
        scale="smoke",
        seed=0,
        overrides=tiny,
        run_dir=folder,
        data_dir=None,
        device="cpu",
    )
    cells.work(task)
    return folder


@pytest.fixture
def run_dir(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run without results."""
    for name in ("recipe.yaml", "weights.safetensors"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    return tmp_path


def measure(run_dir: Path, *measurements: Measurement, source: Path | None = None) -> None:
    task = Evaluating(
        run_dir=run_dir,
        measurements=measurements,
        source_dir=source,
        data_dir=None,
        device="cpu",
    )
    cells.work(task)


def test_a_clean_measurement_is_the_models_error(run_dir: Path) -> None:
    measure(run_dir, Measurement(CLEAN, 500))
    test = data.load("digits").test
    wrong = load(run_dir)(test.x / 255).argmax(dim=1) != test.y
    found = cells.measured(run_dir)[Measurement(CLEAN, 500)]
    assert found["error"] == pytest.approx(float(wrong.float().mean()))


def test_the_order_of_measurements_changes_no_number(run_dir: Path, tmp_path: Path) -> None:
    measure(run_dir, PGD, FGSM, BLACK, source=run_dir)
    first = cells.measured(run_dir)
    (run_dir / "results.jsonl").unlink()
    for each in (BLACK, FGSM, PGD):
        measure(run_dir, each, source=run_dir)
    second = cells.measured(run_dir)
    assert list(second) == [BLACK, FGSM, PGD]
    assert {key: r["error"] for key, r in first.items()} == {
        key: r["error"] for key, r in second.items()
    }


def test_a_net_that_is_its_own_source_meets_its_white_box_attack(run_dir: Path) -> None:
    measure(run_dir, FGSM, BLACK, source=run_dir)
    found = cells.measured(run_dir)
    assert found[FGSM]["error"] == found[BLACK]["error"]
    assert (found[FGSM]["source"], found[BLACK]["source"]) == (None, run_dir.name)


def test_one_attack_that_fails_does_not_lose_the_others(run_dir: Path) -> None:
    bad = Measurement("pgd(eps=8, step_size=1, steps=1)", 20)
    with pytest.raises(InputError, match="eps"):
        measure(run_dir, bad, FGSM)
    assert list(cells.measured(run_dir)) == [FGSM]


def test_a_black_box_attack_without_a_source_is_refused(run_dir: Path) -> None:
    with pytest.raises(InputError, match="source"):
        measure(run_dir, BLACK)


def test_a_result_cut_short_by_a_kill_is_not_there(run_dir: Path) -> None:
    measure(run_dir, FGSM)
    file = run_dir / "results.jsonl"
    file.write_bytes(file.read_bytes()[:-10])
    assert cells.measured(run_dir) == {}
    measure(run_dir, FGSM)
    assert list(cells.measured(run_dir)) == [FGSM]


def test_a_run_is_trained_when_its_weights_are_there(run_dir: Path, tiny: dict[str, Any]) -> None:
    wanted = recipe(RECIPE, method="erm", scale="smoke", overrides=tiny)
    assert cells.is_trained(run_dir, wanted)
    assert not cells.is_trained(run_dir / "elsewhere", wanted)
    (run_dir / "weights.safetensors").unlink()
    assert not cells.is_trained(run_dir, wanted)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"epochs": 2}, "`epochs` is 1, this campaign's 2"), ({"model.width": 3}, "`model` is")],
)
def test_a_run_of_another_recipe_is_refused(
    run_dir: Path, tiny: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    wanted = recipe(RECIPE, method="erm", scale="smoke", overrides=tiny | change)
    with pytest.raises(InputError, match=words):
        cells.is_trained(run_dir, wanted)


def test_how_a_run_is_evaluated_does_not_change_what_was_trained(
    run_dir: Path, tiny: dict[str, Any]
) -> None:
    overrides = tiny | {"evaluation.attack_subset": 50}
    wanted = recipe(RECIPE, method="erm", scale="smoke", overrides=overrides)
    assert cells.is_trained(run_dir, wanted)


def test_how_many_processes_decode_does_not_change_what_was_trained(
    run_dir: Path, tiny: dict[str, Any]
) -> None:
    wanted = recipe(RECIPE, method="erm", scale="smoke", overrides=tiny | {"workers": 7})
    assert cells.is_trained(run_dir, wanted)


def test_a_mean_that_the_recipe_fixes_belongs_to_what_was_trained(
    run_dir: Path, tiny: dict[str, Any]
) -> None:
    there = recipe_of(run_dir).model.arguments["mean"]
    same = recipe(RECIPE, method="erm", scale="smoke", overrides=tiny | {"model.mean": there})
    assert cells.is_trained(run_dir, same)
    other = recipe(RECIPE, method="erm", scale="smoke", overrides=tiny | {"model.mean": [0.0]})
    with pytest.raises(InputError, match="`model` is"):
        cells.is_trained(run_dir, other)


def recipe_of(run_dir: Path) -> Recipe:
    return read(run_dir / "recipe.yaml")


def test_the_test_images_are_loaded_once_per_process(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(run_dir, FGSM)
    module = importlib.import_module("vicinal.data")
    monkeypatch.setattr(module, "load", lambda *_, **__: pytest.fail("loaded again"))
    measure(run_dir, PGD)


def test_results_of_other_commands_in_the_file_are_no_harm(run_dir: Path) -> None:
    records.append(run_dir / "results.jsonl", {"kind": "something else"})
    assert cells.measured(run_dir) == {}


def test_a_campaign_trains_the_recipe_that_it_looks_for(tmp_path: Path) -> None:
    file = tmp_path / "own.npz"
    x, y = np.zeros((20, 8, 8), dtype=np.uint8), np.arange(20) % 2
    np.savez(file, x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    task = Training(
        recipe=RECIPE,
        method="erm",
        scale="small",
        seed=0,
        overrides={"dataset": "npz", "model.name": "digits_net", "model.width": 4, "epochs": 1},
        run_dir=tmp_path / "run",
        data_dir=file,
        device="cpu",
    )
    with pytest.raises(InputError, match="`train_subset` must be at most the split's 20 images"):
        cells.work(task)
    assert not task.run_dir.exists()
