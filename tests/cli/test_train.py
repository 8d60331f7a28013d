"""`vicinal train`, then `evaluate`, end to end on the bundled digits."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import vicinal
from vicinal import records
from vicinal.cli import main

NAME = "alps/cifar10-preactresnet18"
TINY = ["--scale", "smoke", "--epochs", "1", "--train-subset", "200", "--model.width", "4"]


def _train(folder: Path, *more: str) -> int:
    return main(["train", NAME, *TINY, "--run-dir", str(folder), "--threads", "1", *more])


def test_train_load_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    assert _train(folder, "--method", "mixup", "--objective.alpha", "1/2", "--seed", "3") == 0
    shown = capsys.readouterr()
    assert f"run folder: {folder}" in shown.out
    assert "training alps/cifar10-preactresnet18, mixup, smoke, seed 3" in shown.err
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["objective"] == {"name": "MixUp", "alpha": 0.5, "per_sample": False}
    assert (recipe["seed"], recipe["epochs"], recipe["train_subset"]) == (3, 1, 200)

    attacks = ["--attack", "fgsm", "--attack", "pgd(eps=4/255, step_size=1/255, steps=2)"]
    assert main(["evaluate", str(folder), *attacks, "--n", "50", "--threads", "1"]) == 0
    table = capsys.readouterr().out
    for word in ("clean", "fgsm(eps=0.1)", "error", "50", "500"):
        assert word in table
    kept = records.read(folder / "results.jsonl")
    assert [record["attack"] for record in kept][:3] == [
        "clean",
        "fgsm(eps=0.1)",
        "pgd(eps=4/255, step_size=1/255, steps=2)",
    ]
    assert not vicinal.load(folder).training


def test_json_is_lines_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _train(tmp_path, "--json") == 0
    shown = capsys.readouterr()
    (known,) = shown.err.splitlines()
    assert known.startswith("vicinal: expected failure of this method, accuracy in %: ALPS claims")
    assert [json.loads(line)["epoch"] for line in shown.out.splitlines()] == [1]
    assert main(["evaluate", str(tmp_path), "--attack", "fgsm", "--json"]) == 0
    shown = capsys.readouterr()
    assert not shown.err
    found = [json.loads(line) for line in shown.out.splitlines()]
    assert [record["attack"] for record in found] == ["clean", "fgsm(eps=0.1)"]


def test_print_config_shows_the_resolved_recipe_and_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", NAME, "--print-config", "--epochs", "15", "--objective.eps", "0.3"]) == 0
    shown: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    assert (shown["epochs"], shown["objective"]["eps"]) == (15, 0.3)
    assert shown["objective"]["mode"] == 0.9
    assert not list(tmp_path.iterdir())
    assert main(["train", NAME, "--print-config", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == 200


def test_a_preset_is_in_the_recipe_and_in_the_runs_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", NAME, "--preset", "tuned", "--print-config"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["preset"], shown["select"], shown["validation"]) == ("tuned", "best", 1000)
    monkeypatch.chdir(tmp_path)
    assert main(["train", NAME, *TINY, "--preset", "tuned", "--threads", "1", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["score"] == record["validation_robust_accuracy"]
    assert Path("runs/alps-cifar10-preactresnet18-alps-tuned-smoke-seed0/last.safetensors").exists()


def test_tensorboard_without_its_package_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert _train(tmp_path / "run", "--tensorboard") == 2
    assert "pip install 'vicinal[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_resume_goes_on_and_takes_nothing_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _train(tmp_path)
    assert "failure of this method" in capsys.readouterr().err
    assert main(["train", "--resume", str(tmp_path), "--threads", "1"]) == 0
    shown = capsys.readouterr()
    assert "the run is complete" in shown.out
    assert not shown.err
    for more in (
        [NAME],
        ["--method", "erm"],
        ["--preset", "tuned"],
        ["--scale", "small"],
        ["--seed", "1"],
        ["--epochs", "3"],
    ):
        assert main(["train", "--resume", str(tmp_path), *more]) == 2
        assert "takes no recipe, method, preset, scale, seed or field" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vicinal.engine.train", interrupted)
        assert _train(tmp_path) == 130
    shown = capsys.readouterr().err.splitlines()[-1]
    assert shown == f"vicinal: interrupted; go on with: vicinal train --resume {tmp_path}"
    assert main(["train", "--resume", str(tmp_path), "--threads", "1"]) == 0
    assert (tmp_path / "weights.safetensors").exists()


def test_ctrl_c_before_there_is_a_run_promises_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vicinal.data.load", interrupted)
    assert _train(tmp_path / "run") == 130
    told, shown = capsys.readouterr().err.splitlines()
    assert not told  # the terminal's ^C stands there
    assert shown == "vicinal: interrupted; nothing was begun yet"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--objective.epss", "0.3"], "Did you mean objective.eps?"),
        (["--epoch", "3"], "Did you mean epochs?"),
        (["--method", "alp"], "Did you mean alps?"),
        (["--objective.eps", "8"], "`objective.eps` must satisfy 0 <= "),
        (["--epochs", "[1"], "`--epochs` has a value that cannot be read"),
        (["--seed", "-1"], "`seed` must be an integer >= 0"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], sentence: str
) -> None:
    assert _train(tmp_path / "run", *argv) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert shown.err.startswith("vicinal: ")
    assert len(shown.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_data_that_is_not_at_hand_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "none")
    assert main(["train", NAME, "--data-dir", missing, "--run-dir", str(tmp_path / "run")]) == 2
    (shown,) = capsys.readouterr().err.splitlines()
    assert "which does not exist" in shown
    assert not (tmp_path / "run").exists()


def test_a_run_of_another_recipe_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _train(tmp_path)
    capsys.readouterr()
    assert _train(tmp_path, "--objective.eps", "0.3") == 2
    assert "`objective.eps` is 0.2 there and 0.3 here" in capsys.readouterr().err


def test_without_a_recipe_it_says_where_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train"]) == 2
    assert "vicinal list recipes" in capsys.readouterr().err


@pytest.mark.parametrize("field", ["--epochs", "--batch-size", "--train-subset"])
def test_a_number_left_out_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str
) -> None:
    words = ["train", NAME, "--scale", "smoke", "--run-dir", str(tmp_path / "run"), field]
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert "must be a number; got True. Is its value missing?" in shown
    assert not (tmp_path / "run").exists()


def test_missing_data_is_one_line_that_names_the_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", NAME, "--method", "erm", "--run-dir", str(tmp_path / "run")]) == 2
    (shown,) = capsys.readouterr().err.splitlines()
    assert "`--data-dir` for cifar10 must be" in shown
    assert "`--scale smoke` needs none" in shown


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every number of threads that was set; none is really."""
    seen: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    return seen


