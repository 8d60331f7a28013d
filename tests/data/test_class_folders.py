from __future__ import annotations

from pathlib import Path

import pytest

from vicinal._checks import InputError
from vicinal.data.class_folders import class_folders, in_turns, list_pictures, picture_names


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_classes_are_the_folders_sorted_and_nothing_else(tmp_path: Path) -> None:
    touch(tmp_path, "n2/a.png", "n10/a.png", "n1/a.png", ".hidden/a.png", "README", "b.png")
    assert class_folders(tmp_path) == ("n1", "n10", "n2")


def test_pictures_are_the_files_with_such_endings_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPEG", "a.jpg", "c.Png", "d.webp", "notes.txt", ".e.png", "sub/f.png", "png")
    assert picture_names(tmp_path) == ["a.jpg", "b.JPEG", "c.Png", "d.webp"]


def test_a_folder_without_classes_gets_a_hint_where_its_images_lie_loose(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one folder per class, at least two; it holds 0\.$"):
        class_folders(touch(tmp_path, "notes.txt"))
    with pytest.raises(InputError, match=r"it holds 0\. Its images lie there directly: sort"):
        class_folders(touch(tmp_path, "one.JPEG"))
    with pytest.raises(InputError, match="it holds 1"):
        class_folders(touch(tmp_path, "only/one.JPEG"))


def test_an_empty_class_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.png", "dog/notes.txt")
    with pytest.raises(InputError, match=r"dog must hold images \(\.bmp .*\); it holds none"):
        list_pictures(tmp_path, ["cat", "dog"])
    with pytest.raises(InputError, match=r"cow must be a folder of images; it could not be read"):
        list_pictures(tmp_path, ["cat", "cow"])
    with pytest.raises(InputError, match=r"gone must be a folder of images; it could not be read"):
        class_folders(tmp_path / "gone")


@pytest.mark.parametrize("inside", ["", "images"])
def test_a_listing_has_every_file_with_the_class_of_its_folder(tmp_path: Path, inside: str) -> None:
    sizes = {"cat": 3, "dog": 5, "eel": 1}
    for name, n in sizes.items():
        touch(tmp_path / name / inside, *(f"{k}.png" for k in range(n)))
    found = list_pictures(tmp_path, list(sizes), inside=inside)
    assert len(set(found.names)) == len(found.names) == 9
    assert all((tmp_path / name).is_file() for name in found.names)
    for name, label in zip(found.names, found.y.tolist(), strict=True):
        assert name.split("/")[0] == list(sizes)[label]


def test_classes_take_turns_so_the_first_n_are_balanced() -> None:
    found = in_turns([[f"{label}-{k}" for k in range(4)] for label in range(7)])
    for n in range(1, 29):
        counts = found.y[:n].bincount(minlength=7)
        assert int(counts.max() - counts.min()) <= 1
    assert [name for name in found.names if name.startswith("3-")] == ["3-0", "3-1", "3-2", "3-3"]
