"""`--dry-run` of every long job: a table or JSON, exit code 0, and not a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vicinal.cli import main
from vicinal.cli.dry_run import memory_words, size
from vicinal.recipes import run
from vicinal.recipes.forecast_memory import Memory

NAME = "alps/cifar10-preactresnet18"
TINY = ["--scale", "smoke", "--epochs", "2", "--train-subset", "200", "--model.width", "4"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    few = {"epochs": 1, "train_subset": 100, "model.width": 4}
    path: Path = tmp_path_factory.mktemp("run")
    return run.train(NAME, method="erm", scale="smoke", overrides=few, run_dir=path).path


def test_train_tells_and_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", NAME, *TINY, "--method", "mixup", "--dry-run"]) == 0
    shown = capsys.readouterr()
    for words in (
        f"dry run of {NAME}, mixup, smoke, seed 0",
        "runs/alps-cifar10-preactresnet18-mixup-smoke-seed0 (new)",
        "digits_net, on cpu",
        "200 images of 1x8x8, digits counted",
        "2 epochs of 4: 8",
        "1+1 a step; over images 400 forward, 400 backward",
        "s a step, from",
    ):
        assert words in shown.out
    assert "try" not in shown.out
    assert not list(tmp_path.iterdir())


def test_train_in_json_and_of_a_set_that_is_not_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", NAME, "--scale", "small", "--model.width", "2", "--dry-run", "--json"]
    assert main(words) == 0
    shown = capsys.readouterr()
    (record,) = [json.loads(line) for line in shown.out.splitlines()]
    assert (record["kind"], record["job"], record["epochs_done"]) == ("forecast", "train", 0)
    assert (record["steps"], record["forward"], record["backward"]) == (3160, 400_000, 400_000)
    assert record["seconds"] > 0
    assert not shown.err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_was_named_and_lacks_the_set_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--scale", "small", "--model.width", "2", "--dry-run", "--json"]
    (tmp_path / "there" / "cifar-10-batches-py").mkdir(parents=True)
    for where, told in (
        (["nowhere"], "`--data-dir` must hold cifar10; nowhere does not exist."),
        (["."], "`--data-dir` must hold cifar10; . does not."),
        (["nowhere", "--download"], ""),
        (["there"], ""),
    ):
        assert main(["train", NAME, *few, "--data-dir", *where]) == 0
        shown = capsys.readouterr()
        assert len(shown.out.splitlines()) == 1
        assert shown.err == (told and f"vicinal: {told} The training itself would stop there.\n")


def test_resume_tells_what_is_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.read_bytes() for file in folder.iterdir()}
    assert main(["train", "--resume", str(folder), "--dry-run", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["epochs"], record["epochs_done"], record["seconds"]) == (0, 1, 0.0)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_too_little_memory_is_said_with_what_to_try(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vicinal.recipes.forecast.free_memory", lambda _: 700_000)
    assert main(["train", NAME, "--scale", "smoke", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "does not fit" in shown
    assert "--accumulate 4: micro-batches of 16 would fit, within which BatchNorm" in shown


def test_evaluate_tells_and_does_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.read_bytes() for file in folder.iterdir()}
    words = ["evaluate", str(folder), "--attack", "fgsm", "--n", "20", "--dry-run"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    for text in ("clean", "fgsm(eps=0.1)", "2+1", "40", "in all:"):
        assert text in shown
    assert main([*words, "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["attack"], r["n"], r["forward"]) for r in found] == [
        ("clean", 500, 500),
        ("fgsm(eps=0.1)", 20, 40),
    ]
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_reproduce_tells_and_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["reproduce", "alps/table-2", "--scale", "smoke", "--seeds", "2", "--only", "erm"]
    assert main([*words, "--jobs", "2", "--dry-run"]) == 0
    shown = capsys.readouterr()
    for text in (
        "dry run of alps/table-2, smoke",
        "cells: 2 to measure, 8 left out",
        "passes over images: 78,820 forward, 77,820 backward",
        "2 at a time",
    ):
        assert text in shown.out
    assert main([*words, "--dry-run", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["trainings"], record["evaluations"], record["jobs"]) == (2, 2, 1)
    assert not list(tmp_path.iterdir())


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words, sentence in (
        (["train", "alps/cifar10", "--dry-run"], "there is no recipe"),
        (["train", NAME, "--epoch", "3", "--dry-run"], "Did you mean"),
        (["evaluate", "nowhere", "--dry-run"], "is no run folder"),
        (["reproduce", "alps/table-99", "--dry-run"], "there is no table"),
        (["reproduce", "alps/table-2", "--jobs", "0", "--dry-run"], "`jobs` must be"),
        (["reproduce", "alps/table-2", "--scale", "smoke", "--only", "ermm", "--dry-run"], "erm"),
    ):
        assert main(words) == 2
        shown = capsys.readouterr()
        assert sentence in shown.err
        assert len(shown.err.splitlines()) == 1
        assert not shown.out


@pytest.mark.parametrize(
    ("command", "tells"),
    [
        ("train", "passes, memory and minutes"),
        ("evaluate", "passes and minutes"),  # a suite's or a foreign model's memory is not known
        ("reproduce", "passes, memory and minutes"),
    ],
)
def test_help_says_what_it_does(
    command: str, tells: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"--dry-run tell {tells}, measured" in shown


def test_memory_in_words() -> None:
    memory = Memory(parameters=2_800_000, activations=1_500)
    assert memory_words(memory, None) == "2.8 MB: parameters 2.8 MB, activations 1.5 kB"
    assert memory_words(memory, 10**9).startswith("2.8 MB of 1.0 GB free: ")
    assert memory_words(memory, 10).endswith("; does not fit")
    assert size(0) == "0 B"
