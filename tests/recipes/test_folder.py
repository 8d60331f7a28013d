"""The folder of a run; refusals of a folder are tested with `recipes.run`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vicinal._checks import InputError
from vicinal.recipes import files, folder

NAME = "alps/cifar10-vgg16"


def test_what_differs_first_is_found_in_nested_fields() -> None:
    ours, theirs = {"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 2, "d": 4}, "e": 5}
    assert folder.first_difference(ours, theirs) == ("b.d", 3, 4)
    assert folder.first_difference(ours, ours) is None
    assert folder.first_difference({}, {"e": 5}) == ("e", None, 5)


def test_words_that_change_nothing_are_no_difference() -> None:
    one = files.recipe(NAME).model_dump()
    assert folder.first_difference(one, {**one, "title": "another", "tables": ()}) is None
    assert folder.first_difference(one, {**one, "seed": 1}) == ("seed", 0, 1)


def test_the_data_lies_where_said_or_else_where_the_run_began(tmp_path: Path) -> None:
    assert folder.data_folder(tmp_path, None) is None
    recipe = files.recipe(NAME, scale="smoke")
    folder.open_folder(recipe, tmp_path, device=torch.device("cpu"), data_dir="/sets")
    assert folder.data_folder(tmp_path, None) == Path("/sets")
    assert folder.data_folder(tmp_path, "/others") == Path("/others")
    (tmp_path / "environment.json").write_text("[1", encoding="utf-8")
    assert folder.data_folder(tmp_path, None) is None


def test_the_same_recipe_may_come_again_and_another_may_not(tmp_path: Path) -> None:
    recipe = files.recipe(NAME, scale="smoke")
    for _ in range(2):
        folder.open_folder(recipe, tmp_path, device=torch.device("cpu"), data_dir=None)
    other = files.recipe(NAME, scale="smoke", seed=1)
    with pytest.raises(InputError, match="`seed` is 0 there and 1 here"):
        folder.open_folder(other, tmp_path, device=torch.device("cpu"), data_dir=None)
    assert files.read(tmp_path / "recipe.yaml") == recipe
