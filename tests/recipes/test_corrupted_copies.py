"""Copies on the disk: the corruption itself, in the published layouts, resumable and never half."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from trees import decoded, random_pixels, write_picture
from vicinal import corruptions, data
from vicinal._checks import InputError
from vicinal.data.imagenet_c import read_corrupted_folders
from vicinal.recipes.corrupted_copies import (
    Copies,
    corrupt_arrays,
    corrupt_folder,
    find_pictures,
)
from vicinal.recipes.corruption_words import read_corruptions

NOISE = {"gaussian_noise": corruptions.gaussian_noise}
TWO = {**NOISE, "contrast": corruptions.CORRUPTIONS["contrast"]}


def pictures(root: Path) -> Path:
    """Five pictures of two sizes in two classes."""
    for k in range(5):
        side = 24 if k < 3 else 32
        pixels = random_pixels(k, height=side, width=side)
        write_picture(root / ("cat" if k % 2 else "dog") / f"{k}.png", pixels)
    return root


def wanted(image: Tensor, row: int, name: str, severity: int, seed: int) -> Tensor:
    keys = corruptions.fixed_keys(torch.tensor([row]), seed=seed, name=name, severity=severity)
    bad = TWO[name](image[None].float() / 255, severity=severity, keys=keys)
    return (bad[0] * 255).round().byte()


def test_a_copy_is_its_corruption_image_by_image(tmp_path: Path) -> None:
    folder, out = pictures(tmp_path / "in"), tmp_path / "out"
    ask = Copies(severities=(1, 4), seed=3)
    assert corrupt_folder(folder, out, TWO, ask) == 2 * 2 * 5
    for name in TWO:
        for severity in (1, 4):
            for row, file in enumerate(find_pictures(folder)):
                found = decoded(out / name / str(severity) / file)
                image = torch.from_numpy(decoded(folder / file).copy())
                right = wanted(image, row, name, severity, 3).numpy()
                assert np.array_equal(found, right)
    assert read_corrupted_folders(out, name="mine", size=24).corruptions == tuple(sorted(TWO))


def test_jpeg_copies_have_the_quality_of_the_published_sets(tmp_path: Path) -> None:
    folder, out = pictures(tmp_path / "in"), tmp_path / "out"
    corrupt_folder(folder, out, NOISE, Copies(severities=(1,), form="jpeg", size=40))
    from PIL import Image

    first = out / "gaussian_noise" / "1" / "cat" / "1.jpg"
    lossless = tmp_path / "png"
    corrupt_folder(folder, lossless, NOISE, Copies(severities=(1,), size=40))
    again = tmp_path / "again.jpg"
    with Image.open(lossless / "gaussian_noise" / "1" / "cat" / "1.png") as picture:
        assert picture.size == (40, 40)
        picture.save(again, quality=85)
    assert first.read_bytes() == again.read_bytes()


def test_a_call_goes_on_where_another_stopped(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "in")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    ask, told = Copies(severities=(2,)), []
    corrupt_folder(folder, whole, TWO, ask)
    corrupt_folder(folder, parts, TWO, ask)
    for lost in ("gaussian_noise/2/cat/1.png", "contrast/2/dog/4.png"):
        (parts / lost).unlink()
    kept = (parts / "contrast/2/cat/1.png").stat().st_mtime_ns
    report = lambda name, n: told.append((name, n))  # ruff: ignore[lambda-assignment]
    assert corrupt_folder(folder, parts, TWO, ask, report=report) == 2
    for file in find_pictures(whole):
        assert (whole / file).read_bytes() == (parts / file).read_bytes()
    assert (parts / "contrast/2/cat/1.png").stat().st_mtime_ns == kept
    assert {name: sum(n for one, n in told if one == name) for name in TWO} == dict.fromkeys(TWO, 5)


def test_nothing_is_left_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    folder, out = pictures(tmp_path / "in"), tmp_path / "out"

    def breaks(self: Image.Image, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", breaks)
    with pytest.raises(KeyboardInterrupt):
        corrupt_folder(folder, out, NOISE, Copies())
    assert [path.name for path in out.rglob("*") if path.is_file()] == ["corrupted.json"]


def test_other_copies_into_the_same_folder_are_refused(tmp_path: Path) -> None:
    folder, out = pictures(tmp_path / "in"), tmp_path / "out"
    corrupt_folder(folder, out, NOISE, Copies(severities=(1,)))
    corrupt_folder(folder, out, TWO, Copies(severities=(1, 2)))
    assert json.loads((out / "corrupted.json").read_text())["seed"] == 0
    for ask in (Copies(seed=1), Copies(form="jpeg"), Copies(size=24)):
        with pytest.raises(InputError, match="Choose another --out"):
            corrupt_folder(folder, out, NOISE, ask)


def test_bad_pictures_are_all_told_before_anything_is_written(tmp_path: Path) -> None:
    folder, out = pictures(tmp_path / "in"), tmp_path / "out"
    for name in ("cut.png", "no.png"):
        (folder / name).write_bytes((folder / "cat" / "1.png").read_bytes()[:100])
    with pytest.raises(InputError, match=r"got 2 of 7 .* cut\.png, no\.png"):
        corrupt_folder(folder, out, NOISE, Copies())
    assert not out.exists()
    for name in ("cut.png", "no.png"):
        (folder / name).unlink()
    assert corrupt_folder(folder, out, NOISE, Copies(severities=(1,))) == 5


def test_a_call_that_goes_on_does_not_check_all_pictures_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = pictures(tmp_path / "in"), tmp_path / "out"
    corrupt_folder(folder, out, NOISE, Copies(severities=(1,)))
    monkeypatch.setattr("vicinal.recipes.corrupted_copies.check_pictures", None)
    assert corrupt_folder(folder, out, NOISE, Copies(severities=(1, 2))) == 5


@pytest.mark.parametrize("left", ["", "gaussian_noise/1/.0.png.x.partial", "contact_sheet.png"])
def test_a_manifest_without_copies_does_not_lock(left: str, tmp_path: Path) -> None:
    folder, out = pictures(tmp_path / "in"), tmp_path / "out"
    (out / "gaussian_noise" / "1").mkdir(parents=True)
    if left:
        (out / left).touch()
    about = out / "corrupted.json"
    about.write_text(json.dumps({"images": 7, "seed": 5, "frost": "procedural"}))
    assert corrupt_folder(folder, out, NOISE, Copies(severities=(1,))) == 5
    told = json.loads(about.read_text())
    assert (told["images"], told["seed"], "frost" in told) == (5, 0, False)
    with pytest.raises(InputError, match="`seed` = 0, not 1"):
        corrupt_folder(folder, out, NOISE, Copies(seed=1))


def test_labels_alone_are_no_copies_but_an_array_is(tmp_path: Path) -> None:
    split = data.Split(x=torch.zeros(2, 3, 32, 32, dtype=torch.uint8), y=torch.arange(2))
    (tmp_path / "corrupted.json").write_text(json.dumps({"images": 3}))
    (tmp_path / "labels.npy").write_bytes(b"of three images")
    assert corrupt_arrays(split, tmp_path, NOISE, Copies(), source="cifar10") == 1
    assert np.load(tmp_path / "labels.npy").tolist() == [0, 1] * 5
    with pytest.raises(InputError, match="`source` = 'cifar10', not 'svhn'"):
        corrupt_arrays(split, tmp_path, NOISE, Copies(), source="svhn")


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "in")
    with pytest.raises(InputError, match="must lie outside"):
        corrupt_folder(folder, folder / "out", NOISE, Copies())
    same_name = pictures(tmp_path / "gaussian_noise")
    with pytest.raises(InputError, match="must lie outside"):
        corrupt_folder(same_name, tmp_path, NOISE, Copies())
    write_picture(folder / "cat" / "1.bmp", random_pixels(9))
    with pytest.raises(InputError, match=r"both become cat/1\.png"):
        corrupt_folder(folder, tmp_path / "out", NOISE, Copies())
    with pytest.raises(InputError, match="does not exist"):
        find_pictures(tmp_path / "no")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="must hold images"):
        find_pictures(tmp_path / "empty")
    with pytest.raises(InputError, match=r"png \| jpeg"):
        Copies(form="gif")


def test_arrays_are_read_back_as_a_published_set(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (70, 3, 32, 32), generator=rng, dtype=torch.uint8)
    split, out = data.Split(x=x, y=torch.arange(70) % 10), tmp_path / "mine"
    assert corrupt_arrays(split, out, TWO, Copies(seed=5), source="cifar10") == 2
    found = data.read_corrupted_arrays(out, name="mine", num_classes=10)
    for name in TWO:
        for severity in (1, 5):
            part = found.part(name, severity)
            assert isinstance(part, data.Split)
            assert torch.equal(part.y, split.y)
            for row in (0, 63, 64, 69):
                assert torch.equal(part.x[row], wanted(x[row], row, name, severity, 5))
    assert np.load(out / "contrast.npy", mmap_mode="r").shape == (350, 32, 32, 3)
    stamp = (out / "contrast.npy").stat().st_mtime_ns
    (out / "gaussian_noise.npy").unlink()
    assert corrupt_arrays(split, out, TWO, Copies(seed=5), source="cifar10") == 1
    assert (out / "contrast.npy").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="must be 1-5"):
        corrupt_arrays(split, out, TWO, Copies(severities=(1,)), source="cifar10")


@pytest.mark.parametrize("held", ["labels.npy", "contrast.npy"])
def test_a_published_set_is_not_taken_for_copies(held: str, tmp_path: Path) -> None:
    split = data.Split(x=torch.zeros(2, 3, 32, 32, dtype=torch.uint8), y=torch.arange(2))
    (tmp_path / held).write_bytes(b"published")
    with pytest.raises(InputError, match=f"holds {held}, which no vicinal corrupt made"):
        corrupt_arrays(split, tmp_path, TWO, Copies(), source="cifar10")
    assert [file.name for file in tmp_path.iterdir()] == [held]
    assert (tmp_path / held).read_bytes() == b"published"
    corrupt_arrays(split, tmp_path / "new", NOISE, Copies(), source="cifar10")
    assert corrupt_arrays(split, tmp_path / "new", TWO, Copies(), source="cifar10") == 1


def test_a_published_folder_is_not_taken_for_copies(tmp_path: Path) -> None:
    (tmp_path / "out" / "contrast" / "1").mkdir(parents=True)
    with pytest.raises(InputError, match="holds contrast, which no"):
        corrupt_folder(pictures(tmp_path / "in"), tmp_path / "out", TWO, Copies())


def test_computed_ice_does_not_pass_for_the_photographs(tmp_path: Path) -> None:
    for k in range(2):
        write_picture(tmp_path / "in" / f"{k}.png", random_pixels(k, height=16, width=16))
    ice = tmp_path / "ice"
    ice.mkdir()
    for name in ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg"):
        Image.fromarray(np.zeros((100, 100, 3), np.uint8)).save(ice / name)
    ask, source, out = Copies(severities=(1,)), tmp_path / "in", tmp_path / "out"
    assert corrupt_folder(source, out, read_corruptions("contrast"), ask) == 2
    assert corrupt_folder(source, out, read_corruptions("contrast,frost"), ask) == 2
    assert corrupt_folder(source, out, read_corruptions("contrast"), ask) == 0
    assert corrupt_folder(source, out, read_corruptions("frost"), ask) == 0
    with pytest.raises(InputError, match="`frost` = 'procedural'"):
        corrupt_folder(source, out, read_corruptions("frost", frost=ice), ask)
