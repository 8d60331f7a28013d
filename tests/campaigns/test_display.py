"""Events as lines, and as a live display."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from vicinal import records
from vicinal.campaigns.display import Display, Lines
from vicinal.campaigns.progress import Event


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_event_is_one_plain_line_of_any_length() -> None:
    console = Console(file=io.StringIO(), width=20)
    tell = Lines(console)
    label = "train digits-digits_net-smoke alps-seed0"
    tell(Event(change="planned", done=0, total=2, jobs=2))
    tell(Event(change="started", label=label, done=0, total=2))
    tell(Event(change="failed", label=label, sentence="[bold]why[/bold]", done=1, total=2))
    assert text(console).splitlines() == [
        "2 tasks to do, 2 at a time",
        f"started: {label}",
        f"[1/2, not known yet left] failed: {label}: [bold]why[/bold]",
    ]


def test_one_task_is_not_several() -> None:
    console = Console(file=io.StringIO())
    Lines(console)(Event(change="planned", done=0, total=1, jobs=1))
    assert text(console) == "1 task to do, 1 at a time\n"


def test_the_display_tells_what_runs_how_far_and_how_many(tmp_path: Path) -> None:
    records.append(tmp_path / "metrics.jsonl", {"epoch": 3, "epochs": 7})
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Display(console) as display:
        display(Event(change="planned", done=0, total=9))
        display(Event(change="started", label="train a", run_dir=tmp_path, done=2, total=9))
        display(Event(change="failed", label="train b", sentence="no [data]", done=3, total=9))
        console.print(display.render())
    shown = text(console)
    for words in ("train a", "epoch 3/7", "3/9 done", "failed: train b: no [data]"):
        assert words in shown


def test_the_display_says_that_it_begins() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Display(console):
        pass
    assert "what is finished" in text(console)
