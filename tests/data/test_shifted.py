from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from trees import random_pixels, write_picture
from vicinal import data
from vicinal._checks import InputError
from vicinal.data.folder_set import FileSplit
from vicinal.data.image_set import Split
from vicinal.data.imagenet_classes import WNIDS
from vicinal.data.missing import MissingData
from vicinal.data.shifted import read_cifar10_1, read_imagenet_variant


def folders(root: Path, names: list[str]) -> Path:
    for k, name in enumerate(names):
        write_picture(root / name / f"{name}.png", random_pixels(k, height=32, width=32))
    return root


def labelled(found: data.ShiftedSet) -> dict[str, int]:
    assert isinstance(found.test, FileSplit)
    names = (name.split("/")[0] for name in found.test.names)
    return dict(zip(names, found.test.y.tolist(), strict=True))


@pytest.mark.parametrize("name", ["imagenet-r", "imagenet-a", "imagenet-sketch"])
def test_labels_are_positions_among_the_sets_own_outputs(name: str, tmp_path: Path) -> None:
    chosen = [WNIDS[k] for k in (999, 3, 207)]
    folders(tmp_path / ("sketch" if name == "imagenet-sketch" else name), chosen)
    found = data.load_shifted(name, tmp_path)
    assert (found.name, found.outputs, found.num_classes) == (name, (3, 207, 999), 3)
    assert labelled(found) == {WNIDS[3]: 0, WNIDS[207]: 1, WNIDS[999]: 2}
    assert found.class_names == (WNIDS[3], WNIDS[207], WNIDS[999])


def test_a_model_of_other_classes_is_asked_about_those_it_shares(tmp_path: Path) -> None:
    folders(tmp_path, [WNIDS[5], WNIDS[6], WNIDS[7]])
    mine = [WNIDS[7], "n00000000", WNIDS[5]]
    found = read_imagenet_variant("imagenet-r", tmp_path, classes=mine)
    assert found.outputs == (0, 2)
    assert labelled(found) == {WNIDS[7]: 0, WNIDS[5]: 1}
    with pytest.raises(InputError, match="some of the model's classes, such as cat"):
        read_imagenet_variant("imagenet-r", tmp_path, classes=["cat"])


def test_numbers_of_version_two_are_numbers_and_no_text(tmp_path: Path) -> None:
    folders(tmp_path / "imagenetv2-matched-frequency-format-val", ["10", "2", "100", "0"])
    found = data.load_shifted("imagenet-v2", tmp_path)
    assert found.outputs == (0, 2, 10, 100)
    assert labelled(found) == {"0": 0, "2": 1, "10": 2, "100": 3}
    folders(tmp_path / "imagenetv2-matched-frequency-format-val", ["1000"])
    with pytest.raises(InputError, match="number, 0 to 999; it holds 1000"):
        data.load_shifted("imagenet-v2", tmp_path)


@pytest.mark.parametrize("twice", ["00", "000"])
def test_a_class_with_two_folders_is_one_sentence(twice: str, tmp_path: Path) -> None:
    folders(tmp_path / "imagenet-v2", ["0", twice, "1"])
    with pytest.raises(InputError, match=f"0 and {twice} are both {WNIDS[0]}"):
        data.load_shifted("imagenet-v2", tmp_path)


def test_classes_that_are_missing_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders(tmp_path / "imagenet-v2", ["000", "002"])
    with caplog.at_level("WARNING", logger="vicinal"):
        assert data.load_shifted("imagenet-v2", tmp_path).outputs == (0, 2)
    assert "has 2 classes; the published set has 1000" in caplog.text


@pytest.mark.parametrize("version", ["v4", "v6"])
def test_cifar10_1_is_two_arrays(version: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    np.save(tmp_path / f"cifar10.1_{version}_data.npy", x)
    np.save(tmp_path / f"cifar10.1_{version}_labels.npy", np.arange(6))
    found = read_cifar10_1(tmp_path, version=version)
    assert isinstance(found.test, Split)
    assert torch.equal(found.test.x.permute(0, 2, 3, 1), torch.from_numpy(x))
    assert (found.test.y.tolist(), found.outputs) == ([*range(6)], tuple(range(10)))
    with pytest.raises(InputError, match=r"v4 \| v6"):
        read_cifar10_1(tmp_path, version="v5")
    np.save(tmp_path / f"cifar10.1_{version}_data.npy", x[:, ::2, ::2])
    with pytest.raises(InputError, match="32x32 pixels and 3 channels"):
        read_cifar10_1(tmp_path, version=version)


@pytest.mark.parametrize("name", data.SHIFTED)
def test_what_is_not_there_is_missing_data(name: str, tmp_path: Path) -> None:
    for given in (None, tmp_path / "no", tmp_path):
        with pytest.raises(MissingData, match=f"for {name} must"):
            data.load_shifted(name, given)
