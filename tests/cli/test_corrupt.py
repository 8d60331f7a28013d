"""`vicinal corrupt`, end to end on folders of a few small pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

import layouts
from trees import random_pixels, write_picture
from vicinal.cli import main
from vicinal.corruptions import Contrast, Corruption
from vicinal.recipes import contact_sheet

FEW = ["--corruptions", "gaussian_noise,contrast"]


def folder(root: Path) -> str:
    for k in range(3):
        write_picture(root / f"{k}.png", random_pixels(k, height=16, width=16))
    return str(root)


def test_copies_of_a_folder_with_a_contact_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["corrupt", folder(tmp_path / "in"), "--out", str(out), *FEW, "--severities", "1,3"]
    assert main(words) == 0
    assert "12 files written, 2 corruptions" in capsys.readouterr().out
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("2.png")) == [
        "contrast/1/2.png",
        "contrast/3/2.png",
        "gaussian_noise/1/2.png",
        "gaussian_noise/3/2.png",
    ]
    assert (out / "contact_sheet.png").is_file()
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["files"]) == ("copies", 0)


def test_a_set_becomes_arrays(tmp_path: Path) -> None:
    layouts.cifar_npz(tmp_path, images=4)
    out = tmp_path / "out"
    words = ["corrupt", str(tmp_path), "--dataset", "cifar10", "--out", str(out)]
    assert main([*words, *FEW]) == 0
    assert np.load(out / "contrast.npy").shape == (20, 32, 32, 3)
    assert np.load(out / "labels.npy").tolist() == [0, 1, 2, 3] * 5


def test_the_sheet_beside_copies_shows_what_was_corrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photograph of 12 million pixels would take minutes under 95 corruptions as it is."""
    shown = []

    def noted(image: Tensor, *_: object, **__: object) -> Image.Image:
        shown.append(tuple(image.shape))
        return Image.new("RGB", (4, 4))

    monkeypatch.setattr(contact_sheet, "contact_sheet", noted)
    words = ["corrupt", folder(tmp_path / "in"), "--out", str(tmp_path / "out"), *FEW]
    assert main([*words, "--size", "8", "--severities", "1"]) == 0
    assert shown == [(3, 8, 8)]


@pytest.mark.parametrize("dataset", [False, True])
def test_an_interrupted_call_says_that_it_goes_on_and_does(
    dataset: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = folder(tmp_path / "in")
    layouts.cifar_npz(tmp_path / "in", images=4)
    source = ["--dataset", "cifar10"] if dataset else ["--severities", "1"]
    words = ["corrupt", given, *source, *FEW]
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0

    def stopped(*_: object, **__: object) -> Tensor:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Contrast, "__call__", stopped)
        assert main([*words, "--out", str(tmp_path / "parts")]) == 130
    assert "interrupted; the same command goes on" in capsys.readouterr().err
    assert not list((tmp_path / "parts").rglob("*.partial"))
    assert main([*words, "--out", str(tmp_path / "parts")]) == 0
    whole, parts = (
        {file.relative_to(root): file.read_bytes() for file in root.rglob("*") if file.is_file()}
        for root in (tmp_path / "whole", tmp_path / "parts")
    )
    assert whole == parts


@pytest.mark.parametrize("deep", [False, True])
def test_after_a_bad_picture_is_removed_the_same_command_goes(
    deep: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, out = Path(folder(tmp_path / "in")), tmp_path / "out"
    bad = given / "1_bad.png"
    if deep:
        Image.fromarray(random_pixels(7)[:, :, 0].astype(np.uint16)).save(bad)
    else:
        bad.write_bytes((given / "1.png").read_bytes()[:200])
    words = ["corrupt", str(given), "--out", str(out), *FEW, "--severities", "1,3"]
    assert main(words) == 2
    assert "1_bad.png" in capsys.readouterr().err
    assert not out.exists()
    bad.unlink()
    assert main(words) == 0


def test_a_sheet_needs_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sheet.png"
    words = ["corrupt", "--sheet", str(file), *FEW, "--size", "32", "--photo", "flower"]
    assert main(words) == 0
    assert file.is_file()
    assert "2 corruptions of flower" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "`FOLDER` must be given"),
        (["in"], "`--out` must be given"),
        (["no", "--out", "out"], "does not exist"),
        (["in", "--out", "out", "--corruptions", "fogg"], "Did you mean fog?"),
        (["in", "--out", "out", "--severities", "6"], "numbers from 1 to 5"),
        (["in", "--out", "out", "--format", "gif"], "png | jpeg"),
        (["in", "--out", "out", "--view", "cut"], "cropped | resized"),
        (["in", "--out", "in/out"], "must lie outside"),
        (["in", "--out", "file"], "could not make the folder file"),
        (
            ["in", "--out", "blocked", "--corruptions", "fog"],
            "could not make the folder blocked/fog",
        ),
        (["in", "--out", "damaged"], "must say what the copies beside it are"),
        (["--sheet", "sheet.gif"], "as .png or .jpg; got 'sheet.gif'"),
        (["--sheet", "file/sheet.png"], "could not make the folder file"),
        (["in", "--out", "out", "--dataset", "cifar10"], "must hold cifar-10-batches-py"),
        (["in", "--out", "out", "--dataset", "imagenet"], "with the folder of its test pictures?"),
        (["in", "--out", "out", "--dataset", "cifar10", "--size", "64"], "got 64 for nothing"),
        (["in", "--out", "out", "--dataset", "cifar10", "--format", "jpeg"], "must be left out"),
    ],
)
def test_mistakes_end_with_two_and_one_sentence(
    words: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Corruption, "__call__", lambda self, x, **_: x)  # its doors alone
    folder(Path("in"))
    Path("file").touch()
    for name in ("blocked", "damaged"):
        Path(name).mkdir()
    Path("blocked/fog").touch()
    Path("blocked/corrupted.json").write_text("{}")
    Path("damaged/corrupted.json").touch()
    assert main(["corrupt", *words]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert len(told.strip().splitlines()) == 1
