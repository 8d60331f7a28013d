"""`vicinal compare`: a table, JSON, and every mistake in one line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from vicinal import records
from vicinal.cli import main
from vicinal.evaluation import CorruptionResults
from vicinal.evaluation.packing import pack


def _run(folder: Path, right: list[bool], **more: Any) -> str:
    folder.mkdir(parents=True)
    found = {"kind": "evaluation", "attack": "clean", "n": len(right), "correct": sum(right)}
    found |= {"accuracy": sum(right) / len(right), "right": pack(torch.tensor(right))}
    found |= {"images": "ab"}
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


def test_verdicts_and_corruptions_stand_below_and_all_of_it_in_a_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [_run(tmp_path / name, [True] * 8) for name in ("first", "other")]
    correct = {"fog": {1: 8, 5: 4}}
    under = CorruptionResults(correct=correct, n=10, clean_correct=10, clean_n=10)
    for record in under.records:
        records.append(tmp_path / "other" / "results.jsonl", record)
    old = {"kind": "evaluation", "attack": "corrupted(by=fog)", "n": 10, "accuracy": 0.25}
    records.append(tmp_path / "first" / "results.jsonl", {**old, "by_severity": [0.25] * 5})
    out = tmp_path / "comparison.md"
    assert main(["compare", *runs, "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    for name in ("first", "other"):
        assert [name, "PASS", "-", "-", "-"] in [row.split() for row in shown.splitlines()]
    assert "One net each: p-values are about these weights" in shown
    assert f"written: {out}" in shown
    told = out.read_text(encoding="utf-8")
    assert "| fog | 10 | 25.00 | 60.00 unlike |" in told
    assert "| R | 10 | - | 0.600 |" in told
    assert "fog, other: severities 1,5, not 1,2,3,4,5; not to be compared." in told
    assert f"    vicinal compare {runs[0]} {runs[1]} --out {out}" in told
    assert main(["compare", *runs, "--json"]) == 0
    (found,) = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    shares = dict.fromkeys(("clean", "pgd", "strongest"))
    passed: Any = {"status": "PASS", "threat": None, "n": None, "version": None, "checks": {}}
    passed["accuracies"] = shares
    assert found["verdicts"] == {"first": passed, "other": passed}
    assert found["corruptions"]["other"]["by_name"]["fog"]["accuracy"] == pytest.approx(0.6)


def test_other_images_are_marked_and_all_that_stands_below_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [_run(tmp_path / "o1", [True] * 10), _run(tmp_path / "om", [True] * 5, images="cd")]
    out = tmp_path / "both.md"
    assert main(["compare", *runs, "--out", str(out)]) == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines()]
    cells = ["100.00", "[72.2,", "100.0]", "100.00", "[56.6,", "100.0]", "unlike"]
    assert ["clean", "10,", "5", *cells] in rows
    assert [row[1] for row in rows if row[:1] in (["o1"], ["om"])] == ["PASS", "PASS"]
    told = out.read_text(encoding="utf-8")
    assert "- Nothing here can be compared with o1: clean: 5 images, not 10." in told
    assert "| om | PASS |" in told
    assert main(["compare", *runs, "--json"]) == 0
    (cell,) = json.loads(capsys.readouterr().out)["rows"][0]["cells"][1:]
    assert (cell["p"], cell["unlike"]) == (None, "5 images, not 10")


@pytest.mark.parametrize("count", [8, 9])
def test_many_models_are_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    runs = [_run(tmp_path / f"model-{i}", [True] * 8) for i in range(count)]
    out = tmp_path / "all.md"
    assert main(["compare", *runs, "--out", str(out)]) == 0
    shown = [row.split() for row in capsys.readouterr().out.splitlines()]
    told = out.read_text(encoding="utf-8")
    rows = [row for row in shown if row[:1] == ["model-8"] and "100.00" in row]
    assert rows == [["model-8", "100.00", "[67.6,", "100.0]", "1"]][: count - 8]
    assert any(row[:1] == ["clean"] for row in shown) == (count == 8)
    assert ("| model-7 | 100.00 [67.6, 100.0] | 1 |" in told) == (count == 9)
    assert ("# 9 models" in told) == (count == 9)


def test_a_table_that_a_window_does_not_hold_is_turned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [_run(tmp_path / f"model-{i}", [True] * 8) for i in range(4)]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    for columns, turned in ((70, True), (200, False)):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main(["compare", *runs]) == 0
        shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
        assert any(row.startswith("clean ") for row in shown) == (not turned)
        tables = shown[: next(k for k, row in enumerate(shown) if row.startswith("p: "))]
        assert max(map(len, tables)) <= columns
    monkeypatch.setenv("COLUMNS", "34")
    assert main(["compare", *runs]) == 0
    assert "model-3   100.00 [67.6, 100.0]   1" in capsys.readouterr().out


def test_a_wide_table_is_cut_between_attacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [_run(tmp_path / f"model-{i}", [True] * 8) for i in range(9)]
    names = [f"attack-of-quite-long-name-{k}" for k in range(8)]
    for run in runs:
        (clean, *_) = records.read(Path(run) / "results.jsonl")
        for name in names:
            records.append(Path(run) / "results.jsonl", {**clean, "attack": name})
    assert main(["compare", *runs]) == 0
    shown = capsys.readouterr().out
    assert shown.count("accuracy, %:") > 1
    assert "…" not in shown
    assert max(map(len, shown.partition("p: the")[0].splitlines())) <= 120
    rows = [row.split() for row in shown.splitlines() if row.startswith("model-3 ")]
    assert sum(row.count("100.00") for row in rows) == 9


def test_one_run_by_several_paths_counts_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    a, b = (_run(Path(name), [True] * 3) for name in "ab")
    assert main(["compare", b, a, f"{b}/results.jsonl", f"{b}/", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["names"] == ["b", "a"]
    assert main(["compare", a, f"{a}/results.jsonl"]) == 2
    assert "two different runs" in capsys.readouterr().err


def test_long_names_are_not_cut_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = tmp_path / ("x" * 60)
    runs = [_run(long / f"{'y' * 60}-{name}" / "run", [True] * 3) for name in "ab"]
    assert main(["compare", *runs]) == 0
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert "-b/run" in re.sub(r"[\s─]", "", shown.partition("p: the")[0]).replace("-a/run", "")


def test_a_document_keeps_the_place_of_this_folder_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    command = f"vicinal evaluate {here}/a --out {here}/b --data-dir /else{here}/data"
    runs = [_run(here / name, [True] * 3, command=command) for name in "ab"]
    monkeypatch.chdir(here)
    assert main(["compare", *runs, "--out", "all.md"]) == 0
    told = Path("all.md").read_text(encoding="utf-8")
    assert f"vicinal evaluate a --out b --data-dir /else{here}/data" in told
    assert "    vicinal compare a b --out all.md\n" in told


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda a, b: [a], "two different runs"),
        (lambda a, b: [a, a], "two different runs"),
        (lambda a, b: [a, b], "other data"),
        (lambda a, b: [a, f"{b}/nothing"], "holds no results.jsonl"),
        (lambda a, b: [a, b, "--out", "table.txt"], "must be a Markdown file"),
        (lambda a, b: [a, b, "--out", f"{b}/none/table.md"], "in a folder that exists"),
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
