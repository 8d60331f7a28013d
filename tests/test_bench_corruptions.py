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


def test_a_ratio_is_the_median_of_rounds_and_has_an_interval() -> None:
    one = bench.Row(
        name="fog", side=32, ours=1.0, peer=9.0, noted=False, ratios=(2.0, 8.0, 3.0, 5.0, 4.0, 6.0)
    )
    assert one.speedup == pytest.approx(4.5)
    text = bench.table([one], {**FACTS, "load": 7.5})
    assert "| fog | 1.000 | 9.000 | 4.50 [2.00, 8.00] |  |" in text
    assert "load 7.5" in text
    assert "medians over 6 rounds" in text


def test_what_was_finished_before_an_interruption_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(name: str, x: object, severity: int) -> float:
        if name == "snow":
            raise KeyboardInterrupt
        return 0.001

    monkeypatch.setattr(bench, "_ours", broken)
    words = ["--sizes", "8", "--batch", "2", "--only", "fog", "contrast", "snow", "frost"]
    assert bench.main([*words, "--out", str(tmp_path), "--quiet"]) == 130
    assert [one["name"] for one in written(tmp_path)] == ["fog", "contrast"]
    assert "| contrast | 1.000 |" in (tmp_path / "corruptions.md").read_text()
    assert "2 lines are in" in capsys.readouterr().err


def test_no_path_of_the_machine_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import sys\nfor line in sys.stdin:\n    print(0.005, flush=True)\n")
    monkeypatch.setattr(bench, "_WORKER", worker)
    words = ["--sizes", "8", "--batch", "2", "--rounds", "1", "--only", "fog", "--quiet"]
    assert bench.main([*words, "--peer", sys.executable, "--out", str(tmp_path)]) == 0
    for name in ("corruptions.jsonl", "corruptions.md"):
        text = (tmp_path / name).read_text()
        assert "--peer PYTHON --out DIR" in text
        assert sys.executable not in text
        assert str(tmp_path) not in text


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
