"""The benchmark of corruptions: its figures against hand counts, and once through, tiny."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import corruptions as bench

FACTS = {
    "command": "c",
    "commit": "abc",
    "date": "today",
    "hardware": "chip",
    "threads": 1,
    "torch": "2",
    "python": "3",
    "device": "cpu",
}


def row(name: str, ours: float, peer: float | None, *, noted: bool = False) -> bench.Row:
    return bench.Row(name=name, side=32, ours=ours, peer=peer, noted=noted)


def written(out: Path) -> list[dict[str, Any]]:
    lines = (out / "corruptions.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_the_mean_is_geometric_and_totals_are_sums() -> None:
    text = bench.table(
        [row("fog", 1.0, 4.0), row("snow", 1.0, 9.0), row("rotation", 2.0, None)], FACTS
    )
    assert bench.geometric_mean([4.0, 9.0]) == pytest.approx(6.0)
    assert "Geometric mean over 2: 6.00 times faster, goal 4: met" in text
    assert "| total of 2 | 2.00 | 13.00 | 6.50 |" in text
    assert "| rotation | 2.000 |  |  |" in text
    assert math.isnan(bench.geometric_mean([]))


def test_a_goal_that_is_missed_says_so() -> None:
    assert "goal 4: missed" in bench.table([row("fog", 1.0, 2.0)], FACTS)


@pytest.mark.parametrize(
    ("name", "ours", "slow"),
    [("fog", 1.19, False), ("fog", 1.21, True), ("pixelate", 1.9, False), ("pixelate", 2.1, True)],
)
def test_what_is_slower_than_allowed_is_marked(name: str, ours: float, slow: bool) -> None:
    assert row(name, ours, 1.0).too_slow == slow
    assert ("slower than allowed" in bench.table([row(name, ours, 1.0)], FACTS)) == slow


def test_figures_of_another_machine_are_marked_as_such() -> None:
    assert "not measured here" in bench.table([row("fog", 1.0, 3.0, noted=True)], FACTS)
    assert "in the same run" in bench.table([row("fog", 1.0, 3.0)], FACTS)


def test_it_runs_once_through_and_writes_its_rows(tmp_path: Path) -> None:
    words = ["--sizes", "8", "--batch", "2", "--rounds", "1", "--only", "contrast", "fog"]
    assert bench.main([*words, "--out", str(tmp_path), "--quiet"]) == 0
    rows = written(tmp_path)
    assert [one["name"] for one in rows] == ["contrast", "fog"]
    assert all(one["ours"] > 0 and one["peer"] is None for one in rows)
    assert "## 8 pixels" in (tmp_path / "corruptions.md").read_text()


def test_ours_and_theirs_take_turns_with_a_process_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in answers 5 ms per image, and notes what it was asked."""
    worker, asked = tmp_path / "worker.py", tmp_path / "asked.txt"
    worker.write_text(
        "import sys\n"
        "for line in sys.stdin:\n"
        f"    with open({str(asked)!r}, 'a') as file:\n"
        "        file.write(line)\n"
        "    print(0.005, flush=True)\n"
    )
    monkeypatch.setattr(bench, "_WORKER", worker)
    words = ["--sizes", "32", "--batch", "4", "--rounds", "2", "--only", "fog", "rotation"]
    words += ["--peer", sys.executable, "--out", str(tmp_path), "--quiet"]
    assert bench.main(words) == 0
    found = {one["name"]: one for one in written(tmp_path)}
    assert found["fog"]["peer"] == pytest.approx(5.0)
    assert found["rotation"]["peer"] is None
    assert asked.read_text().split("\n")[1:] == ["fog 32 3 2", *["fog 32 3 4"] * 2, ""]


@pytest.mark.parametrize("python", ["no/such/python", sys.executable])
def test_a_peer_that_does_not_answer_is_one_sentence(
    python: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "worker.py").write_text("raise SystemExit(1)\n")
    monkeypatch.setattr(bench, "_WORKER", tmp_path / "worker.py")
    assert bench.main(["--peer", python, "--only", "fog", "--quiet", "--out", str(tmp_path)]) == 2
    assert "`--peer` must be a Python" in capsys.readouterr().err
