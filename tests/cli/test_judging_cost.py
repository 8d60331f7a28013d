"""`vicinal evaluate --dry-run` of more than a run and its attacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vicinal.cli import main
from vicinal.evaluation import suite

OWN = ["evaluate", "--model", "vicinal.models:digits_net(width=4)", "--dataset", "digits"]


def test_passes_of_suite_corruptions_and_all_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [*OWN, "--eps", "0.1", "--suite", "standard", "--n", "10", "--dry-run"]
    words += ["--corruptions", "brightness,fog", "--severities", "1,3", "--gradients"]
    assert main([*words, "--json"]) == 0
    rows = {one["what"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    entries = suite("standard", eps=0.1).entries
    assert (rows["clean"]["n"], rows["clean"]["forward"]) == (500, 500)
    assert {name: (row["forward"], row["backward"]) for name, row in rows.items()} == {
        "clean": (500, 0),
        **{one.name: (10 * one.passes.forward, 10 * one.passes.backward) for one in entries},
        "input gradients": (20, 20),
        "2 corruptions of 2 severities (making them apart)": (50, 0),
    }
    assert all(row["seconds"] >= 0 for row in rows.values())
    assert list(tmp_path.iterdir()) == []


def test_the_table_says_what_there_was_no_time_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    words = [*OWN, "--eps", "0.1", "--suite", "full", "--n", "500", "--budget", "20s", "--dry-run"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "in all: " in shown
    assert "Left out for want of time:" in shown
    assert list(tmp_path.iterdir()) == []
