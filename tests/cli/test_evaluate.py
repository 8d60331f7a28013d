"""`vicinal evaluate`: its mistakes; what it measures is tested with `recipes.judge`."""

from __future__ import annotations

import json
import string
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from vicinal import records
from vicinal.cli import main
from vicinal.recipes import run
from vicinal.recipes.extras import Extras
from vicinal.recipes.job import Job


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    few = {"epochs": 1, "train_subset": 100, "model.width": 4}
    path: Path = tmp_path_factory.mktemp("run")
    return run.train("alps/cifar10-vgg16", scale="smoke", overrides=few, run_dir=path).path


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--attack", "__import__('os')"], "must be a name with keyword arguments"),
        (["--attack", "fgsm(0.1)"], "must be a name with keyword arguments"),
        (["--attack", "fgms"], "Did you mean fgsm?"),
        (["--attack", "cw-l2"], "Did you mean cw_l2?"),
        (["--attack", "fgsm(eps=8)"], "did you mean 8/255?"),
        (["--attack", "fgsm", "--n", "0"], "`n` must be an integer >= 1"),
    ],
)
def test_a_mistake_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], argv: list[str], sentence: str
) -> None:
    assert main(["evaluate", str(folder), *argv]) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert len(shown.err.splitlines()) == 1
    assert not (folder / "results.jsonl").exists()


def test_what_is_no_run_folder_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "is no run folder" in capsys.readouterr().err


def test_an_unfinished_run_says_how_to_finish_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (tmp_path / "recipe.yaml").write_bytes((folder / "recipe.yaml").read_bytes())
    assert main(["evaluate", str(tmp_path)]) == 2
    assert f"vicinal train --resume {tmp_path}" in capsys.readouterr().err


def test_the_title_says_net_and_data_and_json_has_a_schema(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("recipe.yaml", "weights.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["evaluate", str(tmp_path), "--n", "5"]) == 0
    assert "alps/cifar10-vgg16 alps, smoke, seed 0: digits_net on digits" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path), "--n", "5", "--json"]) == 0
    found = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert all(record["schema"] == records.SCHEMA for record in found)


