from __future__ import annotations

import logging
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vicinal._checks import InputError
from vicinal.data.cifar import find_layout, read_cifar10, read_cifar100
from vicinal.data.image_set import ImageSet, channel_statistics
from vicinal.data.missing import MissingData

RNG = np.random.default_rng(1)
X = RNG.integers(0, 256, (12, 3, 32, 32)).astype(np.uint8)
Y10 = np.array([0, 9, 1, 8, 2, 7, 3, 6, 4, 5, 0, 9])
Y100 = np.array([0, 99, 1, 98, 2, 97, 3, 96, 4, 95, 50, 49])
COARSE = Y100 // 5

FILES10 = [slice(2 * k, 2 * k + 2) for k in range(5)]
TEST = slice(10, 12)


def dump(path: Path, content: dict[bytes, Any]) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


def python10(folder: Path) -> Path:
    inside = folder / "cifar-10-batches-py"
    inside.mkdir()
    names = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
    for name, rows in zip(names, [*FILES10, TEST], strict=True):
        content = {b"data": X[rows].reshape(-1, 3072), b"labels": Y10[rows].tolist()}
        dump(inside / name, content)
    dump(inside / "batches.meta", {b"label_names": [b"name %d" % k for k in range(10)]})
    return inside


def binary10(folder: Path) -> Path:
    inside = folder / "cifar-10-batches-bin"
    inside.mkdir()
    names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    for name, rows in zip(names, [*FILES10, TEST], strict=True):
        records = np.column_stack([Y10[rows], X[rows].reshape(-1, 3072)])
        records.astype(np.uint8).tofile(inside / name)
    text = "".join(f"name {k}\n" for k in range(10)) + "\n"
    (inside / "batches.meta.txt").write_text(text, encoding="utf-8")
    return inside


def python100(folder: Path) -> Path:
    inside = folder / "cifar-100-python"
    inside.mkdir()
    for name, rows in (("train", slice(0, 10)), ("test", TEST)):
        fine, coarse = Y100[rows].tolist(), COARSE[rows].tolist()
        pixels = X[rows].reshape(-1, 3072)
        dump(inside / name, {b"data": pixels, b"fine_labels": fine, b"coarse_labels": coarse})
    names = [b"name %d" % k for k in range(100)]
    dump(inside / "meta", {b"fine_label_names": names, b"coarse_label_names": names[:20]})
    return inside


def binary100(folder: Path) -> Path:
    inside = folder / "cifar-100-binary"
    inside.mkdir()
    for name, rows in (("train.bin", slice(0, 10)), ("test.bin", TEST)):
        records = np.column_stack([COARSE[rows], Y100[rows], X[rows].reshape(-1, 3072)])
        records.astype(np.uint8).tofile(inside / name)
    text = "".join(f"name {k}\n" for k in range(100))
    (inside / "fine_label_names.txt").write_text(text, encoding="utf-8")
    return inside


def npz(path: Path, labels: np.ndarray[Any, Any]) -> Path:
    x = X.transpose(0, 2, 3, 1)
    train = {"x_train": x[:10], "y_train": labels[:10]}
    np.savez(path, x_test=x[10:], y_test=labels[10:], **train)  # type: ignore[arg-type]
    return path


def npz10(folder: Path) -> Path:
    return npz(folder / "cifar10.npz", Y10)


def npz100(folder: Path) -> Path:
    return npz(folder / "cifar100.npz", Y100)


def assert_is_the_tree(found: ImageSet, labels: np.ndarray[Any, Any]) -> None:
    assert np.array_equal(torch.cat([found.train.x, found.test.x]).numpy(), X)
    assert torch.cat([found.train.y, found.test.y]).tolist() == labels.tolist()
    assert len(found.train) == 10


@pytest.mark.parametrize(
    ("write", "kind"), [(python10, "python"), (binary10, "binary"), (npz10, "npz")]
)
def test_cifar10_is_the_same_from_each_of_its_layouts(
    tmp_path: Path, write: Callable[[Path], Path], kind: str
) -> None:
    path = write(tmp_path)
    found = read_cifar10(tmp_path)
    assert find_layout("cifar10", tmp_path) == (kind, path)
    assert_is_the_tree(found, Y10)
    assert (found.name, found.num_classes) == ("cifar10", 10)


