from __future__ import annotations

from pathlib import Path

import pytest

from vicinal._checks import InputError
from vicinal.data.missing import MissingData, existing_folder


def test_an_existing_folder_comes_back(tmp_path: Path) -> None:
    assert existing_folder("cifar10", tmp_path, holding="cifar10.npz") == tmp_path


def test_no_folder_no_such_folder_and_a_file_each_have_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for data_dir, said in ((None, "got none"), (tmp_path / "no", "not exist"), (file, "a file")):
        with pytest.raises(MissingData, match=rf"cifar10 .*holds cifar10\.npz.*{said}"):
            existing_folder("cifar10", data_dir, holding="cifar10.npz")


def test_it_is_an_input_error_that_can_be_told_apart() -> None:
    assert issubclass(MissingData, InputError)
    assert MissingData is not InputError
