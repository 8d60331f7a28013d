"""An evaluation under corruptions, killed here and there, against one that was left in peace."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vicinal import records
from vicinal._checks import InputError
from vicinal.models import digits_net
from vicinal.recipes import foreign
from vicinal.recipes.corrupted import Ask, corrupt_job
from vicinal.recipes.corruption_ledger import resumed
from vicinal.recipes.job import Job

_MODULE: Any = importlib.import_module("vicinal.evaluation.corrupted")

ASK = Ask(corruptions="brightness,contrast", severities="2,4", n=30)
IMAGES = 30 * (1 + 2 * 2)


def job(folder: Path, *, seed: int = 0) -> Job:
    torch.manual_seed(seed)
    return foreign.job_of(
        digits_net(), name="net", dataset="digits", folder=folder, batch_size=10, command="it"
    )


class _Passes:
    """Counts images that a model judges, and stops it after some."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images, self.left = 0, 10**6
        self._call: Callable[..., Tensor] = _MODULE.clean_logits
        monkeypatch.setattr(_MODULE, "clean_logits", self)

    def __call__(self, model: Any, x: Tensor) -> Tensor:
        if self.images + len(x) > self.left:
            raise KeyboardInterrupt
        self.images += len(x)
        return self._call(model, x)


def plain(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    timed = ("schema", "seconds", "circumstances")
    return [{k: v for k, v in one.items() if k not in timed} for one in found]


def kept(folder: Path) -> list[dict[str, Any]]:
    return records.read(folder / "results.jsonl")


def ledgers(folder: Path) -> list[Path]:
    return list(folder.glob("corrupting-*"))


def test_a_kill_anywhere_costs_one_corruption_of_one_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = _Passes(monkeypatch)
    alone = corrupt_job(job(tmp_path / "alone"), ASK)
    assert passes.images == IMAGES
    assert not ledgers(tmp_path / "alone")
    for left in (5, 20, 70, 140):
        folder = tmp_path / str(left)
        passes.images, passes.left = 0, left
        with pytest.raises(KeyboardInterrupt, match="the same command goes on"):
            corrupt_job(job(folder), ASK)
        assert kept(folder) == []
        before, passes.left = passes.images, 10**6
        found = corrupt_job(job(folder), ASK)
        assert plain(found) == plain(alone) == plain(kept(folder))
        assert IMAGES <= passes.images <= IMAGES + 10
        assert passes.images - before <= IMAGES - before // 10 * 10 + 10
        assert not ledgers(folder)


def test_another_model_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = _Passes(monkeypatch)
    passes.left = 100
    with pytest.raises(KeyboardInterrupt):
        corrupt_job(job(tmp_path), ASK)
    passes.images, passes.left = 0, 10**6
    found = corrupt_job(job(tmp_path, seed=1), ASK)
    assert passes.images == IMAGES
    assert plain(found) == plain(corrupt_job(job(tmp_path / "alone", seed=1), ASK))
    assert len(ledgers(tmp_path)) == 1


@pytest.mark.parametrize("lines", [0, 3, 7])
def test_a_kill_while_records_are_written_neither_loses_nor_doubles_one(
    lines: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes, append, unlink, left = _Passes(monkeypatch), records.append, Path.unlink, [lines]

    def some(path: Path, record: dict[str, Any]) -> None:
        if path.name == "results.jsonl" and not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        append(path, record)

    def no_more(path: Path, **options: Any) -> None:
        if path.name == "asked":
            raise KeyboardInterrupt
        unlink(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(records, "append", some)
        patched.setattr(Path, "unlink", no_more)
        with pytest.raises(KeyboardInterrupt):
            corrupt_job(job(tmp_path), ASK)
    assert len(kept(tmp_path)) == lines
    passes.images = 0
    found = corrupt_job(job(tmp_path), ASK)
    assert passes.images == 0
    assert len(kept(tmp_path)) == len(found) == 7
    assert plain(kept(tmp_path)) == plain(found)
    assert not ledgers(tmp_path)
    corrupt_job(job(tmp_path), ASK)
    assert len(kept(tmp_path)) == 14


def test_what_was_written_by_half_is_finished_for_another_question_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = records.append

    def none(path: Path, record: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "append", none)
    with pytest.raises(KeyboardInterrupt):
        corrupt_job(job(tmp_path), ASK)
    monkeypatch.setattr(records, "append", append)
    found = corrupt_job(job(tmp_path), replace(ASK, corruptions="contrast"))
    assert [one.get("corruption") for one in found] == ["contrast"] * 3 + [None]
    assert len(kept(tmp_path)) == 7 + 4
    assert plain(kept(tmp_path))[7:] == plain(found)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    laid = job(tmp_path)
    with (
        resumed(tmp_path, laid.model, asked=""),
        pytest.raises(InputError, match="another evaluation of this model under corruptions"),
    ):
        corrupt_job(laid, ASK)
