from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from trees import random_pixels, write_picture
from vicinal._checks import InputError
from vicinal.data.file_loader import FileLoader
from vicinal.data.image_folder import read_folders, read_image_folder
from vicinal.data.missing import MissingData


def tree(root: Path, **parts: dict[str, list[str]]) -> Path:
    """Empty files: a reader of folders decodes nothing."""
    for part, classes in parts.items():
        for name, files in classes.items():
            (root / part / name).mkdir(parents=True)
            for file in files:
                (root / part / name / file).touch()
    return root


TRAIN = {"dog": ["b.png", "a.JPEG"], "cat": ["1.jpg", "2.jpg", "notes.txt"], "eel": ["x.webp"]}
TEST = {"cat": ["9.jpg"], "dog": ["8.jpg", "7.jpg"], "eel": ["6.png"]}


@pytest.mark.parametrize("part", ["val", "test"])
def test_files_have_the_classes_of_their_folders(tmp_path: Path, part: str) -> None:
    found = read_image_folder(tree(tmp_path / "pets", train=TRAIN, **{part: TEST}))
    assert (found.name, found.num_classes) == ("pets", 3)
    assert found.class_names == ("cat", "dog", "eel")
    assert found.train.names == ("cat/1.jpg", "dog/a.JPEG", "eel/x.webp", "cat/2.jpg", "dog/b.png")
    assert found.train.y.tolist() == [0, 1, 2, 0, 1]
    assert found.test.names == ("cat/9.jpg", "dog/7.jpg", "eel/6.png", "dog/8.jpg")
    assert found.test.folder == tmp_path / "pets" / part
    assert (found.shape, found.train.view) == ((3, 224, 224), "resized")


def test_test_comes_before_val_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="vicinal"):
        found = read_image_folder(tree(tmp_path, train=TRAIN, val=TEST, test=TEST))
    assert found.test.folder == tmp_path / "test"
    assert "tested on test" in caplog.records[0].getMessage()


def test_size_and_view_are_those_asked_for(tmp_path: Path) -> None:
    found = read_image_folder(tree(tmp_path, train=TRAIN, val=TEST), size=64, view="cropped")
    assert (found.shape, found.train.view, found.test.view) == ((3, 64, 64), "cropped", "cropped")


def test_no_folder_is_missing_data_and_half_of_it_is_not(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"`data_dir` for image-folder must hold .*holds none"):
        read_image_folder(tmp_path)
    for parts, gone in (({"train": TRAIN}, "val"), ({"val": TEST}, "train")):
        with pytest.raises(InputError, match=rf"{gone} must be a folder of images") as caught:
            read_image_folder(tree(tmp_path / gone, **parts))
        assert not isinstance(caught.value, MissingData)


def test_a_class_in_one_of_the_splits_only_is_named(tmp_path: Path) -> None:
    fewer = {name: files for name, files in TEST.items() if name != "eel"}
    with pytest.raises(InputError, match=r"same classes; eel is in .*train only"):
        read_image_folder(tree(tmp_path / "one", train=TRAIN, val=fewer))
    with pytest.raises(InputError, match=r"same classes; ant is in .*val only"):
        read_image_folder(tree(tmp_path / "two", train=TRAIN, val={**TEST, "ant": ["1.png"]}))


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_class_without_images_is_named(tmp_path: Path, part: str) -> None:
    parts = {"train": TRAIN, "val": TEST}
    parts[part] = {**parts[part], "eel": ["notes.txt"]}
    with pytest.raises(InputError, match=rf"{part}/eel must hold images .*it holds none"):
        read_image_folder(tree(tmp_path, **parts))


def test_known_statistics_are_handed_on(tmp_path: Path) -> None:
    known = (0.5,) * 3, (0.25,) * 3
    root = tree(tmp_path, train=TRAIN, val=TEST)
    found = read_folders(root, name="toy", size=8, view="resized", published=known)
    assert found.statistics() == known


def test_a_folder_streams_into_batches(tmp_path: Path) -> None:
    for part in ("train", "val"):
        for k, name in enumerate(("cat", "dog")):
            for i in range(3):
                pixels = random_pixels(10 * k + i, height=30 + i, width=40)
                write_picture(tmp_path / part / name / f"{i}.JPEG", pixels)
    found = read_image_folder(tmp_path, size=24)
    loader = FileLoader(found.train, batch_size=4, workers=0)
    shapes = [tuple(x.shape) for x, _ in loader.epoch(torch.Generator())]
    assert shapes == [(4, 3, 24, 24), (2, 3, 24, 24)]
    assert torch.cat([y for _, y in FileLoader(found.test, batch_size=4, workers=0)]).tolist() == [
        0,
        1,
        0,
        1,
        0,
        1,
    ]
