"""How far a campaign is, from what its tasks have taken and what their folders hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from vicinal import records
from vicinal.campaigns.progress import Clock, Event, duration, epochs, seconds_left


def test_epochs_are_read_from_the_last_whole_line(tmp_path: Path) -> None:
    assert epochs(tmp_path) == epochs(None) == (0, 0)
    file = tmp_path / "metrics.jsonl"
    for epoch in range(1, 100):
        records.append(file, {"epoch": epoch, "epochs": 200, "loss": 1.0})
    assert epochs(tmp_path) == (99, 200)
    with file.open("a", encoding="utf-8") as text:
        text.write('{"epoch": 100, "ep')
    assert epochs(tmp_path) == (99, 200)


def test_no_estimate_before_anything_is_known() -> None:
    found = seconds_left(
        spent={"train": [], "evaluate": []},
        running=[("train", 5.0, None)],
        waiting={"train": 3},
        jobs=2,
    )
    assert found is None


def test_a_running_training_tells_how_long_the_others_take() -> None:
    found = seconds_left(
        spent={}, running=[("train", 5.0, 0.25)], waiting={"train": 3, "evaluate": 1}, jobs=1
    )
    assert found == (20 - 5) + 3 * 20 + 20


def test_jobs_share_the_work_and_kinds_have_their_own_length() -> None:
    found = seconds_left(
        spent={"train": [10.0, 20.0], "evaluate": [2.0]},
        running=[("train", 100.0, 0.5), ("evaluate", 1.0, None)],
        waiting={"train": 2, "evaluate": 4},
        jobs=2,
    )
    assert found == (0 + 1 + 2 * 15 + 4 * 2) / 2


def test_a_resumed_training_counts_only_what_it_did_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    records.append(tmp_path / "metrics.jsonl", {"epoch": 50, "epochs": 100})
    clock = Clock()
    clock.hear(Event(change="started", label="a", run_dir=tmp_path, done=0, total=1))
    assert clock.left() is None
    records.append(tmp_path / "metrics.jsonl", {"epoch": 60, "epochs": 100})
    now = 10.0
    assert clock.left() == pytest.approx(90.0)


def test_a_failed_task_teaches_nothing_about_time() -> None:
    clock = Clock()
    for change in ("started", "failed"):
        clock.hear(Event(change=change, label="a", waiting={"train": 1}, done=0, total=2))
    assert clock.left() is None
    assert not clock.running


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (91, "2 min"), (5400, "1.5 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
