"""A data set that is not at hand: an error of its own, so that a table can print `no data`.

A set that is there but damaged or incomplete is a plain `InputError`: it must not pass for absent.
"""

from __future__ import annotations

from pathlib import Path

from vicinal._checks import InputError

__all__ = ["MissingData", "existing_folder"]


class MissingData(InputError):
    """The data set asked for is not at hand; the sentence says where it was looked for."""


def existing_folder(name: str, data_dir: Path | None, *, holding: str) -> Path:
    """Check that a folder to look for a data set in was given and exists.

    Args:
        name: The data set's name.
        data_dir: The folder given.
        holding: What the folder must hold, for the sentence.

    Returns:
        The folder.

    Raises:
        MissingData: If none was given, it does not exist or it is no folder.

    Example:
        >>> existing_folder("cifar10", Path("no/such/folder"), holding="cifar10.npz")
        Traceback (most recent call last):
        vicinal.data.missing.MissingData: `data_dir` for cifar10 must be an existing folder that
        holds cifar10.npz; got no/such/folder, which does not exist.
    """
    if data_dir is None:
        raise MissingData(
            f"`data_dir` for {name} must be a folder that holds {holding}; got none. "
            "Only the digits need no folder."
        )
    folder = Path(data_dir)
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise MissingData(
            f"`data_dir` for {name} must be an existing folder that holds {holding}; "
            f"got {folder.as_posix()}, which {state}."
        )
    return folder
