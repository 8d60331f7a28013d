from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vicinal import data
from vicinal._checks import InputError


def test_the_digits_are_loaded_without_a_folder() -> None:
    assert data.load("digits").name == "digits"


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"`dataset` must be .*Did you mean cifar100\?"):
        data.load("cifar-100")


def test_every_set_but_the_digits_is_missing_without_a_folder() -> None:
    for name in set(data.DATASETS) - {"digits"}:
        with pytest.raises(data.MissingData, match=f"`data_dir` for {name} "):
            data.load(name)
    for name in data.FOLDERS:
        with pytest.raises(data.MissingData, match=f"`data_dir` for {name} "):
            data.load_folder(name)


def test_no_name_is_of_a_set_in_memory_and_of_a_streamed_one() -> None:
    assert not data.DATASETS.keys() & data.FOLDERS.keys()
    with pytest.raises(InputError, match=r"imagenet is streamed .*load_folder\('imagenet', data"):
        data.load("imagenet")
    with pytest.raises(InputError, match=r"`dataset` must be image-folder .*mean imagenet\?"):
        data.load_folder("imagnet")


def test_the_table_has_the_named_sets() -> None:
    small = {"mnist", "fashion-mnist", "svhn", "tiny-imagenet", "tiny-imagenet-30"}
    assert set(data.DATASETS) == {"digits", "cifar10", "cifar100", "npz"} | small
    assert set(data.FOLDERS) == {"image-folder", "imagenet", "imagenet-100"}


def test_load_hands_the_folder_on(tmp_path: Path) -> None:
    x, y = np.zeros((2, 8, 8), np.uint8), np.arange(2)
    np.savez(tmp_path / "two.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    assert data.load("npz", tmp_path).name == "two"
    assert data.load("npz", tmp_path / "two.npz").num_classes == 2


def test_load_folder_hands_the_folder_on(tmp_path: Path) -> None:
    for part in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / "two" / part / name).mkdir(parents=True)
            (tmp_path / "two" / part / name / "1.png").touch()
    found = data.load_folder("image-folder", tmp_path / "two")
    assert (found.name, len(found.train), found.num_classes) == ("two", 2, 2)


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in data.__all__:
        assert getattr(data, name).__doc__, name
