"""`torchrun -m vicinal`: two gloo processes on this CPU, one run folder, and kill -9."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import vicinal
from vicinal import records
from vicinal._checks import InputError
from vicinal.cli import launch, main
from vicinal.cli.command import parse

SOURCE = str(Path(vicinal.__file__).parents[1])
EPOCHS = 24
FIELDS = ["--epochs", str(EPOCHS), "--model.norm_layer", "group", "--train_subset", "600"]
CALM = ["--optimizer.lr", "0.01"]  # at the recipe's rate rounding grows to per cents
TRAIN = ["train", "alps/cifar10-vgg16", "--scale", "smoke", "--method", "mixup", *FIELDS, *CALM]
GLOBAL = ["--mix_scope", "global", "--device", "cpu"]

pytestmark = [
    pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this torch has no gloo"),
    pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by POSIX signals"),
]


def torchrun(*words: str, where: Path) -> subprocess.Popen[str]:
    """Start two processes; an own free port is found for each start (--standalone)."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "--", "vicinal", *words],
        cwd=where,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": SOURCE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def done(started: subprocess.Popen[str], limit: float = 150) -> tuple[int, str, str]:
    try:
        out, err = started.communicate(timeout=limit)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
    return started.returncode, out, err


def workers(launcher: int) -> list[int]:
    """The launcher's own children: the processes that train."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    pairs = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for pid, parent in pairs if int(parent) == launcher]


def epochs(folder: Path) -> int:
    return len(records.read(folder / "metrics.jsonl"))


def distance(one: Path, other: Path) -> float:
    """How far the weights of two runs are apart, in units of their size: rounding grows."""
    a, b = (
        torch.nn.utils.parameters_to_vector(vicinal.load(run).parameters()) for run in (one, other)
    )
    return float((a - b).detach().norm() / a.detach().norm())


def wait_for(started: subprocess.Popen[str], folder: Path, *, epoch: int) -> None:
    limit = time.monotonic() + 100
    while epochs(folder) < epoch:
        if started.poll() is not None or time.monotonic() > limit:
            raise RuntimeError(f"no epoch {epoch}: {done(started, limit=1)}")
        time.sleep(0.01)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("launched")


@pytest.fixture(scope="module")
def reference(place: Path) -> Path:
    """A run of two processes that nobody disturbed."""
    code, out, err = done(torchrun(*TRAIN, *GLOBAL, "--run-dir", "reference", where=place))
    assert code == 0, err
    assert out.count("run folder: reference") == 1  # one process speaks
    assert "2 processes share every batch of 64" in err
    assert "mix_scope global" in err
    return place / "reference"


def test_two_processes_leave_the_run_folder_of_one(place: Path, tmp_path: Path) -> None:
    # Few epochs, for rounding grows from step to step; the last batch has 3 images.
    short = [*TRAIN, *GLOBAL, "--epochs", "2", "--train_subset", str(9 * 64 + 3)]
    code, _, err = done(torchrun(*short, "--run-dir", "two", where=place))
    assert code == 0, err
    two = place / "two"
    assert main([*short, "--run-dir", str(tmp_path / "one"), "--json"]) == 0
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert {path.name for path in two.iterdir()} == names
    assert json.loads((two / "environment.json").read_text())["processes"] == 2
    losses = [
        [line["loss"] for line in records.read(folder / "metrics.jsonl")]
        for folder in (two, tmp_path / "one")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert distance(two, tmp_path / "one") < 1e-5


def test_killed_at_any_moment_the_same_command_ends_with_the_same_weights(
    reference: Path, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command, folder = [*TRAIN, *GLOBAL, "--run-dir", "killed"], place / "killed"

    started = torchrun(*command, where=place)
    wait_for(started, folder, epoch=2)
    os.kill(workers(started.pid)[-1], signal.SIGKILL)  # one: the launcher ends the other
    assert done(started)[0] != 0
    assert 2 <= epochs(folder) < EPOCHS

    started = torchrun(*command, where=place)
    wait_for(started, folder, epoch=epochs(folder) + 2)
    for pid in [*workers(started.pid), started.pid]:  # all, the launcher too
        os.kill(pid, signal.SIGKILL)
    done(started)
    assert epochs(folder) < EPOCHS
    shutil.copytree(folder, place / "alone")

    code, _, err = done(torchrun(*command, where=place))
    assert code == 0, err
    for name in ("weights.safetensors", "recipe.yaml"):
        assert (folder / name).read_bytes() == (reference / name).read_bytes(), name
    assert epochs(folder) == EPOCHS

    with caplog.at_level(logging.WARNING, logger="vicinal"):
        vicinal.recipes.resume(place / "alone", device="cpu")
    assert "began with 2 processes; 1 go on" in caplog.text
    assert distance(reference, place / "alone") < 0.01


def test_two_processes_judge_as_one_does(reference: Path, place: Path) -> None:
    words = ["evaluate", str(reference), "--attack", "pgd", "--n", "101", "--device", "cpu"]
    assert main([*words, "--json"]) == 0
    alone = records.read(reference / "results.jsonl")
    code, out, err = done(torchrun(*words, "--json", where=place))
    assert code == 0, err
    both = records.read(reference / "results.jsonl")[len(alone) :]
    assert [json.loads(line)["attack"] for line in out.splitlines()] == [r["attack"] for r in both]
    assert [line["attack"].partition("(")[0] for line in both] == ["clean", "pgd"]
    for ours, theirs in zip(both, alone, strict=True):
        for field in ("attack", "n", "correct", "forward", "backward", "per_class"):
            assert ours[field] == theirs[field]


def test_alone_a_subcommand_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("RANK", "3")
    args = parse(["list"])
    args.run = lambda _: 7
    assert launch.run(args) == 7
    assert launch.speaker() == "vicinal"


@pytest.mark.parametrize("word", ["--dry-run", "--print-config"])
def test_what_trains_nothing_is_the_work_of_the_first_alone(
    word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    args = ["train", "alps/cifar10-vgg16", "--scale", "smoke", "--method", "erm", word]
    told = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        assert main(args) == 0
        told.append(capsys.readouterr().out)
    assert "alps/cifar10-vgg16" in told[0]
    assert told[1] == ""


def test_under_a_launcher_only_some_subcommands_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(InputError, match=r"only `vicinal train` and `vicinal evaluate`"):
        launch.run(parse(["reproduce", "alps/demo"]))
    assert launch.speaker() == "vicinal, process 1"
