"""`vicinal compare`: a table, JSON, and every mistake in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from vicinal import records
from vicinal.cli import main
from vicinal.evaluation.packing import pack


def _run(folder: Path, right: list[bool], **more: Any) -> str:
    folder.mkdir(parents=True)
    found = {"kind": "evaluation", "attack": "clean", "n": len(right), "correct": sum(right)}
    found |= {"accuracy": sum(right) / len(right), "right": pack(torch.tensor(right))}
    records.append(folder / "results.jsonl", {**found, "dataset": "digits", **more})
    records.append(folder / "results.jsonl", {"kind": "verdict", "status": "PASS"})
    return str(folder)


def test_a_difference_is_starred(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = _run(tmp_path / "first", [True] * 10)
    other = _run(tmp_path / "other", [True] * 2 + [False] * 8)
    assert main(["compare", first, f"{other}/results.jsonl"]) == 0
    shown = capsys.readouterr().out
    assert "20.00 [5.7, 51.0] *" in shown
    assert "0.0078" in shown
    assert "first" in shown
    assert str(tmp_path) not in shown
    assert main(["compare", first, other, "--json"]) == 0
    (found,) = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert found["kind"] == "comparison"
    assert found["rows"][0]["cells"][1]["p"] == pytest.approx(2 / 2**8)


def test_folders_of_one_name_are_told_as_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [_run(Path(name) / "run", [True] * 3) for name in "ab"]
    assert main(["compare", *runs]) == 0
    shown = capsys.readouterr().out
    assert "a/run" in shown
    assert "b/run" in shown


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda a, b: [a], "two different runs"),
        (lambda a, b: [a, a], "two different runs"),
        (lambda a, b: [a, b], "other data"),
        (lambda a, b: [a, f"{b}/nothing"], "holds no results.jsonl"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any, sentence: str
) -> None:
    a = _run(tmp_path / "a", [True] * 3)
    b = _run(tmp_path / "b", [True] * 3, dataset="cifar10")
    assert main(["compare", *make(a, b)]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert len(told.splitlines()) == 1
