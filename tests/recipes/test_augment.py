"""What a recipe may say of its images' crops and views, for each kind of data set."""

from __future__ import annotations

from typing import Any

import pytest

from vicinal._checks import InputError
from vicinal.data import DATASETS, FOLDERS
from vicinal.recipes.augment import augment_of
from vicinal.recipes.files import recipe as named
from vicinal.recipes.schema import Augment, Recipe

BASE = named("alps/cifar10-preactresnet18")


def recipe(dataset: str, **fields: Any) -> Recipe:
    return BASE.model_copy(update={"dataset": dataset, "augment": Augment(**fields)})


@pytest.mark.parametrize("dataset", DATASETS)
def test_sets_in_memory_keep_their_augmentation(dataset: str) -> None:
    several: list[dict[str, Any]] = [{}, {"pad": 2}, {"pad": 0, "flip": False}]
    for fields in several:
        assert augment_of(recipe(dataset, **fields)) == Augment(**fields)


@pytest.mark.parametrize("dataset", FOLDERS)
def test_streamed_sets_have_their_view_written_down(dataset: str) -> None:
    found = augment_of(recipe(dataset, flip=False))
    view = "cropped" if dataset == "imagenet" else "resized"
    assert found.model_dump() == {"pad": 0, "flip": False, "size": 224, "view": view}
    # What a run folder says of itself must read back.
    assert augment_of(recipe(dataset, **found.model_dump())) == found


@pytest.mark.parametrize("dataset", FOLDERS)
def test_a_recipe_may_choose_size_and_view(dataset: str) -> None:
    found = augment_of(recipe(dataset, size=64, view="cropped"))
    assert (found.size, found.view, found.pad) == (64, "cropped", 0)


def test_what_does_not_fit_is_one_sentence() -> None:
    for dataset, fields, words in (
        ("image-folder", {"pad": 4}, r"^`augment\.pad` must be 0 for image-folder.*got 4\."),
        ("cifar10", {"size": 64}, r"^`augment\.size` must be left out for cifar10.*got 64\."),
        ("digits", {"view": "resized"}, r"^`augment\.view` must be left out for digits"),
        ("imagnet", {}, r"Did you mean imagenet\?"),
    ):
        with pytest.raises(InputError, match=words):
            augment_of(recipe(dataset, **fields))


def test_recipes_are_checked_when_they_are_resolved() -> None:
    with pytest.raises(InputError, match=r"augment\.pad"):
        named("alps/cifar10-vgg16", overrides={"dataset": "imagenet"})
    found = named("alps/cifar10-vgg16", overrides={"dataset": "imagenet", "augment.pad": 0})
    assert found.augment.size == 224
    assert found.model_dump()["augment"]["view"] == "cropped"
