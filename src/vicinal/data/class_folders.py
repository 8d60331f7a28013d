"""Folders of pictures, one per class: which classes there are, and which files belong to them.

Names decide everything: classes in the order of their folders' names, files in the order of theirs,
so a listing is the same on every file system. Hidden entries (a leading dot) and files that are no
pictures are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vicinal._checks import InputError
from vicinal.data.pictures import SUFFIXES

__all__ = ["Listing", "class_folders", "in_turns", "list_pictures", "picture_names"]


class Listing(NamedTuple):
    """Picture files and their classes: N names relative to one folder, and classes (N,) int64."""

    names: tuple[str, ...]
    y: Tensor


def class_folders(folder: Path) -> tuple[str, ...]:
    """Name the classes of a folder.

    Args:
        folder: A folder that holds one folder per class.

    Returns:
        The folders' names, sorted.

    Raises:
        InputError: If it is missing, or holds no two folders.
    """
    found = _names(folder, folders=True)
    if len(found) < 2:
        loose = any(_is_picture(name) for name in _names(folder, folders=False))
        hint = " Its images lie there directly: sort them into one folder per class." * loose
        raise InputError(
            f"{folder} must hold one folder per class, at least two; it holds {len(found)}.{hint}"
        )
    return tuple(found)


def picture_names(folder: Path) -> list[str]:
    """Name the pictures of a folder.

    Args:
        folder: The folder; folders in it are not looked into.

    Returns:
        The files' names, sorted.

    Raises:
        InputError: If it is missing, or holds no picture.
    """
    found = [name for name in _names(folder, folders=False) if _is_picture(name)]
    if not found:
        endings = " ".join(sorted(SUFFIXES))
        raise InputError(f"{folder} must hold images ({endings}); it holds none.")
    return found


def list_pictures(folder: Path, classes: Sequence[str], *, inside: str = "") -> Listing:
    """List all pictures of a folder that holds one folder per class.

    Args:
        folder: The folder.
        classes: The names of its classes' folders, in the order of their labels.
        inside: A further folder in each class's folder, which holds the pictures.

    Returns:
        The listing, the classes in turns.
    """
    found = []
    for name in classes:
        within = f"{name}/{inside}" if inside else name
        found.append([f"{within}/{file}" for file in picture_names(folder / within)])
    return in_turns(found)


def in_turns(found: Sequence[Sequence[str]]) -> Listing:
    """Join the files of all classes so that the classes take turns.

    The first file of every class comes before the second of any, so the first n images of a test
    set are of all its classes.

    Args:
        found: For each class its files' names.

    Returns:
        The listing.

    Example:
        >>> in_turns([["a1", "a2", "a3"], ["b1", "b2"]])
        Listing(names=('a1', 'b1', 'a2', 'b2', 'a3'), y=tensor([0, 1, 0, 1, 0]))
    """
    order = sorted((turn, label) for label, names in enumerate(found) for turn in range(len(names)))
    names = tuple(found[label][turn] for turn, label in order)
    return Listing(names=names, y=torch.tensor([label for _, label in order]))


def _names(folder: Path, *, folders: bool) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name
                for entry in entries
                if entry.is_dir() == folders and not entry.name.startswith(".")
            )
    except OSError as error:
        raise InputError(
            f"{folder} must be a folder of images; it could not be read: {error.strerror}."
        ) from error


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES
