from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import layouts
from trees import decoded, random_pixels, write_picture
from vicinal import data
from vicinal._checks import InputError
from vicinal.data.file_loader import FileLoader
from vicinal.data.folder_set import FileSplit
from vicinal.data.imagenet_c import read_imagenet_c, read_tiny_imagenet_c
from vicinal.data.missing import MissingData

CLASSES = ["n01440764", "n01443537", "n01484850"]


def part(found: data.CorruptedSet, name: str, severity: int) -> FileSplit:
    opened = found.part(name, severity)
    assert isinstance(opened, FileSplit)
    return opened


def test_a_part_is_its_folder_seen_as_it_is(tmp_path: Path) -> None:
    root = tmp_path / "Tiny-ImageNet-C"
    layouts.corrupted_tree(root, ["fog", "snow"], CLASSES, side=64, severities=2)
    found = read_tiny_imagenet_c(tmp_path)
    assert (found.corruptions, found.severities) == (("fog", "snow"), (1, 2))
    assert (found.num_classes, found.class_names) == (3, tuple(CLASSES))
    opened = part(found, "snow", 2)
    assert opened.y.tolist() == [0, 1, 2]
    x, y = next(iter(FileLoader(opened, batch_size=3)))
    for image, label in zip(x, y, strict=True):
        file = root / "snow" / "2" / CLASSES[int(label)] / "val_1.JPEG"
        assert np.array_equal((image * 255).round().byte().numpy(), decoded(file))


def test_labels_are_the_models_outputs(tmp_path: Path) -> None:
    layouts.corrupted_tree(tmp_path, ["fog"], CLASSES, side=224, severities=1)
    found = read_imagenet_c(tmp_path, classes=[CLASSES[2], "n99999999", CLASSES[0]])
    opened = part(found, "fog", 1)
    wnids = [name.split("/")[0] for name in opened.names]
    labels = dict(zip(wnids, opened.y.tolist(), strict=True))
    assert labels == {CLASSES[2]: 0, CLASSES[0]: 2}
    assert (found.num_classes, opened.size, opened.view) == (3, 224, "resized")
    with pytest.raises(InputError, match="some of the model's classes, such as cat"):
        read_imagenet_c(tmp_path, classes=["cat", "dog"])


def test_the_archives_own_folders_may_stay(tmp_path: Path) -> None:
    root = tmp_path / "ImageNet-C"
    layouts.corrupted_tree(root / "weather", ["fog"], CLASSES[:2], side=224, severities=1)
    layouts.corrupted_tree(root / "noise", ["shot_noise"], CLASSES[:2], side=224, severities=1)
    found = data.load_corrupted("imagenet-c", tmp_path)
    assert found.corruptions == ("fog", "shot_noise")
    assert part(found, "fog", 1).folder == root / "weather" / "fog" / "1"


def test_a_wrong_layout_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="ImageNet-C with <corruption>/<severity>/<class>/"):
        read_imagenet_c(tmp_path)
    layouts.corrupted_tree(tmp_path, ["fog"], CLASSES, side=32, severities=2)
    with pytest.raises(InputError, match="final size, 224x224 pixels; got 32x32"):
        read_imagenet_c(tmp_path).part("fog", 1)
    layouts.corrupted_tree(tmp_path, ["snow"], CLASSES, side=32, severities=1)
    with pytest.raises(InputError, match="the severities of fog, 1, 2; it has 1"):
        read_imagenet_c(tmp_path)


def test_an_ordinary_image_folder_is_no_corrupted_set(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        write_picture(tmp_path / "train" / name / "1.png", random_pixels(0))
    with pytest.raises(MissingData):
        read_imagenet_c(tmp_path)


@pytest.mark.parametrize("part_at", ["fog/1", "snow/2"])
def test_a_class_that_one_part_lacks_does_not_move_the_labels(part_at: str, tmp_path: Path) -> None:
    layouts.corrupted_tree(tmp_path, ["fog", "snow"], CLASSES, side=64, severities=2)
    shutil.rmtree(tmp_path / part_at / CLASSES[0])
    for classes in (None, CLASSES):
        with pytest.raises(InputError, match=rf"{part_at} must have .* it has no {CLASSES[0]}"):
            read_tiny_imagenet_c(tmp_path, classes=classes)


@pytest.mark.parametrize("stray", ["old", "__MACOSX", "5 (copy)", "10", "05"])
def test_a_stray_folder_beside_the_severities_hides_no_corruption(
    stray: str, tmp_path: Path
) -> None:
    layouts.corrupted_tree(tmp_path / "noise", ["fog", "snow"], CLASSES, side=64, severities=5)
    (tmp_path / "noise" / "fog" / stray).mkdir()
    found = read_tiny_imagenet_c(tmp_path)
    assert (found.corruptions, found.severities) == (("fog", "snow"), (1, 2, 3, 4, 5))
    (tmp_path / "noise" / "fog" / "6").mkdir()
    with pytest.raises(InputError, match=r"the severities of fog, .*, 6; it has 1"):
        read_tiny_imagenet_c(tmp_path)


def test_classes_with_numbers_are_no_severities(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / "imagenetv2" / str(number)).mkdir(parents=True)
    layouts.corrupted_tree(tmp_path, ["fog"], CLASSES, side=64, severities=1)
    assert read_tiny_imagenet_c(tmp_path).corruptions == ("fog",)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_of_another_size_among_them_is_one_sentence(workers: int, tmp_path: Path) -> None:
    layouts.corrupted_tree(tmp_path, ["fog"], CLASSES, side=64, severities=1)
    odd = tmp_path / "fog" / "1" / CLASSES[1] / "val_1.JPEG"
    write_picture(odd, random_pixels(5, height=64, width=48))
    opened = part(read_tiny_imagenet_c(tmp_path), "fog", 1)
    with pytest.raises(InputError, match=r"n01443537.val_1\.JPEG must .* 64x64 .* got 64x48"):
        list(FileLoader(opened[:2], batch_size=2, workers=workers))
    assert len(list(FileLoader(opened[:1], batch_size=2, workers=workers))) == 1
