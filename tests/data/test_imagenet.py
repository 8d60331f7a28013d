from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from vicinal._checks import InputError
from vicinal.data.folder_set import FolderSet
from vicinal.data.imagenet import _first_by_hash, read_imagenet, read_imagenet_100
from vicinal.data.missing import MissingData

WNIDS = [f"n{1_440_764 + 13 * k:08d}" for k in range(1000)]


def tree(root: Path, part: str, wnids: list[str], n: int) -> Path:
    """Empty files: a reader of folders decodes nothing."""
    for wnid in wnids:
        (root / part / wnid).mkdir(parents=True)
        for k in range(n):
            (root / part / wnid / f"{wnid}_{k}.JPEG").touch()
    return root


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thousand")
    tree(folder / "imagenet", "train", WNIDS, 2)
    tree(folder / "imagenet", "val", WNIDS, 1)
    return folder


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 classes of 27 training images, and no validation images."""
    return tree(tmp_path_factory.mktemp("several"), "train", WNIDS[:120], 27)


def test_imagenet_has_its_thousand_classes_sorted(
    thousand: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="vicinal"):
        found = read_imagenet(thousand)
    assert (found.name, found.num_classes, found.class_names) == ("imagenet", 1000, tuple(WNIDS))
    assert (len(found.train), len(found.test)) == (2000, 1000)
    assert (found.shape, found.train.view) == ((3, 224, 224), "cropped")
    assert found.statistics() == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert "published set has 1281167 and 50000" in caplog.records[0].getMessage()
    assert read_imagenet(thousand / "imagenet").train.names == found.train.names


def test_another_number_of_classes_or_other_names_are_not_imagenet(tmp_path: Path) -> None:
    tree(tmp_path, "train", WNIDS[:3], 1)
    with pytest.raises(InputError, match=r"1000 classes of ImageNet; it holds 3\..*image-folder"):
        read_imagenet(tmp_path)
    (tmp_path / "train" / "cat").mkdir()
    with pytest.raises(InputError, match=r"WordNet id, such as n01440764; it holds cat"):
        read_imagenet(tmp_path)


def test_validation_images_that_lie_loose_get_a_hint(thousand: Path, tmp_path: Path) -> None:
    (tmp_path / "train").symlink_to(thousand / "imagenet" / "train")
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG").touch()
    with pytest.raises(InputError, match=r"val must hold one folder per class.*lie there directly"):
        read_imagenet(tmp_path)


@pytest.mark.parametrize("read", [read_imagenet, read_imagenet_100])
def test_a_missing_set_is_missing_data(tmp_path: Path, read: Callable[[Path], FolderSet]) -> None:
    with pytest.raises(MissingData, match=r"must hold train in .*imagenet or itself"):
        read(tmp_path)


def assert_holds_out_a_tenth(found: FolderSet, n: int) -> None:
    train, test = set(found.train.names), set(found.test.names)
    assert not train & test
    assert len(train) + len(test) == 100 * n
    assert found.test.y.bincount().tolist() == [n // 10] * 100
    assert found.train.y.bincount().tolist() == [n - n // 10] * 100
    for split in (found.train, found.test):
        for name, label in zip(split.names, split.y.tolist(), strict=True):
            assert name.startswith(f"{found.class_names[label]}/")


def test_imagenet_100_holds_out_a_tenth_of_every_class(several: Path) -> None:
    found = read_imagenet_100(several)
    assert_holds_out_a_tenth(found, 27)
    assert (found.name, found.num_classes) == ("imagenet-100", 100)
    assert found.test.folder == found.train.folder == several / "train"
    assert (found.shape, found.train.view) == ((3, 224, 224), "resized")
    assert list(found.class_names) == sorted(set(found.class_names) & set(WNIDS[:120]))


def test_the_choice_is_of_the_seed_and_the_names_alone(several: Path, tmp_path: Path) -> None:
    one, again, other = (read_imagenet_100(several, seed=seed) for seed in (0, 0, 1))
    assert (one.class_names, one.test.names) == (again.class_names, again.test.names)
    assert one.class_names != other.class_names
    shared = [wnid for wnid in one.class_names if wnid in other.class_names]
    held = [
        {name for name in found.test.names if name.split("/")[0] in shared}
        for found in (one, other)
    ]
    assert held[0] != held[1]
    elsewhere = read_imagenet_100(tree(tmp_path / "imagenet", "train", WNIDS[:120], 27).parent)
    assert elsewhere.test.names == one.test.names


def test_the_held_out_images_are_no_block_of_the_sorted_names(several: Path) -> None:
    positions = {
        int(name.split("_")[1].split(".")[0]) for name in read_imagenet_100(several).test.names
    }
    # 200 uniform draws of 27 miss a given position with probability 5e-4; the seed is fixed.
    assert positions == set(range(27))


def test_the_choice_of_classes_is_drawn_from_all_of_them() -> None:
    chosen = {wnid for seed in range(60) for wnid in _first_by_hash(WNIDS, n=100, seed=seed)}
    # A class is missed by 60 draws with probability 0.9^60 = 0.0018; of 1000, two or so are.
    assert len(chosen) > 985


def test_one_image_more_moves_at_most_one_other(several: Path, tmp_path: Path) -> None:
    fewer = read_imagenet_100(tree(tmp_path, "train", WNIDS[:120], 26))
    more = read_imagenet_100(several)
    for wnid in more.class_names:
        one, other = (
            {name for name in found.test.names if name.startswith(wnid)} for found in (fewer, more)
        )
        assert len(one) == len(other) == 2
        assert len(one & other) >= 1


def with_list(several: Path, folder: Path, lines: list[str]) -> Path:
    (folder / "train").symlink_to(several / "train")
    (folder / "imagenet-100.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_a_list_beside_train_names_the_classes(several: Path, tmp_path: Path) -> None:
    lines = [f"{wnid} some words" for wnid in reversed(WNIDS[20:120])]
    found = read_imagenet_100(with_list(several, tmp_path, lines))
    assert found.class_names == tuple(WNIDS[20:120])
    assert_holds_out_a_tenth(found, 27)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (WNIDS[:99], "it has 99 lines and 99 names"),
        ([*WNIDS[:99], WNIDS[0]], "it has 100 lines and 99 names"),
        ([*WNIDS[:99], "n99999999"], "folders of .*; 'n99999999' is none"),
    ],
    ids=["short", "twice", "unknown"],
)
def test_a_wrong_list_is_refused(
    several: Path, tmp_path: Path, lines: list[str], said: str
) -> None:
    with pytest.raises(InputError, match=rf"imagenet-100\.txt must .*{said}"):
        read_imagenet_100(with_list(several, tmp_path, lines))


def test_too_few_classes_or_images_are_refused(tmp_path: Path) -> None:
    tree(tmp_path / "a", "train", WNIDS[:99], 2)
    with pytest.raises(InputError, match="at least 100 classes; it holds 99"):
        read_imagenet_100(tmp_path / "a")
    tree(tmp_path / "b", "train", WNIDS[:100], 1)
    with pytest.raises(InputError, match=r"at least two images, .*; it holds 1"):
        read_imagenet_100(tmp_path / "b")
