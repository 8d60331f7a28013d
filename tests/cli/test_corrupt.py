"""`vicinal corrupt`, end to end on folders of a few small pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import layouts
from trees import random_pixels, write_picture
from vicinal.cli import main

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
        (["in", "--out", "out", "--dataset", "cifar10"], "must hold cifar-10-batches-py"),
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
    folder(Path("in"))
    assert main(["corrupt", *words]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert len(told.strip().splitlines()) == 1
