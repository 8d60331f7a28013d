"""One process at a time in a folder: two would write over each other's checkpoints and records.

The lock is the operating system's: it goes with the process, however that ends, so a kill leaves
none behind. Where the system, or the disk, has none of this kind, nothing is locked.
"""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO

from vicinal._checks import InputError
from vicinal.evaluation.ledger import made

__all__ = ["alone"]

_NAME = ".lock"


@contextmanager
def alone(folder: Path, *, work: str, option: str) -> Generator[None]:
    """Hold a folder for one piece of work.

    Args:
        folder: The folder; made where it is missing, and taken away again if it stays empty.
        work: What is done there, such as "training".
        option: Which option names another folder, such as "--run-dir".

    Yields:
        Nothing; the folder is held until the block ends.

    Raises:
        InputError: If another process holds it, or it cannot be made.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with alone(Path(folder), work="training", option="--run-dir"):
        ...         held = (Path(folder) / ".lock").exists()
        ...     held, (Path(folder) / ".lock").exists()
        (True, False)
    """
    new = not folder.exists()
    try:
        file = _held(made(folder) / _NAME)
    except BlockingIOError:
        raise InputError(
            f"another {work} is running in {folder}: {_holder(folder / _NAME)}. Wait for it, or "
            f"choose another {option}."
        ) from None
    try:
        yield
    finally:
        if file is not None:
            # Where the folder was cleared away meanwhile, the file there is another one's.
            if _is(file, folder / _NAME):
                (folder / _NAME).unlink()
            file.close()
        if new:
            with suppress(OSError):
                folder.rmdir()


def _held(path: Path) -> IO[str] | None:
    """Take the lock; None where there are no locks."""
    locking = _system_locks()
    while locking is not None:
        try:
            file = path.open("a+", encoding="utf-8")
        except OSError:  # a folder that can only be read, such as that of a finished run
            return None
        try:
            locking.flock(file, locking.LOCK_EX | locking.LOCK_NB)
        except OSError as error:
            file.close()
            if isinstance(error, BlockingIOError):
                raise
            return None
        if _is(file, path):
            _sign(file)
            return file
        file.close()  # its holder cleared it away between opening and locking
    return None


def _is(file: IO[str], path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _sign(file: IO[str]) -> None:
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()


def _holder(path: Path) -> str:
    """Read who holds it."""
    with suppress(OSError, UnicodeDecodeError):
        who = path.read_text(encoding="utf-8")
        if who.startswith(f"process {os.getpid()} "):
            return f"{who}, this one"
        return who or "a process that is about to say which"
    return "a process that cannot be read"


def _system_locks() -> ModuleType | None:
    try:
        return importlib.import_module("fcntl")
    except ImportError:
        return None
