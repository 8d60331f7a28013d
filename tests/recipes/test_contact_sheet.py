from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vicinal import corruptions
from vicinal._checks import InputError
from vicinal.recipes.contact_sheet import contact_sheet, photograph, write_sheet

TILE, NAMES, HEAD, GAP = 112, 132, 20, 2
NAMED = {name: corruptions.CORRUPTIONS[name] for name in ("contrast", "gaussian_noise")}


def tile(sheet: Image.Image, row: int, column: int) -> torch.Tensor:
    left, top = NAMES + column * (TILE + GAP), HEAD + row * (TILE + GAP)
    part = sheet.crop((left, top, left + TILE, top + TILE))
    return torch.from_numpy(np.asarray(part).copy()).permute(2, 0, 1)


def test_a_tile_is_its_corruption_and_severity() -> None:
    image = photograph("flower", size=TILE)
    sheet = contact_sheet(image, NAMED, severities=(1, 5), seed=2)
    assert sheet.size == (NAMES + 3 * (TILE + GAP), HEAD + 2 * (TILE + GAP))
    for row, (name, corruption) in enumerate(NAMED.items()):
        assert torch.equal(tile(sheet, row, 0), image)
        for column, severity in enumerate((1, 5), 1):
            place = torch.tensor([0])
            keys = corruptions.fixed_keys(place, seed=2, name=name, severity=severity)
            bad = corruption(image[None].float() / 255, severity=severity, keys=keys)[0]
            assert torch.equal(tile(sheet, row, column), (bad * 255).round().byte())


def test_grey_images_and_small_ones_have_their_tiles() -> None:
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 8, 8)
    noise = {"gaussian_noise": NAMED["gaussian_noise"]}
    sheet = contact_sheet(image, noise, severities=(3,))
    assert torch.equal(tile(sheet, 0, 0)[:, ::14, ::14], image.expand(3, -1, -1))


def test_a_sheet_is_written_whole(tmp_path: Path) -> None:
    sheet = contact_sheet(photograph("china", size=32), NAMED, severities=(1,))
    write_sheet(tmp_path / "new" / "sheet.png", sheet)
    with Image.open(tmp_path / "new" / "sheet.png") as found:
        assert np.array_equal(np.asarray(found), np.asarray(sheet))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sheet.png"]
    with pytest.raises(InputError, match=r"china \| flower"):
        photograph("chima")


def test_a_smaller_sheet_as_jpeg(tmp_path: Path) -> None:
    sheet = contact_sheet(photograph("flower", size=64), NAMED, severities=(1,), tile=32)
    assert sheet.size == (NAMES + 2 * (32 + GAP), HEAD + 2 * (32 + GAP))
    write_sheet(tmp_path / "sheet.jpg", sheet)
    with Image.open(tmp_path / "sheet.jpg") as found:
        assert (found.format, found.size) == ("JPEG", sheet.size)
        apart = np.asarray(found, dtype=float) - np.asarray(sheet)
    assert np.abs(apart).mean() < 16
    with pytest.raises(InputError, match=r"\.png or \.jpg; got 'sheet\.gif'"):
        write_sheet(tmp_path / "sheet.gif", sheet)
