"""Scalars of a run: with a stand-in for the writer, and with the real one where there is one."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from vicinal._checks import InputError
from vicinal.recipes import run
from vicinal.recipes.tensorboard import FOLDER, written

NAME = "alps/cifar10-preactresnet18"
RECORD = {"kind": "epoch", "epoch": 2, "epochs": 3, "loss": 0.5, "score": 0.25, "steps": 4}


class FakeWriter:
    """Remembers what it was told; stands in for torch's writer."""

    made: list[FakeWriter]

    def __init__(self, folder: str) -> None:
        self.folder, self.scalars, self.closed = folder, list[tuple[str, float, int]](), False
        self.made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> list[FakeWriter]:
    module: Any = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = FakeWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(FakeWriter, "made", [], raising=False)
    return FakeWriter.made


def test_numbers_of_a_record_become_scalars_at_its_epoch(
    tmp_path: Path, fakes: list[FakeWriter]
) -> None:
    with written(tmp_path, on=True) as write:
        write(RECORD)
    (writer,) = fakes
    assert writer.folder == str(tmp_path / FOLDER)
    assert writer.scalars == [("loss", 0.5, 2), ("score", 0.25, 2), ("steps", 4, 2)]
    assert writer.closed


def test_the_writer_is_closed_after_an_exception(tmp_path: Path, fakes: list[FakeWriter]) -> None:
    with pytest.raises(KeyboardInterrupt), written(tmp_path, on=True):
        raise KeyboardInterrupt
    assert fakes[0].closed


def test_off_it_makes_and_needs_nothing(tmp_path: Path, fakes: list[FakeWriter]) -> None:
    with written(tmp_path, on=False) as write:
        write(RECORD)
    assert not fakes
    assert not list(tmp_path.iterdir())


def test_a_run_writes_each_epoch_and_a_resumed_one_those_that_are_left(
    tmp_path: Path, fakes: list[FakeWriter]
) -> None:
    few = {"epochs": 2, "train_subset": 200, "model.width": 4}
    run.train(NAME, scale="smoke", overrides=few, run_dir=tmp_path, tensorboard=True)
    assert [step for name, _, step in fakes[0].scalars if name == "loss"] == [1, 2]
    run.resume(tmp_path, tensorboard=True)
    assert fakes[1].scalars == []


def test_a_missing_package_is_one_sentence_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    few = {"epochs": 1, "train_subset": 200}
    rule = r"^`tensorboard` needs [^\n]*pip install 'vicinal\[tensorboard\]'\.$"
    with pytest.raises(InputError, match=rule):
        run.train(NAME, scale="smoke", overrides=few, run_dir=tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_the_real_writer_makes_an_event_file(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    with written(tmp_path, on=True) as write:
        write(RECORD)
    assert list((tmp_path / FOLDER).glob("events.out.tfevents.*"))
