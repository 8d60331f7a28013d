"""Whose number a subset is: the scale's gives way to a small set, a wish does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import layouts
from vicinal._checks import InputError
from vicinal.recipes import files, run
from vicinal.recipes.own_set import OWN, fitted

NAME = "alps/cifar10-preactresnet18"
TINY = {"dataset": "npz", "model.name": "digits_net", "model.width": 4, "epochs": 1}
PADLESS: dict[str, Any] = {"dataset": "image-folder", "augment.pad": 0}


def _npz(file: Path, *, n: int) -> Path:
    x, y = np.zeros((n, 8, 8), dtype=np.uint8), np.arange(n) % 2
    np.savez(file, x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    return file


def _subset(where: Path, scale: str = "small", **overrides: Any) -> tuple[int | None, list[str]]:
    lines: list[str] = []
    chosen = files.recipe(NAME, scale=scale, overrides=overrides)
    found = fitted(chosen, given=overrides, data_dir=where, tell=lines.append)
    assert found.model_copy(update={"train_subset": chosen.train_subset}) == chosen
    return found.train_subset, lines


@pytest.mark.parametrize(("n", "left"), [(9_999, None), (10_000, 10_000), (10_001, 10_000)])
def test_the_scales_subset_gives_way_where_there_are_fewer_images(
    tmp_path: Path, n: int, left: int | None
) -> None:
    subset, lines = _subset(_npz(tmp_path / "own.npz", n=n), dataset="npz")
    assert subset == left
    assert len(lines) == (left is None)


def test_a_folder_of_images_too(tmp_path: Path) -> None:
    folder = layouts.class_tree(tmp_path / "pets", ["cat", "dog"], side=20, train=6, test=2)
    subset, (line,) = _subset(folder, **PADLESS)
    assert subset is None
    assert "image-folder has 12 training images, fewer than the 10000 of scale small" in line


@pytest.mark.parametrize("n", [50, 70, 10_000])
def test_a_subset_that_was_asked_for_stays(tmp_path: Path, n: int) -> None:
    file = _npz(tmp_path / "own.npz", n=60)
    assert _subset(file, dataset="npz", train_subset=n) == (n, [])


def test_what_a_recipe_file_says_where_the_scale_says_nothing_was_asked_for(
    tmp_path: Path,
) -> None:
    chosen = files.recipe(NAME, scale="full", overrides={"dataset": "npz", "train_subset": 70})
    file = _npz(tmp_path / "own.npz", n=60)
    assert fitted(chosen, given=(), data_dir=file).train_subset == 70


def test_sets_that_are_nobodys_own_are_not_opened(tmp_path: Path) -> None:
    assert "digits" not in OWN
    assert _subset(tmp_path / "none") == (10_000, [])
    assert _subset(tmp_path / "none", dataset="digits") == (10_000, [])


def test_of_a_scale_without_a_subset_nothing_is_opened(tmp_path: Path) -> None:
    assert _subset(tmp_path / "none", scale="medium", dataset="npz") == (None, [])


def test_from_python_the_log_says_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = _npz(tmp_path / "own.npz", n=20)
    few: dict[str, Any] = {"scale": "small", "run_dir": tmp_path / "run"}
    with caplog.at_level("INFO", logger="vicinal"):
        found = run.train(NAME, method="erm", data_dir=file, overrides=TINY, **few)
    assert found.recipe.train_subset is None
    assert "20 training images" in caplog.text
    with pytest.raises(
        InputError, match=r"at most the split's 20 images; got 10000\. 10000 is what"
    ):
        run.train(NAME, data_dir=file, overrides={**TINY, "train_subset": 10_000}, **few)
