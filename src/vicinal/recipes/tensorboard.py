"""The records of a run as TensorBoard scalars, for those who have it installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vicinal._checks import InputError
from vicinal.records import Record

__all__ = ["FOLDER", "summary_writer", "written"]

FOLDER = "tensorboard"
"""Where in a run folder the event files lie."""

_NO_SCALAR = ("epoch", "epochs")


def summary_writer() -> Callable[..., Any]:
    """Find the class that writes event files.

    Returns:
        `torch.utils.tensorboard.SummaryWriter`.

    Raises:
        InputError: If TensorBoard is not installed.
    """
    try:
        found: Any = importlib.import_module("torch.utils.tensorboard")
    except ImportError as error:
        raise InputError(
            "`tensorboard` needs the package of that name, which is not installed: "
            "pip install 'vicinal[tensorboard]'."
        ) from error
    writer: Callable[..., Any] = found.SummaryWriter
    return writer


@contextmanager
def written(run_dir: Path, *, on: bool) -> Generator[Callable[[Record], None]]:
    """Write the records of a run as scalars over its epochs, where that is asked for.

    A resumed run begins an event file of its own, which TensorBoard shows as one with the others.

    Args:
        run_dir: The run folder.
        on: Whether to write.

    Yields:
        A function of an epoch's record; it does nothing when not on.
    """
    if not on:
        yield lambda _record: None
        return
    writer = summary_writer()(str(run_dir / FOLDER))

    def write(record: Record) -> None:
        for name, value in record.items():
            if name not in _NO_SCALAR and isinstance(value, (int, float)):
                writer.add_scalar(name, value, record["epoch"])
        writer.flush()

    try:
        yield write
    finally:
        writer.close()
