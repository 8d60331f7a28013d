"""`--download` of train, evaluate and reproduce: with a made-up torchvision, and without one."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

import layouts
from vicinal import records
from vicinal.cli import main

TINY = ["--epochs", "1", "--model", "digits_net", "--model.width", "4", "--threads", "1"]
TRAIN = ["train", "alps/svhn-preactresnet18", "--method", "erm", *TINY]


@pytest.fixture
def fetching(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A torchvision whose SVHN writes the made-up files; the parts that it was asked for."""
    asked: list[str] = []

    def fetch(*, root: str, download: bool, split: str) -> None:
        assert download
        asked.append(split)
        layouts.svhn(Path(root))

    module = ModuleType("torchvision.datasets")
    module.SVHN = fetch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module)
    return asked


def test_train_fetches_with_the_flag_only(
    tmp_path: Path, fetching: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data-dir", str(tmp_path / "data"), "--run-dir", str(tmp_path / "run")]
    assert main([*TRAIN, *where]) != 0
    assert "`--data-dir` for svhn must be an existing folder" in capsys.readouterr().err
    assert fetching == []
    assert main([*TRAIN, *where, "--download"]) == 0
    assert fetching == ["train", "test"]
    assert (tmp_path / "run" / "weights.safetensors").is_file()


def test_evaluate_fetches_to_where_the_run_had_its_data(
    tmp_path: Path, fetching: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run = layouts.svhn(tmp_path / "data"), tmp_path / "run"
    assert main([*TRAIN, "--data-dir", str(folder), "--run-dir", str(run)]) == 0
    for file in folder.iterdir():
        file.unlink()
    assert main(["evaluate", str(run)]) != 0
    assert fetching == []
    assert main(["evaluate", str(run), "--download"]) == 0
    assert fetching == ["train", "test"]
    assert [record["n"] for record in records.read(run / "results.jsonl")] == [20]
    capsys.readouterr()


def test_without_torchvision_one_sentence_says_what_to_fetch_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    where = ["--data-dir", str(tmp_path / "data"), "--run-dir", str(tmp_path / "run")]
    assert main([*TRAIN, *where, "--download"]) != 0
    told = capsys.readouterr().err
    for words in ("torchvision, which cannot be imported here", "train_32x32.mat", "Stanford"):
        assert words in told.replace("\n", " ")
    assert not (tmp_path / "run").exists()


def test_reproduce_fetches_with_the_flag_only(
    tmp_path: Path, fetching: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    table = ["reproduce", "alps/table-1", "--scale", "small", "--only", "erm", "--seeds", "1"]
    (tmp_path / "data").mkdir()
    where = ["--data-dir", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--json"]
    assert main([*table, "--models", "vgg16", *where]) == 0
    assert fetching == []
    # What was fetched here has fewer images than the scale asks for, so that nothing is trained.
    assert main([*table, "--models", "vgg16", *where, "--download"]) == 1
    assert fetching == ["train", "test"]
    assert "`train_subset` must be at most" in capsys.readouterr().err
