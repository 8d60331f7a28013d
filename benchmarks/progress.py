"""What is measured and how long is left, on stderr."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["Bar"]


class Bar:
    """A bar for each benchmark, filled by every timed run.

    Args:
        shown: Whether anything is drawn.
    """

    def __init__(self, *, shown: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not shown,
            # A run may take seconds, and candidates differ: look further back than rich does.
            speed_estimate_period=600,
            refresh_per_second=1,
        )
        self._task = self._progress.add_task("warming up", total=None, visible=False)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, error, trace
        self._progress.stop()

    def begin(self, name: str, *, runs: int) -> None:
        """Open the bar of the next measurement.

        Args:
            name: What is measured.
            runs: How many timed runs it takes.
        """
        self._task = self._progress.add_task(name, total=runs)

    def tick(self) -> None:
        """Count one timed run."""
        self._progress.advance(self._task)

    def say(self, text: str) -> None:
        """Print a line above the bars.

        Args:
            text: The line.
        """
        self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)
