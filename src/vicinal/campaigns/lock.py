"""One campaign at a time in a folder: two would train the same cell into the same run folder.

The lock is the operating system's: it goes with the process, however that ends. Where the system
has none of this kind, nothing is locked.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from vicinal._checks import InputError

__all__ = ["alone"]


@contextmanager
def alone(folder: Path) -> Generator[None]:
    """Hold a folder for one campaign.

    Args:
        folder: Where its run folders lie; made where it is missing.

    Yields:
        Nothing; the folder is held until the block ends.

    Raises:
        InputError: If another campaign holds it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a")
    except OSError as error:
        raise InputError(f"could not write to {folder}: {error.strerror or error}.") from error
    with file:
        locking = _system_locks()
        if locking is not None:
            try:
                locking.flock(file, locking.LOCK_EX | locking.LOCK_NB)
            except OSError:
                raise InputError(
                    f"another campaign is running in {folder}. Wait for it or choose another --out."
                ) from None
        yield


def _system_locks() -> ModuleType | None:
    try:
        return importlib.import_module("fcntl")
    except ImportError:
        return None