@pytest.mark.parametrize(
    ("write", "kind"), [(python100, "python"), (binary100, "binary"), (npz100, "npz")]
)
def test_cifar100_has_its_fine_labels_from_each_of_its_layouts(
    tmp_path: Path, write: Callable[[Path], Path], kind: str
) -> None:
    path = write(tmp_path)
    found = read_cifar100(tmp_path)
    assert find_layout("cifar100", tmp_path) == (kind, path)
    assert_is_the_tree(found, Y100)
    assert (found.name, found.num_classes) == ("cifar100", 100)


@pytest.mark.parametrize("write", [python10, binary10, python100, binary100])
def test_class_names_come_from_the_files(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    read = read_cifar10 if write in {python10, binary10} else read_cifar100
    write(tmp_path)
    found = read(tmp_path)
    assert found.class_names == tuple(f"name {k}" for k in range(found.num_classes))


def test_without_names_on_the_disk_the_ten_are_known_and_the_hundred_are_not(
    tmp_path: Path,
) -> None:
    (python10(tmp_path) / "batches.meta").unlink()
    (python100(tmp_path) / "meta").unlink()
    ten, hundred = read_cifar10(tmp_path).class_names, read_cifar100(tmp_path).class_names
    assert ten is not None
    assert (ten[0], ten[3], ten[9], hundred) == ("airplane", "cat", "truck", None)


def test_python_comes_before_binary_before_npz(tmp_path: Path) -> None:
    npz10(tmp_path)
    binary = binary10(tmp_path)
    python = python10(tmp_path)
    assert find_layout("cifar10", tmp_path) == ("python", python)
    shutil.rmtree(python)
    assert find_layout("cifar10", tmp_path) == ("binary", binary)
    shutil.rmtree(binary)
    assert find_layout("cifar10", tmp_path).kind == "npz"


def test_a_missing_set_is_missing_data_that_names_the_three_layouts_and_the_folder(
    tmp_path: Path,
) -> None:
    layouts = r"cifar-10-batches-py, cifar-10-batches-bin or cifar10\.npz"
    with pytest.raises(MissingData, match=f"{layouts}; .*{tmp_path.name} holds none"):
        read_cifar10(tmp_path)
    with pytest.raises(MissingData, match=r"cifar-100-python, cifar-100-binary or cifar100\.npz"):
        read_cifar100(tmp_path)
    with pytest.raises(MissingData, match=layouts):
        read_cifar10(None)


def test_the_layout_folder_itself_gets_a_hint(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=f"Did you mean its parent, .*{tmp_path.name}"):
        read_cifar10(python10(tmp_path))


@pytest.mark.parametrize(
    ("write", "file"),
    [
        (python10, "data_batch_3"),
        (python10, "test_batch"),
        (binary10, "data_batch_3.bin"),
        (python100, "train"),
        (binary100, "test.bin"),
    ],
)
def test_a_missing_or_shortened_file_is_named_and_is_not_missing_data(
    tmp_path: Path, write: Callable[[Path], Path], file: str
) -> None:
    read = read_cifar10 if write in {python10, binary10} else read_cifar100
    path = write(tmp_path) / file
    content = path.read_bytes()
    for part in (content[:-1], content[: len(content) // 2 - 9], b""):
        path.write_bytes(part)
        with pytest.raises(InputError, match=rf"{file} .*cut short"):
            read(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=rf"{file} is missing") as caught:
        read(tmp_path)
    assert not isinstance(caught.value, MissingData)


def test_a_damaged_layout_is_an_error_even_beside_a_good_one(tmp_path: Path) -> None:
    npz10(tmp_path)
    (python10(tmp_path) / "data_batch_5").unlink()
    with pytest.raises(InputError, match="data_batch_5 is missing"):
        read_cifar10(tmp_path)


def test_a_batch_cut_between_two_records_is_found_by_comparison(tmp_path: Path) -> None:
    path = binary10(tmp_path) / "data_batch_4.bin"
    path.write_bytes(path.read_bytes()[:3073])
    with pytest.raises(InputError, match=r"data_batch_4\.bin must hold as many .*, 2; it holds 1"):
        read_cifar10(tmp_path)


class Call:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("file", ["data_batch_2", "test_batch", "batches.meta"])
def test_no_file_of_the_layout_can_run_anything(tmp_path: Path, file: str) -> None:
    target = tmp_path / "made"
    dump(python10(tmp_path) / file, {b"data": Call(target), b"label_names": Call(target)})
    with pytest.raises(InputError, match=rf"{file} asks to run \w+\.mkdir"):
        read_cifar10(tmp_path)
    assert not target.exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({b"labels": [0, 10]}, r"labels of .*data_batch_1 must lie in 0\.\.9; got 10"),
        ({b"labels": [-1, 0]}, r"0\.\.9; got -1"),
        ({b"labels": [0, 2**70]}, r"0\.\.9; got 1180591620717411303424"),
        ({b"labels": [0]}, "one label per image; got 1 for 2"),
        ({b"labels": [0, True]}, "a list of integers under the key b'labels'"),
        ({b"labels": None}, "a list of integers"),
        ({b"data": X[:2]}, r"shape \(N, 3072\); got \(2, 3, 32, 32\)"),
        ({b"data": [[0] * 3072] * 2}, "a uint8 array under the key b'data'"),
        ({b"data": X[:2].reshape(-1, 3072) / 255}, "uint8 is needed"),
    ],
)
def test_wrong_content_is_refused_by_file(
    tmp_path: Path, changes: dict[bytes, Any], said: str
) -> None:
    good = {b"data": X[:2].reshape(-1, 3072), b"labels": [0, 1]}
    dump(python10(tmp_path) / "data_batch_1", {**good, **changes})
    with pytest.raises(InputError, match=said) as caught:
        read_cifar10(tmp_path)
    assert "data_batch_1" in str(caught.value)


def test_a_binary_label_out_of_range_is_refused_by_file(tmp_path: Path) -> None:
    path = binary100(tmp_path) / "test.bin"
    content = bytearray(path.read_bytes())
    content[1] = 100
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"labels of .*test\.bin must lie in 0\.\.99; got 100"):
        read_cifar100(tmp_path)


