"""What a campaign tells while it runs: which cells run, how many are done, how long it still takes.

The campaign sends events to a listener; how they look is the business of `display`. How far a
training is stands in the metrics of its run folder.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["Change", "Clock", "Event", "Kind", "Listener", "duration", "epochs", "seconds_left"]

Kind = Literal["train", "evaluate"]
Change = Literal["planned", "started", "done", "failed"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """A change in a campaign.

    Args:
        change: "planned" once at the start, then "started", "done" or "failed" for each task.
        label: The task in words; empty for "planned".
        kind: What the task does.
        run_dir: The folder that it writes to.
        sentence: Why it failed.
        waiting: How many tasks of each kind have not started.
        done: How many tasks have ended.
        total: How many tasks there are.
        jobs: How many run side by side.
    """

    change: Change
    label: str = ""
    kind: Kind = "train"
    run_dir: Path | None = None
    sentence: str = ""
    waiting: Mapping[Kind, int] = field(default_factory=dict)
    done: int
    total: int
    jobs: int = 1


Listener = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class Running:
    """A task that runs.

    Args:
        label: The task in words.
        kind: What it does.
        run_dir: Its folder.
        since: When it started, by `time.monotonic`.
        epoch: The epoch that its folder had reached by then.
    """

    label: str
    kind: Kind
    run_dir: Path | None
    since: float
    epoch: int


def epochs(run_dir: Path | None) -> tuple[int, int]:
    """Read how far a training is.

    Args:
        run_dir: Its run folder.

    Returns:
        Epochs done and epochs in all; zeros where nothing is written yet.
    """
    try:
        with (Path() if run_dir is None else run_dir / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            lines = file.read().split(b"\n")[:-1]
        last = json.loads(lines[-1])
        return int(last["epoch"]), int(last["epochs"])
    except (OSError, IndexError, KeyError, TypeError, ValueError):
        return 0, 0


def seconds_left(
    *,
    spent: Mapping[Kind, list[float]],
    running: Iterable[tuple[Kind, float, float | None]],
    waiting: Mapping[Kind, int],
    jobs: int,
) -> float | None:
    """Estimate how long a campaign still takes, from what its tasks have taken so far.

    Args:
        spent: Seconds of each task that is done, by kind.
        running: Of each task that runs: its kind, its seconds so far, and the share of its work
            that it did in them where that is known.
        waiting: How many tasks of each kind have not started.
        jobs: How many run side by side.

    Returns:
        Seconds, or None while nothing tells how long a task takes.

    Example:
        >>> seconds_left(spent={"train": [10.0]}, running=[], waiting={"train": 4}, jobs=2)
        20.0
    """
    now = list(running)
    typical: dict[Kind, float] = {kind: sum(s) / len(s) for kind, s in spent.items() if s}
    for kind, elapsed, share in now:
        if kind not in typical and share:
            typical[kind] = elapsed / share
    if not typical:
        return None
    longest = max(typical.values())
    left = sum(max(typical.get(kind, longest) - elapsed, 0.0) for kind, elapsed, _ in now)
    left += sum(typical.get(kind, longest) * count for kind, count in waiting.items())
    return left / max(jobs, 1)


def duration(seconds: float | None) -> str:
    """Write a length of time as people say it.

    Args:
        seconds: Its length; None where it is not known.

    Returns:
        The text.

    Example:
        >>> duration(42), duration(250), duration(9000), duration(None)
        ('42 s', '4 min', '2.5 h', 'not known yet')
    """
    if seconds is None:
        return "not known yet"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Clock:
    """Remembers which tasks run and how long the others took."""

    def __init__(self) -> None:
        self.running: dict[str, Running] = {}
        self.last: Event | None = None
        self._spent: dict[Kind, list[float]] = {"train": [], "evaluate": []}

    def hear(self, event: Event) -> None:
        """Take in an event.

        Args:
            event: The event.
        """
        self.last = event
        if event.change == "started":
            self.running[event.label] = Running(
                label=event.label,
                kind=event.kind,
                run_dir=event.run_dir,
                since=time.monotonic(),
                epoch=epochs(event.run_dir)[0],
            )
        elif event.change in {"done", "failed"} and event.label in self.running:
            task = self.running.pop(event.label)
            if event.change == "done":
                self._spent[task.kind].append(time.monotonic() - task.since)

    def left(self) -> float | None:
        """Estimate the time left.

        Returns:
            Seconds, or None while nothing tells.
        """
        now = [(t.kind, time.monotonic() - t.since, _share(t)) for t in self.running.values()]
        waiting = {} if self.last is None else self.last.waiting
        jobs = 1 if self.last is None else self.last.jobs
        return seconds_left(spent=self._spent, running=now, waiting=waiting, jobs=jobs)


def _share(task: Running) -> float | None:
    done, total = epochs(task.run_dir)
    if task.kind != "train" or total == 0 or done <= task.epoch:
        return None
    return (done - task.epoch) / total
