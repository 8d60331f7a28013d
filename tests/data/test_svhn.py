from __future__ import annotations

import logging
import os
import string
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.io

from vicinal._checks import InputError
from vicinal.data.missing import MissingData
from vicinal.data.svhn import read_svhn

RNG = np.random.default_rng(2)
TRAIN = RNG.integers(0, 256, (32, 32, 3, 12)).astype(np.uint8)
TEST = RNG.integers(0, 256, (32, 32, 3, 5)).astype(np.uint8)
Y_TRAIN = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 1], np.uint8)[:, None]
Y_TEST = np.array([10, 9, 1, 5, 10], np.uint8)[:, None]
FILES = {"train_32x32.mat": (TRAIN, Y_TRAIN), "test_32x32.mat": (TEST, Y_TEST)}


def write(folder: Path, *, compressed: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    for name, (x, y) in FILES.items():
        scipy.io.savemat(folder / name, {"X": x, "y": y}, do_compression=compressed)
    return folder


@pytest.mark.parametrize("inside", ["", "svhn"])
@pytest.mark.parametrize("compressed", [True, False])
def test_pixels_and_labels_are_those_of_the_files_and_ten_is_zero(
    tmp_path: Path, inside: str, compressed: bool
) -> None:
    write(tmp_path / inside, compressed=compressed)
    found = read_svhn(tmp_path)
    assert found.test.y.tolist() == [0, 9, 1, 5, 0]
    assert found.train.y.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 1]
    for n, c, h, w in np.ndindex(5, 3, 32, 32):
        assert int(found.test.x[n, c, h, w]) == TEST[h, w, c, n]
    assert np.array_equal(found.train.x.numpy(), TRAIN.transpose(3, 2, 0, 1))
    assert found.train.x.is_contiguous()
    assert (found.name, found.num_classes, found.class_names) == ("svhn", 10, tuple(string.digits))


def test_a_missing_set_is_missing_data_and_half_of_it_is_not(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"train_32x32\.mat and test_32x32\.mat, .*holds neither"):
        read_svhn(tmp_path)
    for name in FILES:
        (write(tmp_path) / name).unlink()
        with pytest.raises(InputError, match=rf"{name} is missing .*download") as caught:
            read_svhn(tmp_path)
        assert not isinstance(caught.value, MissingData)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9])
def test_a_file_cut_short_is_named(tmp_path: Path, name: str, kept: float) -> None:
    path = write(tmp_path) / name
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=rf"{name} (is cut short|must hold the arrays X and y)"):
        read_svhn(tmp_path)


def test_altered_pixels_of_a_compressed_file_are_noticed(tmp_path: Path) -> None:
    path = write(tmp_path) / "test_32x32.mat"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"test_32x32\.mat"):
        read_svhn(tmp_path)


def test_a_variable_that_scipy_only_warns_of_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loadmat(*_: object, **__: object) -> dict[str, Any]:
        warnings.warn('Unreadable variable "X"', Warning, stacklevel=2)
        return {"X": "Read error: ...", "y": Y_TRAIN}

    write(tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", SimpleNamespace(loadmat=loadmat))
    with pytest.raises(InputError, match="X and y; X is missing or unreadable"):
        read_svhn(tmp_path)


def test_what_is_no_matlab_file_is_refused(tmp_path: Path) -> None:
    (write(tmp_path) / "train_32x32.mat").write_bytes(b"<html>not found</html>" * 100)
    with pytest.raises(InputError, match=r"train_32x32\.mat is cut short, damaged or no MATLAB"):
        read_svhn(tmp_path)


def test_a_file_of_version_7_3_is_refused_by_its_version(tmp_path: Path) -> None:
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (write(tmp_path) / "train_32x32.mat").write_bytes(header + bytes(512))
    with pytest.raises(InputError, match=r"must be .*version 5.*; it is of version 7\.3"):
        read_svhn(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"y": Y_TEST}, "X and y; X is missing"),
        ({"X": TEST}, "X and y; y is missing"),
        ({"X": TEST, "y": Y_TEST - 1}, r"must lie in 1\.\.10.*; got 0\."),
        ({"X": TEST, "y": Y_TEST + 1}, r"must lie in 1\.\.10.*; got 11\."),
        ({"X": TEST, "y": Y_TEST[:4]}, "4 labels for 5 images"),
        ({"X": TEST, "y": Y_TEST / 2}, "integer labels; got float64"),
        ({"X": TEST / 255, "y": Y_TEST}, "uint8 images; got float64"),
        ({"X": TEST.transpose(3, 0, 1, 2), "y": Y_TEST}, r"\(32, 32, 3, N\); got \(5, 32, 32, 3\)"),
        ({"X": TEST[..., 0], "y": Y_TEST[:1]}, r"got \(32, 32, 3\)"),
    ],
    ids=["no_x", "no_y", "zero", "eleven", "short", "float_y", "float_x", "first", "one"],
)
def test_wrong_content_is_refused_by_file(
    tmp_path: Path, content: dict[str, Any], said: str
) -> None:
    scipy.io.savemat(write(tmp_path) / "test_32x32.mat", content)
    with pytest.raises(InputError, match=said) as caught:
        read_svhn(tmp_path)
    assert "test_32x32.mat" in str(caught.value)


def test_a_set_of_another_size_than_published_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="vicinal"):
        read_svhn(write(tmp_path))
    said = "12 training and 5 test images; the published set has 73257 and 26032"
    assert said in caplog.records[0].getMessage()


def test_matlab_files_are_not_needed_to_import_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(MissingData):
        read_svhn(None)


def test_the_real_svhn_has_the_published_counts() -> None:
    folder = os.environ.get("VICINAL_DATA_DIR")
    if folder is None:
        pytest.skip("VICINAL_DATA_DIR does not name a folder with the real SVHN")
    try:
        found = read_svhn(Path(folder))
    except MissingData as error:
        pytest.skip(str(error))
    train = [4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659]
    test = [1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595]
    assert found.train.y.bincount().tolist() == train
    assert found.test.y.bincount().tolist() == test
