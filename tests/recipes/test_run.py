"""Runs as folders: trained, loaded, gone on with, refused, and always the same bits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from vicinal import data, engine, records
from vicinal._checks import InputError
from vicinal.recipes import files, loading, resolve, run
from vicinal.recipes.schema import Recipe
from vicinal.recipes.validation import validator

NAME = "alps/cifar10-preactresnet18"
QUICK: dict[str, Any] = {"epochs": 2, "train_subset": 200, "model.width": 4}


def _train(folder: Path, **arguments: Any) -> run.Run:
    overrides = {**QUICK, **arguments.pop("overrides", {})}
    return run.train(NAME, scale="smoke", overrides=overrides, run_dir=folder, **arguments)


def _weights(folder: Path) -> dict[str, Tensor]:
    return run.load(folder).state_dict()


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_a_run_folder_holds_recipe_metrics_weights_and_environment(tmp_path: Path) -> None:
    found = _train(tmp_path / "run")
    names = {file.name for file in found.path.iterdir()}
    assert names == {
        "recipe.yaml",
        "environment.json",
        "metrics.jsonl",
        "checkpoint.pt",
        "weights.safetensors",
    }
    assert [record["epoch"] for record in found.metrics] == [1, 2]
    assert files.read(found.path / "recipe.yaml") == found.recipe
    environment = json.loads((found.path / "environment.json").read_text(encoding="utf-8"))
    assert {
        "vicinal",
        "torch",
        "python",
        "device",
        "threads",
        "processor",
        "command",
        "date",
    } <= set(environment)


def test_the_recipe_of_a_run_knows_its_data(tmp_path: Path) -> None:
    model = _train(tmp_path).recipe.model.arguments
    pixels = data.load("digits").train.x.numpy().astype(np.float64) / 255
    assert (model["num_classes"], model["in_channels"]) == (10, 1)
    # Of the whole training split, though a subset of 200 was trained on.
    assert model["mean"] == pytest.approx([pixels.mean()], abs=1e-9)
    assert model["std"] == pytest.approx([pixels.std()], abs=1e-9)


def test_a_loaded_model_is_in_eval_mode_and_normalises_inside(tmp_path: Path) -> None:
    _train(tmp_path)
    before = torch.get_rng_state()
    net = run.load(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module.training for module in net.modules())
    assert net(torch.rand(3, 1, 8, 8)).shape == (3, 10)


def test_the_same_seed_gives_the_same_bits_and_leaves_the_global_generator(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    _train(tmp_path / "a", method="dropout")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    _train(tmp_path / "b", method="dropout")
    assert _equal(_weights(tmp_path / "a"), _weights(tmp_path / "b"))
    _train(tmp_path / "c", method="dropout", seed=1)
    assert not _equal(_weights(tmp_path / "a"), _weights(tmp_path / "c"))


def test_the_initial_weights_depend_on_the_seed_alone(tmp_path: Path) -> None:
    rate = {"optimizer.lr": 1e-12, "epochs": 1}
    _train(tmp_path / "erm", method="erm", overrides=rate)
    _train(tmp_path / "alps", method="alps", overrides=rate)
    one, other = _weights(tmp_path / "erm"), _weights(tmp_path / "alps")
    learnt = [name for name in one if "running" not in name]
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in learnt)


def test_the_same_command_on_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    first = _train(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    again = _train(tmp_path)
    assert again.metrics == first.metrics
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert run.resume(tmp_path).metrics == first.metrics


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = _train(tmp_path / "whole", overrides={"epochs": 3})
    recipe = files.recipe(NAME, scale="smoke", overrides={**QUICK, "epochs": 3})
    steps = run.stream(recipe, run_dir=tmp_path / "cut")
    assert next(steps)["epoch"] == 1
    steps.close()  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="holds no weights yet: finish it with"):
        run.load(tmp_path / "cut")
    found = run.resume(tmp_path / "cut")
    assert [record["epoch"] for record in found.metrics] == [1, 2, 3]
    assert found.recipe == whole.recipe
    assert _equal(_weights(tmp_path / "whole"), _weights(tmp_path / "cut"))


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    script = (
        "import os, signal, torch\n"
        "from pathlib import Path\n"
        "from vicinal.recipes import run, files\n"
        "torch.set_num_threads(1)\n"
        f"over = {dict(QUICK, epochs=3)!r}\n"
        f"recipe = files.recipe({NAME!r}, scale='smoke', overrides=over)\n"
        "def report(done, steps):\n"
        "    report.calls += 1\n"
        "    if report.calls == steps + 2:\n"
        "        os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))\n"
        "report.calls = 0\n"
        f"list(run.stream(recipe, run_dir=Path({str(tmp_path / 'cut')!r}), report=report))\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert killed.returncode != 0
    assert len(records.read(tmp_path / "cut" / engine.METRICS)) == 1
    _train(tmp_path / "whole", overrides={"epochs": 3})
    run.resume(tmp_path / "cut")
    assert _equal(_weights(tmp_path / "whole"), _weights(tmp_path / "cut"))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": 1}, "seed"),
        ({"method": "erm"}, "method"),
        ({"overrides": {"objective.eps": 0.3}}, "objective.eps"),
        ({"overrides": {"epochs": 3}}, "epochs"),
        ({"overrides": {"model.dropout": 0.5}}, "model.dropout"),
    ],
)
def test_a_folder_of_another_recipe_is_refused_and_left_as_it_was(
    tmp_path: Path, change: dict[str, Any], field: str
) -> None:
    _train(tmp_path, overrides={"epochs": 1})
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    wanted = {"overrides": {"epochs": 1}} | change
    wanted["overrides"] = {"epochs": 1, **wanted["overrides"]}
    with pytest.raises(InputError, match=f"holds a run of another recipe: `{field}` is"):
        _train(tmp_path, **wanted)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_changed_data_set_is_another_recipe(tmp_path: Path) -> None:
    _set(tmp_path / "set.npz", classes=2)
    where = {"overrides": {"dataset": "npz", "train_subset": None, "batch_size": 10}}
    _train(tmp_path / "run", data_dir=tmp_path / "set.npz", **where)
    _set(tmp_path / "set.npz", classes=3)
    with pytest.raises(InputError, match=r"`model\.num_classes` is 2 there and 3 here"):
        _train(tmp_path / "run", data_dir=tmp_path / "set.npz", **where)


def test_a_resumed_run_finds_its_data_again(tmp_path: Path) -> None:
    _set(tmp_path / "set.npz", classes=2)
    overrides = {**QUICK, "dataset": "npz", "train_subset": None, "batch_size": 10}
    recipe = files.recipe(NAME, scale="smoke", overrides=overrides)
    steps = run.stream(recipe, run_dir=tmp_path / "run", data_dir=tmp_path / "set.npz")
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert len(run.resume(tmp_path / "run").metrics) == 2


def test_a_last_batch_of_one_image_is_left_out_of_a_mixing_objective(tmp_path: Path) -> None:
    _set(tmp_path / "set.npz", classes=2, n=21)
    overrides = {"dataset": "npz", "train_subset": None, "batch_size": 10, "epochs": 1}
    found = _train(tmp_path / "run", data_dir=tmp_path / "set.npz", overrides=overrides)
    assert len(found.metrics) == 1


def _set(file: Path, *, classes: int, n: int = 20) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    y = np.arange(n) % classes
    np.savez(file, x_train=x, y_train=y, x_test=x[:6], y_test=y[:6])


@pytest.mark.parametrize("kind", ["a file", "inside a file"])
def test_a_run_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    where = tmp_path / "file" if kind == "a file" else tmp_path / "file" / "run"
    with pytest.raises(InputError, match="could not make the folder"):
        _train(where)


def test_a_set_that_is_not_at_hand_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(data.MissingData):
        run.train(NAME, scale="small", run_dir=tmp_path / "run", data_dir=tmp_path)
    assert not (tmp_path / "run").exists()


def test_the_default_folder_names_recipe_method_scale_and_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run.train(NAME, scale="smoke", seed=7, overrides={**QUICK, "epochs": 1})
    assert found.path == Path("runs/alps-cifar10-preactresnet18-alps-smoke-seed7")
    assert found.path.is_dir()


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        del text
        raise InputError(f"could not write {path}: No space left on device.")

    monkeypatch.setattr(records, "write_text", full)
    with pytest.raises(InputError, match="No space left on device"):
        _train(tmp_path)


def test_a_refused_recipe_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`train_subset` must be at most the split's 1297"):
        _train(tmp_path / "run", overrides={"train_subset": 5000})
    assert not (tmp_path / "run").exists()


def _stand_in() -> data.ImageSet:
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (60, 3, 32, 32), generator=rng, dtype=torch.uint8)
    split = data.Split(x=x, y=torch.arange(60) % 10)
    return data.ImageSet(name="cifar10", train=split, test=split, num_classes=10)


def _handed_over(recipe: Recipe, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `stream` gives to the engine."""
    found: dict[str, Any] = {}

    def record(
        model: nn.Module, objective: object, loader: object, **more: object
    ) -> Iterator[Any]:
        found.update(model=model, objective=objective, loader=loader, **more)
        return iter(())

    monkeypatch.setattr(engine, "train", record)
    assert list(run.stream(recipe, run_dir=folder, device="cpu")) == []
    return found


