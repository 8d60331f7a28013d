"""Picture files (JPEG, PNG and the like) to bytes, one by one or a whole set into memory.

Grey pictures, palettes and CMYK become RGB; a rotation that a camera noted beside the pixels (EXIF)
is not applied, as in torchvision. A file that cannot be decoded is one sentence with its name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from vicinal._checks import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["SUFFIXES", "check_size", "open_picture", "pixels", "read_picture", "read_pictures"]

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Endings of a picture's file name, in lower case."""

_CHUNK = 64


def open_picture(path: Path) -> Image:
    """Decode a picture file.

    Args:
        path: The file.

    Returns:
        The picture, in RGB with 8 bits a channel.

    Raises:
        InputError: If it is missing, cut short or damaged, no picture, or has more than 8 bits.
    """
    pillow = _pillow()
    try:
        with pillow.open(path) as picture:
            if not picture.mode.startswith(("I", "F")):
                found: Image = picture.convert("RGB")
                return found
    except Exception as error:
        raise InputError(_diagnosis(path, error)) from error
    raise InputError(f"{path} must have 8 bits a channel to be read; it has more. Convert it?")


def check_size(picture: Image, path: Path, *, size: int) -> None:
    """Check that a picture of a published set has the set's final size.

    Args:
        picture: The picture.
        path: Where it was read.
        size: Pixels of the sides.

    Raises:
        InputError: If it has another.
    """
    if picture.size != (size, size):
        raise InputError(
            f"{path} must have the set's final size, {size}x{size} pixels; got "
            f"{picture.height}x{picture.width}. Is it another set?"
        )


def _diagnosis(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{path} could not be read: {error.strerror}."
    reason = str(error).partition(" '")[0]
    return f"{path} is cut short, damaged or no picture ({reason})."


def _pillow() -> ModuleType:
    try:
        return importlib.import_module("PIL.Image")
    except ImportError as error:
        raise InputError("reading picture files needs Pillow: pip install Pillow.") from error


def pixels(picture: Image) -> Tensor:
    """Take the pixels of a decoded picture.

    Args:
        picture: A picture in RGB.

    Returns:
        Its pixels (3, H, W), uint8, contiguous.
    """
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def read_picture(path: Path) -> Tensor:
    """Decode a picture file to bytes.

    Args:
        path: The file.

    Returns:
        The pixels (3, H, W), uint8.
    """
    return pixels(open_picture(path))


def read_pictures(
    paths: Sequence[Path], *, what: str, read: Callable[[Path], Tensor] = read_picture
) -> Tensor:
    """Decode many pictures of one size into memory, with torch's number of threads.

    On a terminal a bar on stderr shows how far it is.

    Args:
        paths: The files, at least one.
        what: What they are, beside the bar.
        read: How one file becomes pixels (C, H, W), uint8.

    Returns:
        Images (N, C, H, W), uint8, in the order of the files.

    Raises:
        InputError: If a file cannot be decoded, or has another size than the first.
    """
    first = read(paths[0])
    out = torch.empty((len(paths), *first.shape), dtype=torch.uint8)

    def store(rows: range) -> int:
        for row in rows:
            x = read(paths[row])
            if x.shape != first.shape:
                raise InputError(
                    f"{paths[row]} must have the size of the other images, "
                    f"{first.shape[1]}x{first.shape[2]} pixels; got {x.shape[1]}x{x.shape[2]}."
                )
            out[row] = x
        return len(rows)

    chunks = [range(i, min(i + _CHUNK, len(paths))) for i in range(0, len(paths), _CHUNK)]
    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool, bar:
        task = bar.add_task(f"decoding {what}", total=len(paths))
        for done in pool.map(store, chunks):
            bar.advance(task, done)
    return out
