"""Pictures are asked whether they can be read: exactly those are refused that cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trees import random_pixels, write_picture
from vicinal._checks import InputError
from vicinal.data.pictures import open_picture
from vicinal.recipes.readable import check_pictures

FORMS = ("png", "jpg", "bmp", "tif", "webp", "ppm")


def readable(path: Path) -> bool:
    """Say whether a picture can be decoded, by decoding it."""
    try:
        open_picture(path)
    except InputError:
        return False
    return True


def accepted(path: Path) -> bool:
    try:
        check_pictures(path.parent, [path.name])
    except InputError:
        return False
    return True


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_refused_just_where_it_cannot_be_decoded(form: str, tmp_path: Path) -> None:
    whole = tmp_path / f"whole.{form}"
    Image.fromarray(random_pixels(0, height=40, width=30)).save(whole)
    written = whole.read_bytes()
    assert accepted(whole)
    for share in (0.0, 0.01, 0.3, 0.6, 0.99):
        part = tmp_path / f"part.{form}"
        part.write_bytes(written[: int(share * len(written))])
        assert accepted(part) == readable(part)
    assert not accepted(part.with_name("absent.png"))


def test_a_png_that_lacks_its_end_or_has_a_spoilt_byte(tmp_path: Path) -> None:
    written = write_picture(tmp_path / "whole.png", random_pixels(1)).read_bytes()
    no_end, spoilt = tmp_path / "no_end.png", tmp_path / "spoilt.png"
    no_end.write_bytes(written[:-12])
    middle = len(written) // 2
    spoilt.write_bytes(written[:middle] + bytes(40) + written[middle + 40 :])
    assert readable(no_end)
    assert accepted(no_end)
    assert not accepted(spoilt)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_more_than_8_bits_are_refused_in_the_words_of_the_reader(
    kind: type[np.generic], tmp_path: Path
) -> None:
    deep = tmp_path / "deep.tif"
    Image.fromarray(random_pixels(2)[:, :, 0].astype(kind)).save(deep)
    with pytest.raises(InputError, match=r"deep\.tif must have 8 bits a channel") as found:
        check_pictures(tmp_path, ["deep.tif"])
    with pytest.raises(InputError) as read:
        open_picture(deep)
    assert str(found.value) == str(read.value)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
def test_what_becomes_rgb_is_accepted(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    Image.fromarray(random_pixels(3)).convert(mode).save(path)
    assert accepted(path)
    if mode in {"L", "CMYK"}:
        Image.fromarray(random_pixels(3)).convert(mode).save(tmp_path / "x.jpg")
        assert accepted(tmp_path / "x.jpg")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (2, "got 2 of 4 that are damaged or have more: a/0.png, a/1.png. Convert"),
        (3, "got 3 of 5 that are damaged or have more: a/0.png, a/1.png, a/2.png. Convert"),
        (5, "got 5 of 7 that are damaged or have more: a/0.png, a/1.png, a/2.png and 2 more."),
    ],
)
def test_all_bad_ones_are_told_at_once(bad: int, words: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    names = [f"a/{k}.png" for k in range(bad)]
    for name in names:
        (tmp_path / name).write_bytes(b"no picture")
    for name in ("a/good.png", "good.png"):
        write_picture(tmp_path / name, random_pixels(4))
    with pytest.raises(InputError) as found:
        check_pictures(tmp_path, [*names, "a/good.png", "good.png"])
    assert words in str(found.value)
    check_pictures(tmp_path, ["a/good.png", "good.png"])
