"""What runs and how long is left, on stderr: a training's epochs, an evaluation's images."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from vicinal.recipes.schema import Recipe

__all__ = ["TrainingBar", "counting", "training_bar"]


class TrainingBar:
    """A bar that fills with every step of a training.

    Args:
        progress: Where it is drawn.
        recipe: What is trained.
        done: Epochs that an earlier call has done.
    """

    def __init__(self, progress: Progress, recipe: Recipe, *, done: int = 0) -> None:
        self._progress, self._epochs, self._done = progress, recipe.epochs, done
        self._task = progress.add_task(
            "training", total=recipe.epochs, completed=done, epoch=self._shown(), loss="-"
        )

    def _shown(self) -> str:
        return f"{min(self._done + 1, self._epochs)}/{self._epochs}"

    def step(self, done: int, steps: int) -> None:
        """Show a step within the epoch.

        Args:
            done: Steps done of this epoch.
            steps: Steps of an epoch.
        """
        self._progress.update(self._task, completed=self._done + done / steps, epoch=self._shown())

    def epoch(self, record: dict[str, Any]) -> None:
        """Show the end of an epoch.

        Args:
            record: The epoch's record.
        """
        self._done = record["epoch"]
        self._progress.update(self._task, completed=self._done, loss=f"{record['loss']:.4f}")


@contextmanager
def training_bar(recipe: Recipe, *, done: int = 0) -> Generator[TrainingBar]:
    """Tell what is trained, and show a bar while it is.

    Args:
        recipe: What is trained.
        done: Epochs that an earlier call has done.

    Yields:
        The bar.
    """
    console = Console(stderr=True)
    console.print(
        f"training {recipe.name}, {recipe.method}, {recipe.scale}, seed {recipe.seed}: "
        f"{recipe.model.name} on {recipe.dataset}",
        highlight=False,
        soft_wrap=True,
    )
    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(bar_width=24),
        TextColumn("loss {task.fields[loss]}"),
    )
    with Progress(*columns, *_times(), console=console) as progress:
        yield TrainingBar(progress, recipe, done=done)


def _times() -> tuple[ProgressColumn, ...]:
    return TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()


@contextmanager
def counting(total: int) -> Generator[Callable[[str, int], None]]:
    """Show a bar for every attack while it works through the images.

    Args:
        total: How many images each attack has to do.

    Yields:
        A function of an attack's name and a number of images that it has done.
    """
    tasks: dict[str, TaskID] = {}
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=16))
    with Progress(*columns, *_times(), console=Console(stderr=True)) as progress:

        def report(name: str, n: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(escape(name.partition("(")[0]), total=total)
            progress.advance(tasks[name], n)

        yield report
