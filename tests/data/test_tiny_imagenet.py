from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trees import decoded, random_pixels, write_picture
from vicinal._checks import InputError
from vicinal.data.image_set import ImageSet
from vicinal.data.missing import MissingData
from vicinal.data.tiny_imagenet import read_tiny_imagenet, read_tiny_imagenet_30

WNIDS = [f"n{1_000_000 + 37 * k:08d}" for k in range(200)]
LISTED = [*WNIDS[100:], *WNIDS[:100]]
"""In wnids.txt the classes are in no order."""
OF_VAL = [WNIDS[(k * 77) % 200] for k in range(20)]
GREY = "val/images/val_3.JPEG"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published layout with one training image a class and 20 validation images."""
    folder = tmp_path_factory.mktemp("published")
    root = folder / "tiny-imagenet-200"
    for k, wnid in enumerate(WNIDS):
        write_picture(root / f"train/{wnid}/images/{wnid}_0.JPEG", random_pixels(k))
        (root / f"train/{wnid}/{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t0\t62\t62\n")
    for k in range(20):
        write_picture(root / f"val/images/val_{k}.JPEG", random_pixels(1000 + k))
    Image.fromarray(random_pixels(7)[..., 0]).save(root / GREY)
    lines = [f"val_{k}.JPEG\t{wnid}\t0\t32\t44\t62\n" for k, wnid in enumerate(OF_VAL)]
    (root / "val/val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("\n".join(LISTED) + "\n")
    words = [f"{wnid}\tword {k}, other word\n" for k, wnid in enumerate(WNIDS)]
    (root / "words.txt").write_text("n00001740\tentity\n" + "".join(words))
    (root / "test" / "images").mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thirty")
    for k, wnid in enumerate(WNIDS[:30]):
        for part, n in (("train", 2), ("val", 1)):
            for i in range(n):
                path = folder / f"tiny_imagenet_30/{part}/{wnid}/{wnid}_{i}.JPEG"
                write_picture(path, random_pixels(100 * n + 10 * k + i))
    return folder


@pytest.fixture
def altered(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "copy")) / "tiny-imagenet-200"


def test_training_images_have_the_class_of_their_folder(published: Path) -> None:
    found = read_tiny_imagenet(published)
    assert (found.name, found.num_classes, found.shape) == ("tiny-imagenet", 200, (3, 64, 64))
    assert found.train.y.tolist() == list(range(200))
    for k in (0, 1, 99, 199):
        path = published / f"tiny-imagenet-200/train/{WNIDS[k]}/images/{WNIDS[k]}_0.JPEG"
        assert np.array_equal(found.train.x[k].numpy(), decoded(path))


def test_the_annotated_validation_images_are_the_test_set_in_their_order(published: Path) -> None:
    found = read_tiny_imagenet(published)
    assert found.test.y.tolist() == [WNIDS.index(wnid) for wnid in OF_VAL]
    for k in range(20):
        path = published / f"tiny-imagenet-200/val/images/val_{k}.JPEG"
        assert np.array_equal(found.test.x[k].numpy(), decoded(path))


def test_a_grey_image_has_three_equal_channels(published: Path) -> None:
    grey = read_tiny_imagenet(published).test.x[3]
    assert torch.equal(grey[0], grey[1])
    assert torch.equal(grey[0], grey[2])


def test_classes_are_named_by_their_first_word(published: Path) -> None:
    assert read_tiny_imagenet(published).class_names == tuple(f"word {k}" for k in range(200))


def test_the_thirty_classes_are_a_set_of_their_own(thirty: Path) -> None:
    found = read_tiny_imagenet_30(thirty)
    assert (found.name, found.num_classes, found.shape) == ("tiny-imagenet-30", 30, (3, 64, 64))
    assert found.class_names == tuple(WNIDS[:30])
    assert found.test.y.tolist() == list(range(30))
    assert found.train.y.bincount().tolist() == [2] * 30
    for k in (0, 29):
        path = thirty / f"tiny_imagenet_30/train/{WNIDS[k]}/{WNIDS[k]}_1.JPEG"
        assert np.array_equal(found.train.x[30 + k].numpy(), decoded(path))


@pytest.mark.parametrize(
    ("read", "wanted"),
    [(read_tiny_imagenet, "tiny-imagenet-200"), (read_tiny_imagenet_30, "tiny_imagenet_30")],
)
def test_a_missing_set_is_missing_data_with_a_hint_where_it_is_near(
    tmp_path: Path, read: Callable[[Path | None], ImageSet], wanted: str
) -> None:
    with pytest.raises(MissingData, match=f"must hold {wanted}; .* does not"):
        read(tmp_path)
    (tmp_path / wanted).mkdir()
    with pytest.raises(MissingData, match=f"Did you mean its parent, .*{tmp_path.name}"):
        read(tmp_path / wanted)
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert not isinstance(caught.value, MissingData)


@pytest.mark.parametrize("file", ["wnids.txt", "words.txt", "val/val_annotations.txt"])
def test_a_missing_list_is_named_and_is_not_missing_data(altered: Path, file: str) -> None:
    (altered / file).unlink()
    with pytest.raises(InputError, match=f"{file} is missing or unreadable") as caught:
        read_tiny_imagenet(altered.parent)
    assert not isinstance(caught.value, MissingData)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_classes_that_do_not_fit_their_folders_are_named(altered: Path) -> None:
    shutil.rmtree(altered / "train" / WNIDS[5])
    with pytest.raises(InputError, match=r"train must hold 200 folders.*; it holds 199"):
        read_tiny_imagenet(altered.parent)
    (altered / "train" / "n99999999").mkdir()
    with pytest.raises(InputError, match=rf"must name the folders .*; {WNIDS[5]} stands in one"):
        read_tiny_imagenet(altered.parent)


def test_a_class_listed_twice_is_refused(altered: Path) -> None:
    with (altered / "wnids.txt").open("a") as file:
        file.write(WNIDS[0] + "\n")
    with pytest.raises(InputError, match=r"wnids\.txt repeats a name"):
        read_tiny_imagenet(altered.parent)


def test_an_empty_class_is_named(altered: Path) -> None:
    (altered / f"train/{WNIDS[8]}/images/{WNIDS[8]}_0.JPEG").unlink()
    with pytest.raises(InputError, match=rf"{WNIDS[8]}/images must hold images"):
        read_tiny_imagenet(altered.parent)


def test_a_class_without_a_word_is_named(altered: Path) -> None:
    change(altered / "words.txt", f"{WNIDS[9]}\t", "n99999999\t")
    with pytest.raises(InputError, match=rf"words\.txt .*none for {WNIDS[9]}"):
        read_tiny_imagenet(altered.parent)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (f"val_4.JPEG\t{OF_VAL[4]}", "val_4.JPEG\tn99999999", "line 5 of .*n99999999"),
        ("val_4.JPEG\t", "val_3.JPEG\t", r"line 5 of .*a new image .*val_3\.JPEG"),
        ("val_4.JPEG\t", "val_4.JPEG ", "line 5 of .*with a tab between"),
        ("val_4.JPEG\t", "val_77.JPEG\t", r"one line for each file .*; val_4\.JPEG has no line"),
        ("val_4.JPEG\t", "val_40\t", r"one line for each file .*; val_4\.JPEG has no line"),
    ],
    ids=["class", "twice", "space", "absent", "renamed"],
)
def test_a_wrong_annotation_is_named(altered: Path, old: str, new: str, said: str) -> None:
    change(altered / "val" / "val_annotations.txt", old, new)
    with pytest.raises(InputError, match=said):
        read_tiny_imagenet(altered.parent)


def test_an_annotated_image_without_a_file_is_named(altered: Path) -> None:
    (altered / "val/images/val_11.JPEG").unlink()
    with pytest.raises(InputError, match=r"val_11\.JPEG has no file"):
        read_tiny_imagenet(altered.parent)


def test_an_image_that_is_cut_short_or_of_another_size_is_named(altered: Path) -> None:
    path = altered / f"train/{WNIDS[150]}/images/{WNIDS[150]}_0.JPEG"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=rf"{path.name} is cut short, damaged or no picture"):
        read_tiny_imagenet(altered.parent)
    write_picture(path, random_pixels(0, height=64, width=63))
    with pytest.raises(InputError, match=rf"{path.name} must have .* 64x64 pixels; got 64x63"):
        read_tiny_imagenet(altered.parent)


def test_the_thirty_classes_are_thirty_and_the_same_in_both_splits(
    thirty: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(thirty, tmp_path / "copy")) / "tiny_imagenet_30"
    (root / "val" / WNIDS[3]).rename(root / "val" / "n99999999")
    with pytest.raises(InputError, match=r"val must hold the same classes as .*train"):
        read_tiny_imagenet_30(root.parent)
    shutil.rmtree(root / "train" / WNIDS[3])
    with pytest.raises(InputError, match=r"train must hold 30 folders.*; it holds 29"):
        read_tiny_imagenet_30(root.parent)


def test_images_of_another_size_throughout_are_another_set(tmp_path: Path) -> None:
    for part in ("train", "val"):
        for wnid in WNIDS[:30]:
            path = tmp_path / f"tiny_imagenet_30/{part}/{wnid}/1.JPEG"
            write_picture(path, random_pixels(1, height=32, width=32))
    with pytest.raises(InputError, match=r"64x64 pixels to be tiny-imagenet-30; .*\(3, 32, 32\)"):
        read_tiny_imagenet_30(tmp_path)


def test_a_set_of_another_size_than_published_is_logged(
    published: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="vicinal"):
        read_tiny_imagenet(published)
    said = "200 training and 20 test images; the published set has 100000 and 10000"
    assert said in caplog.records[0].getMessage()


def test_the_real_thirty_classes_have_the_published_counts() -> None:
    folder = os.environ.get("VICINAL_DATA_DIR")
    if folder is None:
        pytest.skip("VICINAL_DATA_DIR does not name a folder with the real tiny_imagenet_30")
    try:
        found = read_tiny_imagenet_30(Path(folder))
    except MissingData as error:
        pytest.skip(str(error))
    assert found.train.y.bincount().tolist() == [500] * 30
    assert found.test.y.bincount().tolist() == [50] * 30
    assert found.class_names is not None
    assert found.class_names[0] == "n01443537"
    mean, _ = found.statistics()
    assert mean == pytest.approx((0.4777, 0.4401, 0.3928), abs=5e-4)
