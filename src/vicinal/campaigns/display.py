"""How a campaign's events look: a live display on a terminal, elsewhere one plain line each."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from vicinal.campaigns.progress import Clock, Event, duration, epochs

__all__ = ["Display", "Lines"]


class Lines:
    """Prints one line per event: for files, pipes and logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._clock = Clock()

    def __call__(self, event: Event) -> None:
        """Print an event."""
        self._clock.hear(event)
        tasks = "1 task" if event.total == 1 else f"{event.total} tasks"
        words = {"planned": f"{tasks} to do, {event.jobs} at a time"}
        line = words.get(event.change, f"{event.change}: {event.label}")
        if event.sentence:
            line += f": {event.sentence}"
        if event.change in {"done", "failed"}:
            left = duration(self._clock.left())
            line = f"[{event.done}/{event.total}, {left} left] {line}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class Display:
    """Shows the running cells on a terminal, and keeps failures above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._clock = Clock()
        self._live = Live(
            console=console, get_renderable=self.render, refresh_per_second=2, transient=True
        )

    def __enter__(self) -> Display:
        """Begin to show.

        Returns:
            The display.
        """
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Clear the display."""
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        self._clock.hear(event)
        if event.change == "failed":
            line = f"failed: {event.label}: {event.sentence}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def render(self) -> RenderableType:
        """Draw what is known now.

        Returns:
            A line per running task, and one for all.
        """
        last = self._clock.last
        if last is None:
            return Text("looking at the data and at what is finished")
        tasks = Table.grid(padding=(0, 2))
        for task in tuple(self._clock.running.values()):
            done, total = epochs(task.run_dir)
            far = f"epoch {done}/{total}" if task.kind == "train" and total else ""
            tasks.add_row(
                f"  {task.label}", far, Text(duration(time.monotonic() - task.since), style="dim")
            )
        left = duration(self._clock.left())
        total_line = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=max(last.total, 1), completed=last.done, width=30)
        total_line.add_row(bar, f"{last.done}/{last.total} done", f"time left: {left}")
        return Group(tasks, total_line)
