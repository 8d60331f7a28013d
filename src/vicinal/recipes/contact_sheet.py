"""One picture under every corruption and severity, side by side on a sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from PIL.Image import Resampling
from torch import Tensor

from vicinal import records
from vicinal._checks import InputError, choice, count
from vicinal.corruptions import SEVERITIES, Corruption, fixed_keys
from vicinal.data.pictures import pixels
from vicinal.data.views import evaluation_view
from vicinal.recipes.corrupted_copies import make_folder

__all__ = ["PHOTOGRAPHS", "TILE", "check_sheet", "contact_sheet", "photograph", "write_sheet"]

PHOTOGRAPHS = ("china", "flower")
"""The photographs that come with scikit-learn."""

TILE = 112
"""Pixels of the side of each small picture on a sheet."""

_NAMES = 132
_HEAD = 20
_GAP = 2
_JPEG = {"format": "JPEG", "quality": 80, "optimize": True}
_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG", "optimize": True},
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
}
_PAPER, _INK, _MARK = (255, 255, 255), (20, 20, 20), (150, 30, 30)


def photograph(name: str, *, size: int = 224) -> Tensor:
    """Take one of scikit-learn's photographs: its middle, as an evaluation sees it.

    Args:
        name: "china" or "flower".
        size: Pixels of the sides.

    Returns:
        The pixels (3, size, size), uint8.
    """
    from sklearn.datasets import load_sample_image

    found = load_sample_image(f"{choice('photo', name, PHOTOGRAPHS)}.jpg")
    view = evaluation_view(Image.fromarray(found), size=count("size", size), view="cropped")
    return pixels(view)


def contact_sheet(
    image: Tensor,
    named: Mapping[str, Corruption[Any, Any]],
    *,
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    tile: int = TILE,
) -> Image.Image:
    """Draw a sheet: a row per corruption, the clean image first, then one column per severity.

    Args:
        image: The pixels (C, H, W), uint8, C = 1 or 3.
        named: Corruptions by name; those that are not comparable have a star.
        severities: Which of 1 to 5.
        seed: Governs every draw.
        tile: Pixels of the side of each small picture.

    Returns:
        The sheet, in RGB.
    """
    cell = count("tile", tile) + _GAP
    columns = ["clean", *(f"severity {severity}" for severity in severities)]
    width = _NAMES + len(columns) * cell
    sheet = Image.new("RGB", (width, _HEAD + len(named) * cell), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for k, word in enumerate(columns):
        draw.text((_NAMES + k * cell + 4, 4), word, fill=_INK, font=font)
    x = image[None].float() / 255
    for row, (name, corruption) in enumerate(named.items()):
        top = _HEAD + row * cell
        comparable = getattr(corruption, "comparable", True)
        word = name if comparable else f"{name} *"
        draw.text((4, top + tile // 2 - 6), word, fill=_INK if comparable else _MARK, font=font)
        for k, bad in enumerate([x, *_all(x, name, corruption, severities, seed)]):
            sheet.paste(_small(bad[0], tile), (_NAMES + k * cell, top))
    return sheet


def _all(
    x: Tensor,
    name: str,
    corruption: Corruption[Any, Any],
    severities: Sequence[int],
    seed: int,
) -> list[Tensor]:
    place = torch.tensor([0])
    return [
        corruption(x, severity=s, keys=fixed_keys(place, seed=seed, name=name, severity=s))
        for s in severities
    ]


def _small(image: Tensor, tile: int) -> Image.Image:
    levels = image.mul(255).round().byte().expand(3, -1, -1).permute(1, 2, 0)
    picture = Image.fromarray(np.ascontiguousarray(levels.cpu().numpy()))
    larger = min(picture.size) >= tile
    rule = Resampling.BOX if larger else Resampling.NEAREST
    return picture.resize((tile, tile), rule)


def write_sheet(path: Path, sheet: Image.Image) -> None:
    """Write a sheet, whole or not at all: without loss as PNG, or smaller as JPEG.

    Args:
        path: Where it shall stand, .png, .jpg or .jpeg; its folder is made.
        sheet: The sheet.

    Raises:
        InputError: If the ending is none of these, or the file cannot be written.
    """
    options = _OPTIONS[check_sheet(path).suffix.lower()]
    with records.atomic(path) as temporary:
        sheet.save(temporary, **options)


def check_sheet(path: Path) -> Path:
    """Check that a sheet can be written to a file, before it is drawn; the file's folder is made.

    Args:
        path: Where it shall stand.

    Returns:
        The path.

    Raises:
        InputError: If the ending is not .png, .jpg or .jpeg, or the folder cannot be made.
    """
    if path.suffix.lower() not in _OPTIONS:
        raise InputError(f"a contact sheet is written as .png or .jpg; got {path.name!r}.")
    make_folder(path.parent)
    return path