@pytest.mark.parametrize("scale", ["smoke", "small"])
@pytest.mark.parametrize("method", list(files.methods(NAME)))
def test_the_engine_gets_what_the_recipe_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, scale: str
) -> None:
    overrides: dict[str, Any] = {"model.width": 4}
    if scale == "small":
        monkeypatch.setattr(data, "load", lambda *_, **__: _stand_in())
        overrides["train_subset"] = 50
    recipe = files.recipe(NAME, method=method, scale=scale, seed=5, overrides=overrides)
    found = _handed_over(recipe, tmp_path / "run", monkeypatch)
    assert found["objective"] == resolve.objective(recipe)
    assert found["optimizer"] == resolve.optimizer(recipe)
    assert found["schedule"] == resolve.schedule(recipe)
    for name in ("seed", "precision", "channels_last", "epochs"):
        assert found[name] == getattr(recipe, name), name
    assert (found["ema"], found["accumulate"], found["select"]) == (None, 1, "last")
    assert found["compile"] is None
    assert found["validate"] is None
    loader = found["loader"]
    assert (loader.pad, loader.flip) == (recipe.augment.pad, recipe.augment.flip)
    assert (loader.batch_size, loader.shuffle) == (recipe.batch_size, True)
    assert loader.channels_last == recipe.channels_last
    assert len(loader.split) == (recipe.train_subset or 1297)
    rates = {m.p for m in found["model"].modules() if isinstance(m, nn.Dropout)} - {0.0}
    assert rates == ({0.5} if method == "dropout" else set())