def test_top5_and_calibration_stand_below_the_table_and_classes_on_request(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("recipe.yaml", "weights.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    monkeypatch.setenv("COLUMNS", "80")
    argv = ["evaluate", str(tmp_path), "--attack", "fgsm", "--n", "20"]
    assert main(argv) == 0
    plain = capsys.readouterr().out
    (clean, _) = records.read(tmp_path / "results.jsonl")
    assert f"top-5 error {100 * clean['top5_error']:.2f} %" in plain
    assert f"(ECE) {100 * clean['ece']:.2f} %" in plain
    assert "accuracy of each class" not in plain
    assert main([*argv, "--per-class"]) == 0
    shown = capsys.readouterr().out
    assert "accuracy of each class" in shown
    rows = [line.split() for line in shown.splitlines() if line[:1].isdigit()]
    accuracies = [f"{100 * share:.2f}" for share in clean["per_class"]["accuracy"]]
    counts = [str(n) for n in clean["per_class"]["n"]]
    assert [row[:3] for row in rows] == [
        list(one) for one in zip(string.digits, counts, accuracies, strict=True)
    ]


OWN = ["evaluate", "--model", "vicinal.models:digits_net(width=4)", "--dataset", "digits"]


def test_a_model_of_ones_own_is_judged_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    torch.manual_seed(0)
    out, entry = tmp_path / "out", tmp_path / "entry.json"
    argv = [*OWN, "--out", str(out), "--n", "4", "--eps", "0.5", "--attack", "autoattack"]
    argv += ["--attack", "fgsm(eps=0.7)", "--robustbench", str(entry), "--gradients"]
    assert main([*argv, "--save-adversarial", str(tmp_path / "images")]) == 0
    shown = capsys.readouterr().out
    assert "vicinal.models:digits_net(width=4) on digits" in shown
    assert "moved by at most 0.5 in linf" in shown
    assert "not in it: fgsm(eps=0.7) (linf 0.7)" in shown
    assert "squared input gradient of ce" in shown
    assert {"clean_acc", "autoattack_acc", "eps", "additional_data"} <= set(
        json.loads(entry.read_text(encoding="utf-8"))
    )
    found = records.read(out / "results.jsonl")
    assert [one["attack"] for one in found if one["kind"] == "evaluation"] == [
        "clean",
        "autoattack(eps=0.5)",
        "fgsm(eps=0.7)",
        "worst case",
    ]
    assert len(list((tmp_path / "images").iterdir())) == 2


@pytest.mark.parametrize(
    ("status", "enough", "code"),
    [("PASS", "PASS", 0), ("WARN", "PASS", 0), ("WARN", "WARN", 1), ("FAIL", "PASS", 1)],
)
def test_under_strict_a_verdict_that_does_not_clear_is_the_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, enough: str, code: int
) -> None:
    def looked(self: Extras, laid: Job) -> list[records.Record]:
        del self, laid
        checks = [{"name": "images to attack", "status": enough}]
        return [{"kind": "verdict", "status": status, "checks": checks}]

    monkeypatch.setattr(Extras, "_verdict", looked)
    argv = [*OWN, "--out", str(tmp_path), "--n", "3", "--eps", "0.01"]
    torch.manual_seed(0)
    assert main([*argv, "--strict"]) == code
    torch.manual_seed(0)
    assert main([*argv, "--verdict"]) == 0


def test_a_softmax_inside_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax(dim=1))\n"
    )
    (tmp_path / "nets_with_softmax.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["evaluate", "--model", "nets_with_softmax:net", *OWN[3:], "--n", "3"]) == 0
    assert "warning, outputs: the model returns probabilities" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--baseline", "alexnet"], "--baseline goes with --corruptions"),
        (["--corruptions", "smog"], "Did you mean fog?"),
        (["--corruptions", "fog", "--severities", "0"], "`severities` must be numbers"),
        (["--corruptions", "fog", "--baseline", "alexnett"], "Did you mean alexnet?"),
        (["--out", "FILE/below"], "could not make the folder"),
        (["--robustbench", "entry.json"], "Add --attack 'autoattack(eps=8/255)'"),
        (["--weights", "net.pth"], "a pickle, which may run code"),
    ],
)
def test_a_mistake_with_a_model_of_ones_own_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()
    assert main([*OWN, "--n", "3", "--json", *words]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert len(told.splitlines()) == 1


def test_class_names_stand_beside_the_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(256, size=(6, 8, 8), dtype=np.uint8), np.arange(6)
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    monkeypatch.setenv("COLUMNS", "120")
    argv = [*OWN, "--out", str(tmp_path / "out"), "--n", "5", "--per-class"]
    assert main(argv) == 0
    (clean,) = records.read(tmp_path / "out" / "results.jsonl")
    assert clean["per_class"]["names"] == list(string.digits)
    own = ["evaluate", "--model", OWN[2], "--dataset", "npz", "--per-class"]
    own += ["--data-dir", str(tmp_path / "own.npz"), "--out", str(tmp_path / "npz")]
    assert main(own) == 0
    (clean,) = records.read(tmp_path / "npz" / "results.jsonl")
    assert "names" not in clean["per_class"]


def _zeros(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    """Write a module whose net says class 0, as one does that nobody trained."""
    source = (
        "from torch import nn\n"
        "def net(outputs=10):\n"
        "    line = nn.Linear(64, outputs)\n"
        "    nn.init.zeros_(line.weight), nn.init.zeros_(line.bias)\n"
        "    return nn.Sequential(nn.Flatten(), line)\n"
    )
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return f"{name}:net"


@pytest.mark.parametrize("given", [False, True])
def test_a_net_that_guesses_is_warned_of(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: bool,
) -> None:
    net = _zeros(tmp_path, monkeypatch, f"nets_of_zeros_{given}")
    state = {"1.weight": torch.zeros(10, 64), "1.bias": torch.zeros(10)}
    safetensors.torch.save_file(state, tmp_path / "zeros.safetensors")
    words = ["--weights", "zeros.safetensors"] if given else []
    argv = ["evaluate", "--model", net, "--dataset", "digits", *words]
    assert main(argv) == 0
    shown = capsys.readouterr().out
    (told,) = [line for line in shown.splitlines() if line.startswith("warning, guessing")]
    assert "% is that of guessing; is the model trained?" in told
    assert told.endswith("judged as the factory made it.") != given
    assert main([*argv, "--clean-n", "99", "--n", "9"]) == 0
    assert "guessing" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("(outputs=3)", "digits has 10 classes; the model has 3 outputs. Another data set"),
        ("(outputs=", "must be a name, or a name with keyword arguments"),
    ],
)
def test_a_net_that_does_not_fit_the_data_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    sentence: str,
) -> None:
    net = _zeros(tmp_path, monkeypatch, "nets_of_three")
    assert main(["evaluate", "--model", f"{net}{arguments}", "--dataset", "digits"]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert "pgd" not in told
    assert len(told.splitlines()) == 1
