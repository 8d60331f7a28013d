from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trees import decoded, random_pixels, write_picture
from vicinal._checks import InputError
from vicinal.data.folder_set import FileSplit, FolderSet

SPLIT = FileSplit(
    folder=Path("train"),
    names=tuple(f"{k % 3}/{k}.png" for k in range(9)),
    y=torch.arange(9) % 3,
    size=32,
    view="resized",
)
WHOLE = FolderSet(
    name="toy", train=SPLIT, test=SPLIT[:3], num_classes=3, class_names=("0", "1", "2")
)


def test_a_part_of_a_split_keeps_names_and_classes_together() -> None:
    some = SPLIT[2:5]
    assert (some.names, some.y.tolist()) == (("2/2.png", "0/3.png", "1/4.png"), [2, 0, 1])
    picked = SPLIT[torch.tensor([8, 0])]
    assert (picked.names, picked.y.tolist()) == (("2/8.png", "0/0.png"), [2, 0])
    assert (picked.folder, picked.size, picked.view, len(picked)) == (
        SPLIT.folder,
        32,
        "resized",
        2,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"names": (), "y": torch.zeros(0, dtype=torch.int64)},
        {"y": torch.zeros(8, dtype=torch.int64)},
        {"y": torch.zeros(9)},
        {"y": torch.arange(9) - 1},
        {"size": 0},
        {"view": "squeezed"},
    ],
    ids=["empty", "short", "float", "negative", "size", "view"],
)
def test_what_is_no_split_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^`(y|size|view)` .*must"):
        replace(SPLIT, **changes)


def test_sets_and_splits_are_frozen_and_short_in_print() -> None:
    assert repr(SPLIT) == "FileSplit(9 images in train, resized to 32x32)"
    with pytest.raises(FrozenInstanceError):
        SPLIT.size = 3  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        WHOLE.num_classes = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_classes": 2, "class_names": ("0", "1")}, r"train split of toy .*0\.\.1; got 2"),
        ({"class_names": ("0",)}, "must be 3 names; got 1"),
        ({"test": replace(SPLIT, size=64)}, "one size and view; got 32 resized and 64 resized"),
        ({"test": replace(SPLIT, view="cropped")}, "32 resized and 32 cropped"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        replace(WHOLE, **changes)


def test_another_size_or_rule_is_another_set_of_the_same_files() -> None:
    assert WHOLE.shape == (3, 32, 32)
    larger = WHOLE.seen(size=48)
    assert (larger.shape, larger.test.view) == ((3, 48, 48), "resized")
    cut = WHOLE.seen(view="cropped")
    assert (cut.shape, cut.train.view, cut.test.view) == ((3, 32, 32), "cropped", "cropped")
    assert cut.train.names == SPLIT.names
    assert WHOLE.seen().train.size == 32
    with pytest.raises(InputError, match="`size` must be"):
        WHOLE.seen(size=0)


def test_published_statistics_are_taken_without_reading_an_image() -> None:
    known = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    assert replace(WHOLE, published=known).statistics() == known


def on_disk(folder: Path, n: int, *, height: int, width: int) -> FolderSet:
    names = tuple(f"{k % 2}/{k}.png" for k in range(n))
    for k, name in enumerate(names):
        write_picture(folder / name, random_pixels(k, height=height, width=width))
    y = torch.arange(n) % 2
    split = FileSplit(folder=folder, names=names, y=y, size=8, view="resized")
    return FolderSet(name="toy", train=split, test=split, num_classes=2, class_names=("0", "1"))


def test_statistics_are_those_of_the_views_of_all_images_where_they_are_few(tmp_path: Path) -> None:
    found = on_disk(tmp_path, 20, height=8, width=8)
    pixels = np.stack([decoded(tmp_path / name) for name in found.train.names]) / 255
    mean, std = found.statistics()
    np.testing.assert_allclose(mean, pixels.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(axis=(0, 2, 3)), rtol=1e-12)


def test_statistics_are_of_the_views_and_not_of_the_files(tmp_path: Path) -> None:
    found = on_disk(tmp_path, 3, height=40, width=20)
    views = []
    for name in found.train.names:
        with Image.open(tmp_path / name) as picture:
            views.append(np.asarray(picture.resize((8, 8), Image.Resampling.BILINEAR)))
    pixels = np.stack(views) / 255
    mean, std = found.statistics()
    np.testing.assert_allclose(mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(axis=(0, 1, 2)), rtol=1e-12)


def test_a_large_set_is_sampled_across_its_classes_and_always_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vicinal.data.folder_set._SAMPLE", 40)
    for label, level in enumerate((0, 100)):
        path = tmp_path / f"{label}.png"
        write_picture(path, np.full((8, 8, 3), level, np.uint8))
    y = torch.arange(2000) // 1000
    names = tuple(f"{label}.png" for label in y.tolist())
    split = FileSplit(folder=tmp_path, names=names, y=y, size=8, view="resized")
    found = FolderSet(name="toy", train=split, test=split, num_classes=2, class_names=("0", "1"))
    (mean, _, _), _ = found.statistics()
    # 40 fair draws of 0 and 100 are further from their mean with probability < 10^-6.
    assert 50 - 40 < 255 * mean < 50 + 40
    assert found.statistics() == found.statistics()
