"""The folder of a run; refusals of a folder are tested with `recipes.run`."""

from __future__ import annotations

import json
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


def _began(where: Path, **facts: object) -> None:
    (where / "environment.json").write_text(json.dumps(facts), encoding="utf-8")


def test_a_run_goes_on_with_its_threads_and_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _began(tmp_path, threads=3, device="cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert folder.recorded_threads(tmp_path) == 3
    assert folder.run_device(tmp_path, "auto").type == "cpu"
    assert folder.run_device(tmp_path, "cuda").type == "cuda"


def test_a_device_that_is_gone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _began(tmp_path, device="cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with caplog.at_level("WARNING"):
        assert folder.run_device(tmp_path, "auto").type == "cpu"
    assert "began on cuda, which is not here: cpu goes on" in caplog.text


@pytest.mark.parametrize("text", ["", "[]", '{"threads": true}', '{"threads": 0}'])
def test_what_is_not_recorded_is_not_known(tmp_path: Path, text: str) -> None:
    (tmp_path / "environment.json").write_text(text, encoding="utf-8")
    assert folder.recorded_threads(tmp_path) is None
    assert folder.data_folder(tmp_path, None) is None


def test_a_part_that_lacks_only_an_empty_field_hides_no_later_difference() -> None:
    ours = {"model": {"width": 4}, "seed": 0}
    theirs = {"model": {"width": 4, "mean": None}, "seed": 1}
    assert folder.first_difference(ours, theirs) == ("seed", 0, 1)