@pytest.mark.parametrize("scale", ["smoke", "small"])
def test_scales_differ_where_the_wiring_is_tested(scale: str) -> None:
    recipe = files.recipe(NAME, scale=scale)
    small = scale == "small"
    assert (recipe.augment.pad, recipe.augment.flip) == ((4, True) if small else (0, False))
    assert (recipe.precision, recipe.channels_last) == (
        ("bf16", True) if small else ("fp32", False)
    )


def test_the_engine_gets_weights_of_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nets = []
    for place, seed in enumerate((0, 0, 1)):
        recipe = files.recipe(NAME, scale="smoke", seed=seed)
        found = _handed_over(recipe, tmp_path / str(place), monkeypatch)
        nets.append(found["model"].state_dict())
    assert _equal(nets[0], nets[1])
    assert not _equal(nets[0], nets[2])


def test_a_constant_channel_can_be_trained_on(tmp_path: Path) -> None:
    x = np.zeros((20, 8, 8, 3), dtype=np.uint8)
    x[..., 0] = np.random.default_rng(0).integers(0, 256, (20, 8, 8))
    x[..., 1] = 77
    y = np.arange(20) % 2
    np.savez(tmp_path / "set.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    overrides = {"dataset": "npz", "train_subset": None, "batch_size": 10, "epochs": 1}
    found = _train(tmp_path / "run", data_dir=tmp_path / "set.npz", overrides=overrides)
    assert found.recipe.model.arguments["std"][1:] == [1.0, 1.0]


@pytest.mark.parametrize("objective", ["ALPS", "MixUp", "CutMix", "ManifoldMixUp", "Interpolate"])
def test_one_image_cannot_be_mixed_and_makes_no_folder(tmp_path: Path, objective: str) -> None:
    chosen: dict[str, Any] = {"objective": objective}
    if objective == "Interpolate":
        chosen = {"objective": "Vicinal", "objective.inputs": "Interpolate"}
    with pytest.raises(InputError, match="`batch_size` must be at least 2 for") as refusal:
        _train(tmp_path / "run", overrides={**chosen, "batch_size": 1})
    assert "drop_last" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


def test_no_bar_is_drawn_before_the_data_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(data.MissingData):
        run.train(NAME, run_dir=tmp_path / "run", progress=True)
    assert not capsys.readouterr().err


TUNED: dict[str, Any] = {**QUICK, "epochs": 3, "validation": 60, "ema": 0.9}


def test_the_engine_gets_the_switches_of_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switches: dict[str, Any] = {
        "ema": 0.9, "accumulate": 2, "compile": True, "select": "best", "validation": 60,
    }  # fmt: skip
    recipe = files.recipe(NAME, scale="smoke", overrides={**QUICK, **switches})
    found = _handed_over(recipe, tmp_path / "run", monkeypatch)
    assert (found["ema"], found["accumulate"], found["select"]) == (0.9, 2, "best")
    assert found["compile"] == "inductor"
    assert callable(found["validate"])


def test_a_tuned_run_keeps_the_best_of_the_averaged_weights(tmp_path: Path) -> None:
    found = run.train(
        NAME, scale="smoke", preset="tuned", overrides=TUNED, run_dir=tmp_path / "run"
    )
    scores = [record["score"] for record in found.metrics]
    assert scores == [record["validation_robust_accuracy"] for record in found.metrics]
    best = scores.index(max(scores))
    recipe = files.read(tmp_path / "run" / "recipe.yaml")
    assert (recipe.preset, recipe.select, recipe.ema) == ("tuned", "best", 0.9)
    images = loading.open_images(recipe, None)
    held = loading.validation_batches(recipe, images, torch.device("cpu"))
    again = validator(recipe, held)(run.load(tmp_path / "run"), 0)
    assert again["score"] == scores[best]
    assert again["validation_accuracy"] == found.metrics[best]["validation_accuracy"]
    last = resolve.model(recipe)
    engine.load_weights(tmp_path / "run" / engine.LAST, last)
    assert validator(recipe, held)(last.eval(), 0)["score"] == scores[-1]


def test_an_interrupted_tuned_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    run.train(NAME, scale="smoke", preset="tuned", overrides=TUNED, run_dir=tmp_path / "whole")
    recipe = files.recipe(NAME, scale="smoke", preset="tuned", overrides=TUNED)
    for _ in range(2):
        steps = run.stream(recipe, run_dir=tmp_path / "cut")
        next(steps)
        steps.close()  # type: ignore[attr-defined]
    run.resume(tmp_path / "cut")
    for name in (engine.WEIGHTS, engine.LAST):
        whole, cut = ((tmp_path / place / name).read_bytes() for place in ("whole", "cut"))
        assert whole == cut


def test_the_best_without_held_out_images_is_refused_and_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`select` can be best only with `validation`"):
        _train(tmp_path / "run", overrides={"select": "best"})
    assert not (tmp_path / "run").exists()


def test_the_default_folder_names_a_preset_that_is_not_the_papers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run.train(NAME, scale="smoke", preset="tuned", overrides={**QUICK, "epochs": 1})
    assert found.path == Path("runs/alps-cifar10-preactresnet18-alps-tuned-smoke-seed0")


def test_a_folder_of_before_the_newer_fields_is_the_same_run(tmp_path: Path) -> None:
    """What a recipe.yaml of then did not say had the value that is today's default."""
    _train(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    file = tmp_path / "recipe.yaml"
    old = yaml.safe_load(file.read_text(encoding="utf-8"))
    for newer in ("preset", "select", "ema", "accumulate", "compile", "validation", "workers"):
        del old[newer]
    del old["optimizer"]["decay"]
    file.write_text(yaml.safe_dump(old), encoding="utf-8")
    (tmp_path / engine.WEIGHTS).unlink()
    _train(tmp_path)
    assert (tmp_path / engine.WEIGHTS).read_bytes() == before[engine.WEIGHTS]
    assert len(run.resume(tmp_path).metrics) == 2


def test_a_layer_that_the_net_lacks_is_said_before_a_folder_is_made(tmp_path: Path) -> None:
    wrong = {"objective.name": "ManifoldMixUp", "objective.layers": ["input", "nosuch"]}
    with pytest.raises(InputError, match="nosuch"):
        run.train("alps/cifar10-vgg16", scale="smoke", overrides=wrong, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