def test_too_few_names_are_refused(tmp_path: Path) -> None:
    path = binary10(tmp_path) / "batches.meta.txt"
    path.write_text("airplane\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"batches\.meta\.txt must name 10 classes; it names 1"):
        read_cifar10(tmp_path)
    dump(python10(tmp_path) / "batches.meta", {b"label_names": b"airplane"})
    with pytest.raises(InputError, match=r"batches\.meta must hold a list of names"):
        read_cifar10(tmp_path)


def test_an_archive_of_other_images_is_not_cifar(tmp_path: Path) -> None:
    small = np.zeros((10, 28, 28), np.uint8)
    labels = np.arange(10)
    np.savez(tmp_path / "cifar10.npz", x_train=small, y_train=labels, x_test=small, y_test=labels)
    with pytest.raises(InputError, match=r"cifar10\.npz must hold images of .*\(1, 28, 28\)"):
        read_cifar10(tmp_path)


def test_a_set_of_another_size_than_published_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    binary10(tmp_path)
    with caplog.at_level(logging.INFO, logger="vicinal"):
        read_cifar10(tmp_path)
    layout, size = (record.getMessage() for record in caplog.records)
    assert "binary layout" in layout
    assert "10 training and 2 test images; the published set has 50000 and 10000" in size


def real(name: str) -> Path:
    """Find the real set, or skip the test."""
    folder = os.environ.get("VICINAL_DATA_DIR")
    if folder is None:
        pytest.skip("VICINAL_DATA_DIR does not name a folder with the real CIFAR")
    try:
        find_layout(name, Path(folder))
    except MissingData as error:
        pytest.skip(str(error))
    return Path(folder)


def test_the_real_cifar10_has_the_published_counts_and_statistics() -> None:
    found = read_cifar10(real("cifar10"))
    assert found.train.y.bincount().tolist() == [5000] * 10
    assert found.test.y.bincount().tolist() == [1000] * 10
    assert found.train.y[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert found.test.y[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    mean, std = channel_statistics(found.train.x)
    assert mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=5e-5)
    assert std == pytest.approx((0.2470, 0.2435, 0.2616), abs=5e-5)


def test_the_real_cifar100_has_the_published_counts_and_statistics() -> None:
    found = read_cifar100(real("cifar100"))
    assert found.train.y.bincount().tolist() == [500] * 100
    assert found.test.y.bincount().tolist() == [100] * 100
    mean, std = channel_statistics(found.train.x)
    assert mean == pytest.approx((0.5071, 0.4865, 0.4409), abs=5e-5)
    assert std == pytest.approx((0.2673, 0.2564, 0.2762), abs=5e-5)
