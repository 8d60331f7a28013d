"""Whether pictures can be read, asked before long work on them, so that all bad ones are told."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import torch
from PIL import Image

from vicinal._checks import InputError
from vicinal.data.pictures import open_picture

__all__ = ["check_pictures"]

_NAMED = 3
"""How many bad pictures a sentence names."""


def check_pictures(folder: Path, names: Sequence[str]) -> None:
    """Check that every picture can be read, without taking its pixels where that can be avoided.

    Of a PNG the checksums are looked at; a JPEG is decoded at an eighth of its size.

    Args:
        folder: The folder.
        names: The pictures, relative to it.

    Raises:
        InputError: If some cannot; it names up to three of them, and counts the others.
    """
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        flaws = pool.map(_flaw, [folder / name for name in names])
        bad = {name: flaw for name, flaw in zip(names, flaws, strict=True) if flaw is not None}
    if not bad:
        return
    if len(bad) == 1:
        raise InputError(next(iter(bad.values())))
    named = ", ".join(list(bad)[:_NAMED])
    others = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    raise InputError(
        f"{folder} must hold pictures that can be read, with 8 bits a channel; got {len(bad)} of "
        f"{len(names)} that are damaged or have more: {named}{others}. Convert or remove them?"
    )


def _flaw(path: Path) -> str | None:
    """Say why a picture cannot be read; None where it can."""
    if _looks_whole(path):
        return None
    # What looks broken may still be read, such as a PNG that lacks its end.
    try:
        open_picture(path)
    except InputError as error:
        return str(error)
    return None


def _looks_whole(path: Path) -> bool:
    # Pillow says that a file is damaged by errors of many kinds, SyntaxError among them.
    with suppress(Exception), Image.open(path) as picture:
        if picture.mode.startswith(("I", "F")):
            return False
        if picture.format == "PNG":
            picture.verify()
        else:
            picture.draft("L", (1, 1))
            picture.load()
        return True
    return False
