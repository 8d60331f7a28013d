from __future__ import annotations

import gzip
import logging
import string
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vicinal._checks import InputError
from vicinal.data.idx import read_fashion_mnist, read_idx, read_mnist
from vicinal.data.image_set import ImageSet
from vicinal.data.missing import MissingData

RNG = np.random.default_rng(3)
ARRAYS = {
    "train-images": RNG.integers(0, 256, (7, 28, 28)).astype(np.uint8),
    "train-labels": np.array([5, 0, 4, 1, 9, 2, 1], np.uint8),
    "t10k-images": RNG.integers(0, 256, (3, 28, 28)).astype(np.uint8),
    "t10k-labels": np.array([7, 2, 9], np.uint8),
}
READERS = {"mnist": read_mnist, "fashion-mnist": read_fashion_mnist}


def idx(array: NDArray[np.uint8]) -> bytes:
    """The format, from its description: 0, 0, type, axes, sizes big-endian, bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


def file_name(key: str, *, dot: bool = False) -> str:
    return f"{key}{'.' if dot else '-'}idx{ARRAYS[key].ndim}-ubyte"


def write(folder: Path, *, packed: bool = False, dot: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for key, array in ARRAYS.items():
        content = gzip.compress(idx(array)) if packed else idx(array)
        (folder / (file_name(key, dot=dot) + ".gz" * packed)).write_bytes(content)
    return folder


def assert_is_the_tree(found: ImageSet, name: str) -> None:
    assert np.array_equal(found.train.x[:, 0].numpy(), ARRAYS["train-images"])
    assert np.array_equal(found.test.x[:, 0].numpy(), ARRAYS["t10k-images"])
    assert found.train.y.tolist() == ARRAYS["train-labels"].tolist()
    assert found.test.y.tolist() == ARRAYS["t10k-labels"].tolist()
    assert (found.name, found.num_classes, found.shape) == (name, 10, (1, 28, 28))


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dot", [False, True])
def test_every_spelling_of_the_four_files_is_read(
    tmp_path: Path, name: str, packed: bool, dot: bool
) -> None:
    write(tmp_path, packed=packed, dot=dot)
    assert_is_the_tree(READERS[name](tmp_path), name)


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("mnist", "mnist"),
        ("mnist", "MNIST/raw"),
        ("fashion-mnist", "fashion-mnist"),
        ("fashion-mnist", "FashionMNIST/raw"),
    ],
)
def test_folders_of_their_own_and_torchvisions_are_found(
    tmp_path: Path, name: str, inside: str
) -> None:
    write(tmp_path / inside)
    assert_is_the_tree(READERS[name](tmp_path), name)
    (other,) = set(READERS) - {name}
    with pytest.raises(MissingData, match=f"`data_dir` for {other} must hold train-images-idx3"):
        READERS[other](tmp_path)


def test_class_names_are_those_of_each_set(tmp_path: Path) -> None:
    write(tmp_path)
    digits, clothes = read_mnist(tmp_path).class_names, read_fashion_mnist(tmp_path).class_names
    assert digits == tuple(string.digits)
    assert clothes is not None
    assert (clothes[0], clothes[5], clothes[9]) == ("T-shirt/top", "Sandal", "Ankle boot")


def test_no_file_is_missing_data_and_one_missing_file_is_not(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"train-images-idx3-ubyte and its three companions"):
        read_mnist(tmp_path)
    for key in ARRAYS:
        (write(tmp_path) / file_name(key)).unlink()
        with pytest.raises(InputError, match=f"must hold {file_name(key)}, .*missing") as caught:
            read_mnist(tmp_path)
        assert not isinstance(caught.value, MissingData)


@pytest.mark.parametrize("key", ARRAYS)
def test_a_file_cut_short_or_too_long_is_named(tmp_path: Path, key: str) -> None:
    path = write(tmp_path) / file_name(key)
    content = path.read_bytes()
    for changed in (content[:-1], content[:16] if ARRAYS[key].ndim == 3 else content[:8]):
        path.write_bytes(changed)
        with pytest.raises(InputError, match=f"{file_name(key)} must hold .*cut short"):
            read_mnist(tmp_path)
    path.write_bytes(content + b"\0")
    with pytest.raises(InputError, match=f"{file_name(key)} must hold"):
        read_mnist(tmp_path)
    for changed in (b"", content[:3], content[:7]):
        path.write_bytes(changed)
        with pytest.raises(InputError, match=f"{file_name(key)} must be an IDX file"):
            read_mnist(tmp_path)


@pytest.mark.parametrize("kept", [5, 2000, -9])
def test_a_packed_file_cut_short_is_named(tmp_path: Path, kept: int) -> None:
    path = write(tmp_path, packed=True) / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz is cut short or damaged"):
        read_mnist(tmp_path)


def test_a_packed_file_that_was_altered_or_is_not_packed_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, packed=True) / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    for changed in (bytes(content), idx(ARRAYS["t10k-labels"])):
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte\.gz is .*damaged"):
            read_mnist(tmp_path)


@pytest.mark.parametrize(
    ("key", "array", "said"),
    [
        ("train-labels", np.array([5, 0, 4, 1, 10, 2, 1], np.uint8), r"0\.\.9; got 10"),
        ("train-labels", np.zeros(6, np.uint8), "6 labels for 7 images"),
        ("train-images", np.zeros((7, 28, 27), np.uint8), r"one shape.*\(1, 28, 27\)"),
        ("train-images", np.zeros((7, 784), np.uint8), "3 axes, .* 00 00 08 03; it .* 00 00 08 02"),
        ("train-images", np.zeros((0, 28, 28), np.uint8), "N >= 1"),
    ],
    ids=["label", "count", "narrow", "flat", "empty"],
)
def test_wrong_content_is_refused(
    tmp_path: Path, key: str, array: NDArray[np.uint8], said: str
) -> None:
    (write(tmp_path) / file_name(key)).write_bytes(idx(array))
    with pytest.raises(InputError, match=said):
        read_mnist(tmp_path)


def test_images_of_another_size_are_not_mnist(tmp_path: Path) -> None:
    for key in ("train-images", "t10k-images"):
        array = np.zeros((len(ARRAYS[key]), 32, 32), np.uint8)
        (write(tmp_path / key) / file_name(key)).write_bytes(idx(array))
    folder = write(tmp_path)
    for key in ("train-images", "t10k-images"):
        (tmp_path / key / file_name(key)).replace(folder / file_name(key))
    with pytest.raises(
        InputError, match=r"1 channel and 28x28 pixels to be mnist; .*\(1, 32, 32\)"
    ):
        read_mnist(tmp_path)


def test_another_type_of_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shorts"
    path.write_bytes(struct.pack(">BBBBI2h", 0, 0, 0x0B, 1, 2, 3, 4))
    with pytest.raises(InputError, match=r"unsigned bytes with 1 axes.*starts with 00 00 0b 01"):
        read_idx(path, axes=1)


def test_sizes_that_no_file_can_have_are_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    path.write_bytes(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1))
    with pytest.raises(InputError, match=rf"must hold {(2**32 - 1) ** 3} bytes"):
        read_idx(path, axes=3)


def with_counts(folder: Path, counts: list[int]) -> Path:
    """All 60,000 training images, black, with so many labels of every class."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), counts)
    write(folder, packed=True)
    images: Any = np.broadcast_to(np.uint8(0), (len(labels), 28, 28))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    packed = gzip.compress(idx(images), compresslevel=1)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(packed)
    return folder


def test_one_of_the_two_sets_is_not_taken_for_the_other(tmp_path: Path) -> None:
    balanced = with_counts(tmp_path / "fashion", [6000] * 10)
    with pytest.raises(InputError, match="must hold mnist; its labels are those of fashion-mnist"):
        read_mnist(balanced)
    assert read_fashion_mnist(balanced).name == "fashion-mnist"
    digits = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    with pytest.raises(InputError, match="must hold fashion-mnist; its labels are those of mnist"):
        read_fashion_mnist(with_counts(tmp_path / "digits", digits))


def test_a_set_of_another_size_than_published_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="vicinal"):
        read_mnist(write(tmp_path))
    said = "7 training and 3 test images; the published set has 60000 and 10000"
    assert said in caplog.records[0].getMessage()
