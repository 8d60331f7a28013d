"""`vicinal evaluate`: its mistakes; what it measures is tested with `recipes.judge`."""

from __future__ import annotations

from pathlib import Path

import pytest

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
