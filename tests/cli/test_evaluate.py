"""`vicinal evaluate`: its mistakes; what it measures is tested with `recipes.judge`."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest

from vicinal import records
from vicinal.cli import main
from vicinal.recipes import run


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