def test_smoke_takes_one_thread_and_a_run_keeps_its_own(tmp_path: Path, threads: list[int]) -> None:
    words = ["train", NAME, *TINY, "--run-dir", str(tmp_path)]
    assert main(words) == 0
    assert threads == [1]
    file = tmp_path / "environment.json"
    facts = {**json.loads(file.read_text(encoding="utf-8")), "threads": 3}
    file.write_text(json.dumps(facts), encoding="utf-8")
    resumed = ["train", "--resume", str(tmp_path)]
    for argv in (resumed, words, ["evaluate", str(tmp_path)]):
        threads.clear()
        assert main(argv) == 0
        assert threads == [3], argv
        threads.clear()
        assert main([*argv, "--threads", "2"]) == 0
        assert threads == [2], argv


def test_json_has_a_schema_and_no_nan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vicinal.engine.train", lambda *_, **__: iter([{"loss": math.nan}]))
    assert _train(tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "schema": records.SCHEMA,
        "loss": None,
    }


def test_a_method_of_which_no_failure_is_known_trains_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train(tmp_path, "--json", "--method", "erm") == 0
    assert not capsys.readouterr().err


def _own(file: Path, *, n: int) -> list[str]:
    """Write a set of n images and give the command that trains on it at scale small."""
    x, y = np.zeros((n, 8, 8), dtype=np.uint8), np.arange(n) % 2
    np.savez(file, x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    small = ["--method", "erm", "--scale", "small", "--epochs", "1", "--threads", "1"]
    net = ["--model", "digits_net", "--model.width", "4", "--run-dir", str(file.parent / "run")]
    return ["train", NAME, *small, *net, "--dataset", "npz", "--data-dir", str(file)]


def test_a_set_of_ones_own_that_is_smaller_than_the_scales_subset_is_trained_on_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = _own(tmp_path / "own.npz", n=60)
    assert main([*words, "--json"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "vicinal: npz has 60 training images, fewer than the 10000 of scale small, and is trained "
        "on whole"
    )
    text = (tmp_path / "run" / "recipe.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["train_subset"] is None
    # The same command and a resumption find the run that they left.
    for again in (words, ["train", "--resume", str(tmp_path / "run"), "--threads", "1"]):
        assert main(again) == 0
        shown = capsys.readouterr()
        assert "the run is complete" in shown.out
        assert not shown.err


@pytest.mark.parametrize("n", ["61", "10000"])
def test_a_subset_asked_for_that_the_set_does_not_have_stays_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], n: str
) -> None:
    assert main([*_own(tmp_path / "own.npz", n=60), "--train-subset", n]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"`train_subset` must be at most the split's 60 images; got {n}." in line
    assert not (tmp_path / "run").exists()
