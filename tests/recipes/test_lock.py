"""A folder belongs to one process at a time, and to nobody once that process is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vicinal import models
from vicinal._checks import InputError
from vicinal.recipes import files, foreign, job, lock, run

pytest.importorskip("fcntl", reason="the lock needs file locks as Unix has them")

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "a+")
fcntl.flock(file, fcntl.LOCK_EX)
file.truncate(0)
file.write("process 12345 on another")
file.flush()
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another(folder: Path) -> Generator[subprocess.Popen[str]]:
    """Let another process hold a folder, by the system's means alone."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-c", HOLDER, str(folder / ".lock")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def alone(folder: Path) -> Any:
    return lock.alone(folder, work="campaign", option="--out")


def test_a_second_one_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    folder, words = tmp_path / "a" / "b", f"process {os.getpid()} on .*, this one. Wait for it, or"
    with (
        alone(folder),
        pytest.raises(InputError, match=f"another campaign is running in .*: {words}"),
        alone(folder),
    ):
        pass
    with alone(folder):
        pass


def test_an_exception_releases_the_folder_and_takes_an_empty_one_away(tmp_path: Path) -> None:
    with pytest.raises(KeyError), alone(tmp_path / "new"):
        raise KeyError
    assert not (tmp_path / "new").exists()
    with alone(tmp_path / "new"):
        (tmp_path / "new" / "file").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="could not make the folder"), alone(tmp_path / "file"):
        pass


def test_a_killed_process_holds_nothing_although_its_file_lies_there(tmp_path: Path) -> None:
    recipe = files.recipe("alps/cifar10-vgg16", scale="smoke", overrides={"epochs": 1})
    with another(tmp_path) as process:
        words = "another training is running in .*: process 12345 on another. Wait .* --run-dir"
        with pytest.raises(InputError, match=words):
            next(run.stream(recipe, run_dir=tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
        process.kill()
        process.wait()
    with alone(tmp_path):
        assert str(os.getpid()) in (tmp_path / ".lock").read_text(encoding="utf-8")
    assert not list(tmp_path.iterdir())


def test_an_evaluation_of_the_same_setting_is_refused_and_loses_nothing(tmp_path: Path) -> None:
    net = models.digits_net(width=2)
    laid = foreign.job_of(net, name="net", dataset="digits", folder=tmp_path, n=4, batch_size=500)
    held: list[Path] = []
    finish = job._finish

    def looking(ledger: Path, *more: Any) -> None:
        held.append(ledger)
        with pytest.raises(InputError, match="another evaluation of this model is running"):
            job.run(laid)
        finish(ledger, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "_finish", looking)
        job.run(laid)
    assert len(held) == 1
    assert [path.name for path in tmp_path.iterdir()] == [job.RESULTS]


@pytest.mark.parametrize("trouble", ["no locks here", "a disk without", "a folder to read only"])
def test_where_nothing_can_be_locked_nothing_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    class Broken:
        LOCK_EX = LOCK_NB = 0

        def flock(self, *_: object) -> None:
            raise OSError(38, "not implemented")

    def closed(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "denied")

    if trouble == "a folder to read only":
        monkeypatch.setattr(Path, "open", closed)
    else:
        found = None if trouble == "no locks here" else Broken()
        monkeypatch.setattr(lock, "_system_locks", lambda: found)
    with alone(tmp_path), alone(tmp_path):
        pass


def test_a_folder_that_was_cleared_away_is_the_next_ones(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = alone(folder)
    with alone(folder):
        (folder / ".lock").unlink()
        first.__enter__()
    assert (folder / ".lock").exists()
    with pytest.raises(InputError, match="another campaign"), alone(folder):
        pass
    first.__exit__(None, None, None)
    assert not folder.exists() or not list(folder.iterdir())
