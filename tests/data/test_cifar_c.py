from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

import layouts
from vicinal import data
from vicinal._checks import InputError
from vicinal.data.cifar_c import mapped_array, read_cifar10_c, read_cifar100_c
from vicinal.data.image_set import Split
from vicinal.data.missing import MissingData


def part(found: data.CorruptedSet, name: str, severity: int) -> Split:
    opened = found.part(name, severity)
    assert isinstance(opened, Split)
    return opened


def test_rows_are_severity_after_severity(tmp_path: Path) -> None:
    root = layouts.cifar_c(tmp_path / "CIFAR-10-C", ["fog", "glass_blur"])
    found = read_cifar10_c(tmp_path)
    assert (found.name, found.num_classes) == ("cifar10-c", 10)
    assert (found.corruptions, found.severities) == (("fog", "glass_blur"), (1, 2, 3, 4, 5))
    labels = np.load(root / "labels.npy")
    for name in found.corruptions:
        images = np.load(root / f"{name}.npy")
        for severity in found.severities:
            opened = part(found, name, severity)
            for k in range(4):
                row = 4 * (severity - 1) + k
                assert np.array_equal(opened.x[k].permute(1, 2, 0).numpy(), images[row])
                assert int(opened.y[k]) == labels[row]
    assert opened.y.dtype == torch.int64


def test_the_folder_itself_and_the_hundred_classes(tmp_path: Path) -> None:
    root = layouts.cifar_c(tmp_path / "CIFAR-100-C", ["snow"], classes=100)
    for given in (tmp_path, root):
        found = data.load_corrupted("cifar100-c", given)
        assert (found.num_classes, len(found.part("snow", 2))) == (100, 4)
    assert read_cifar100_c(root).corruptions == ("snow",)


def test_files_are_mapped_and_a_part_has_memory_of_its_own(tmp_path: Path) -> None:
    root = layouts.cifar_c(tmp_path, ["fog"])
    assert isinstance(mapped_array(root / "fog.npy"), np.memmap)
    before = np.load(root / "fog.npy")
    part(read_cifar10_c(root), "fog", 1).x.zero_()
    assert np.array_equal(np.load(root / "fog.npy"), before)


def test_a_set_of_another_size_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="vicinal"):
        read_cifar10_c(layouts.cifar_c(tmp_path, ["fog"]))
    assert "has 4 images per severity" in caplog.records[0].getMessage()


def test_no_set_is_missing_data(tmp_path: Path) -> None:
    for given in (None, tmp_path / "no", tmp_path):
        with pytest.raises(MissingData, match=r"CIFAR-10-C with labels\.npy"):
            read_cifar10_c(given)


def test_a_wrong_layout_is_one_sentence(tmp_path: Path) -> None:
    root = layouts.cifar_c(tmp_path, ["fog"])
    np.save(root / "short.npy", np.zeros((7, 32, 32, 3), np.uint8))
    np.save(root / "floats.npy", np.zeros((20, 32, 32, 3), np.float32))
    np.save(root / "objects.npy", np.array([{}] * 20, dtype=object), allow_pickle=True)
    (root / "cut.npy").write_bytes((root / "fog.npy").read_bytes()[:2000])
    found = read_cifar10_c(root)
    for name, sentence in {
        "short": "one image for each of the 20 labels",
        "floats": "uint8 images",
        "objects": "no plain NumPy",
        "cut": "cut short",
    }.items():
        with pytest.raises(InputError, match=sentence):
            found.part(name, 1)
    np.save(root / "labels.npy", np.arange(20))
    with pytest.raises(InputError, match="five times"):
        read_cifar10_c(root)
    np.save(root / "labels.npy", np.tile(np.array([0, 1, 2, 10]), 5))
    with pytest.raises(InputError, match=r"0\.\.9; got 10"):
        read_cifar10_c(root).part("fog", 1)


def test_labels_alone_are_no_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds labels\.npy alone"):
        read_cifar10_c(layouts.cifar_c(tmp_path, []))


def test_hidden_files_are_no_corruptions(tmp_path: Path) -> None:
    root = layouts.cifar_c(tmp_path, ["fog"])
    (root / "._fog.npy").write_bytes(b"of a Mac")
    found = read_cifar10_c(root)
    assert found.corruptions == ("fog",)
    assert len(found.part("fog", 1)) == 4


@pytest.mark.parametrize("shape", [(16, 16, 3), (32, 32, 4), (32, 32)])
def test_images_of_another_shape_are_another_set(shape: tuple[int, ...], tmp_path: Path) -> None:
    root = layouts.cifar_c(tmp_path, ["fog"])
    np.save(root / "fog.npy", np.zeros((20, *shape), np.uint8))
    with pytest.raises(InputError, match=r"32x32 pixels and 3 channels; got shape \(20, "):
        read_cifar10_c(root).part("fog", 1)
    assert len(data.read_corrupted_arrays(root, name="mine", num_classes=10).part("fog", 1)) == 4
