"""`vicinal evaluate --corruptions`: a run and a model of one's own, table, picture, records."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from vicinal import records, report
from vicinal._errors import InputError
from vicinal.cli import main
from vicinal.recipes import run

NAMES = ["--corruptions", "gaussian_noise,frost", "--severities", "1,5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    few = {"epochs": 1, "train_subset": 100, "model.width": 4}
    path: Path = tmp_path_factory.mktemp("run")
    return run.train("alps/cifar10-vgg16", scale="smoke", overrides=few, run_dir=path).path


def test_a_run_is_judged_and_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["evaluate", str(folder), "--n", "20", *NAMES]) == 0
    shown = capsys.readouterr().out
    found = records.read(folder / "results.jsonl")
    kinds = [record["kind"] for record in found]
    assert kinds == ["evaluation"] + ["corruption"] * 6 + ["corruptions"]
    last, noise = found[-1], found[3]
    assert (last["n"], last["over"], last["aside"]) == (20, ["gaussian_noise"], ["frost"])
    assert last["command"].startswith(f"vicinal evaluate {folder} --n 20 --corruptions")
    assert last["circumstances"]["threads"] >= 1
    assert f"20 images: clean {100 * last['clean_accuracy']:.2f}" in shown
    row = next(line.split() for line in shown.splitlines() if line.startswith("gaussian_noise"))
    assert row[3] == f"{100 * noise['accuracy']:.2f}"
    assert "frost *" in shown
    drawn = importlib.util.find_spec("matplotlib") is not None
    assert (folder / "corruptions.png").exists() == drawn
    # The run is now a baseline, though not at all severities.
    assert main(["evaluate", str(folder), "--n", "9", *NAMES, "--baseline", str(folder)]) == 2
    assert "must have been judged at all five severities" in capsys.readouterr().err


def test_json_holds_the_corruptions_and_nothing_else(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("recipe.yaml", "weights.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert main(["evaluate", str(tmp_path), "--n", "9", *NAMES, "--json"]) == 0
    told = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert told == records.read(tmp_path / "results.jsonl")
    assert not (tmp_path / "corruptions.png").exists()


def test_without_matplotlib_everything_but_the_picture_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise InputError("a heat map needs matplotlib: pip install matplotlib.")

    monkeypatch.setattr(report, "write_heat_map", missing)
    own = ["evaluate", "--model", "vicinal.models:digits_net(width=4)", "--dataset", "digits"]
    own += ["--out", str(tmp_path), "--n", "6", "--corruptions", "brightness"]
    assert main(own) == 0
    shown = capsys.readouterr().out
    assert "no picture: a heat map needs matplotlib: pip install matplotlib." in shown
    found = records.read(tmp_path / "results.jsonl")
    assert found[-1]["model"] == "vicinal.models:digits_net(width=4)"
    assert [record["severity"] for record in found[1:-1]] == [1, 2, 3, 4, 5, None]
