"""Frost: the blend given the cut, textures from a folder and computed, and what may be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import laws
import pictures
from oracles import corruption_weather as oracle
from vicinal import corruptions
from vicinal._checks import InputError
from vicinal.corruptions import Frost
from vicinal.corruptions.ice import Ice, procedural_textures, read_textures, resized

SIZES = {"frost1.png": (90, 80), "frost2.png": (60, 70), "frost3.png": (60, 70)}
SIZES |= {"frost4.jpg": (50, 64), "frost5.jpg": (200, 100), "frost6.jpg": (80, 80)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six textures of the original's names, each of one colour but for its noise."""
    for place, (name, size) in enumerate(SIZES.items()):
        noise = np.random.default_rng(place).integers(0, 9, (*size, 3))
        pixels = (noise + np.array([40 * place, 10, 99])).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("severity", [1, 5])
def test_equals_its_description_given_the_cut(folder: Path, severity: int, channels: int) -> None:
    x = pictures.batch(6, channels=channels)
    frost = Frost(textures=folder)
    draw = frost.sample(torch.arange(6), x.shape, severity=severity, preset=224)
    got = pictures.levels(frost.apply(x, draw))
    names = list(SIZES)
    for image, index, (top, left), row in zip(x, draw.index, draw.place.tolist(), got, strict=True):
        with Image.open(folder / names[int(index)]) as texture:
            ice = np.asarray(texture.convert("L" if channels == 1 else "RGB"))
        cut = ice[top : top + 32, left : left + 32].reshape(32, 32, channels)
        wanted = oracle.frost(pictures.array(image), cut, *draw.strength[:2])
        off = np.abs(row - wanted.astype(int))
        assert off.max() <= 1
        assert (off > 0).mean() < (0.15 if channels == 1 else 0.01)


def test_five_textures_are_drawn_alike_and_the_sixth_never(folder: Path) -> None:
    frost = Frost(textures=folder)
    draw = frost.sample(torch.arange(4000), (3, 32, 32), severity=1, preset=224)
    counts = torch.bincount(draw.index, minlength=6)
    assert counts[5] == 0
    # Chi-square with 4 degrees of freedom; above 33 with probability 1e-6.
    assert float(((counts[:5] - 800) ** 2 / 800).sum()) < 33
    for index, name in enumerate(list(SIZES)[:5]):
        places = draw.place[draw.index == index]
        room = torch.tensor(SIZES[name]) - 32
        assert int(places.min()) == 0
        assert bool((places < room).all())
        assert torch.equal(places.amax(dim=0), room - 1)


def test_only_the_originals_textures_are_comparable(folder: Path) -> None:
    assert not corruptions.frost.comparable
    assert not Frost(textures="procedural").comparable
    assert Frost(textures=folder).comparable
    assert "procedural" in repr(corruptions.frost)


def test_a_folder_without_textures_is_said_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    (folder / "frost4.jpg").write_bytes(b"no picture")
    for textures, word in ((folder, "frost4.jpg"), (tmp_path / "none", "frost1.png")):
        with pytest.raises(InputError) as caught:
            Frost(textures=textures)(pictures.batch(1), severity=1)
        laws.assert_one_line(caught.value, "`textures`", str(textures), f"{word} cannot be read")


def test_textures_are_read_whole_and_made_to_fit(folder: Path) -> None:
    assert [tuple(t.shape) for t in read_textures(folder)] == [
        (3, *size) for size in list(SIZES.values())[:5]
    ]
    large = pictures.batch(1, size=(96, 96))
    assert Frost(textures=folder)(large, severity=1, rng=torch.Generator()).shape == large.shape


def test_resizing_is_linear_without_smoothing() -> None:
    texture = torch.arange(40, dtype=torch.uint8).view(1, 4, 10).expand(3, 4, 10)
    fifth = resized(texture, 0.2)
    assert fifth.shape == (3, 1, 2)
    # Sampled at row 2 (clamped to the last but one) and at columns 2 and 7.
    assert fifth[0, 0].tolist() == [22, 27]
    third = resized(texture, 0.3)
    assert third.shape == (3, 1, 3)
    places = (np.arange(3) + 0.5) / 0.3 - 0.5
    assert third[0, 0].tolist() == [round(10 * (0.5 / 0.3 - 0.5) + place) for place in places]
    assert resized(texture, 1) is texture


def test_computed_ice_has_the_colours_of_the_photographs() -> None:
    wanted = ((78, 149, 166), (201, 205, 214), (201, 205, 214), (138, 153, 165), (112, 123, 135))
    textures = procedural_textures()
    assert len(textures) == 5
    for texture, colour in zip(textures, wanted, strict=True):
        assert texture.dtype == torch.uint8
        off = texture.float().mean(dim=(1, 2)) - torch.tensor(colour)
        assert float(off.abs().max()) < 8
    assert len({int(texture.sum()) for texture in textures}) == 5


def test_the_texture_is_scaled_with_the_preset() -> None:
    draw = Ice(
        index=torch.zeros(1, dtype=torch.int64),
        place=torch.zeros(1, 2, dtype=torch.int64),
        strength=(0.0, 1.0, 0.2),
    )
    black = torch.zeros(1, 3, 32, 32)
    got = corruptions.frost.apply(black, draw)
    wanted = resized(procedural_textures()[0], 0.2)[:, :32, :32]
    assert torch.equal((got[0] * 255).round().byte(), wanted)
