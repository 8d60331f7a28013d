from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trees import decoded, random_pixels, write_picture
from vicinal._checks import InputError
from vicinal.data.pictures import open_picture, read_picture, read_pictures


@pytest.mark.parametrize("ending", [".png", ".bmp", ".ppm", ".tif", ".webp", ".JPEG", ".jpg"])
def test_a_picture_is_its_pixels(tmp_path: Path, ending: str) -> None:
    pixels = random_pixels(1, height=9, width=13)
    path = write_picture(tmp_path / f"one{ending}", pixels)
    x = read_picture(path)
    assert (x.shape, x.dtype) == ((3, 9, 13), torch.uint8)
    assert x.is_contiguous()
    assert np.array_equal(x.numpy(), decoded(path))
    if ending in {".png", ".bmp", ".ppm", ".tif"}:
        assert np.array_equal(x.numpy(), pixels.transpose(2, 0, 1))


def test_a_grey_picture_has_three_equal_channels(tmp_path: Path) -> None:
    grey = random_pixels(2, height=6, width=5)[..., 0]
    for ending in (".png", ".JPEG"):
        path = tmp_path / f"grey{ending}"
        Image.fromarray(grey).save(path, quality=100)
        x = read_picture(path)
        assert torch.equal(x[0], x[1])
        assert torch.equal(x[0], x[2])
        assert int((x[0].int() - torch.tensor(grey).int()).abs().max()) <= 2 * (ending != ".png")


@pytest.mark.parametrize("mode", ["1", "P", "RGBA", "CMYK", "LA"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(random_pixels(3, height=8, width=8)).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    picture.save(path)
    assert np.array_equal(read_picture(path).numpy(), decoded(path))
    assert open_picture(path).mode == "RGB"


def test_sixteen_bits_are_refused_rather_than_clipped(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(path)
    with pytest.raises(InputError, match=r"deep\.png must have 8 bits a channel"):
        read_picture(path)


@pytest.mark.parametrize("ending", [".JPEG", ".png"])
def test_a_broken_file_is_one_sentence_with_its_name(tmp_path: Path, ending: str) -> None:
    path = write_picture(tmp_path / f"broken{ending}", random_pixels(4))
    content = path.read_bytes()
    for changed in (content[: len(content) // 2], content[:20], b"", b"<html></html>"):
        path.write_bytes(changed)
        with pytest.raises(InputError, match=rf"^\S*broken{ending} is cut short, damaged or no"):
            read_picture(path)
    path.unlink()
    with pytest.raises(InputError, match=rf"broken{ending} could not be read: No such file"):
        read_picture(path)


def test_without_pillow_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_picture(tmp_path / "one.png", random_pixels(1))
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(InputError, match="needs Pillow: pip install Pillow"):
        read_picture(path)


@pytest.mark.parametrize("n", [1, 64, 65, 150])
@pytest.mark.parametrize("threads", [1, 3])
def test_many_pictures_come_in_the_order_of_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int, threads: int
) -> None:
    paths = [
        write_picture(tmp_path / f"{k}.png", random_pixels(k, height=4, width=5)) for k in range(n)
    ]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    x = read_pictures(paths, what="these")
    assert (x.shape, x.dtype) == ((n, 3, 4, 5), torch.uint8)
    for k in range(n):
        assert np.array_equal(x[k].numpy(), random_pixels(k, height=4, width=5).transpose(2, 0, 1))


@pytest.mark.parametrize("place", [1, 70])
def test_a_picture_of_another_size_or_a_broken_one_is_named(tmp_path: Path, place: int) -> None:
    paths = [
        write_picture(tmp_path / f"p{k}.png", random_pixels(k, height=4, width=5))
        for k in range(80)
    ]
    write_picture(paths[place], random_pixels(0, height=5, width=4))
    with pytest.raises(InputError, match=rf"p{place}\.png must have .* 4x5 pixels; got 5x4\."):
        read_pictures(paths, what="these")
    paths[place].write_bytes(b"")
    with pytest.raises(InputError, match=rf"p{place}\.png is cut short"):
        read_pictures(paths, what="these")


def test_nothing_is_printed_where_there_is_no_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for word in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(word, raising=False)
    read_pictures([write_picture(tmp_path / "one.png", random_pixels(1))], what="these")
    assert capfd.readouterr() == ("", "")
