"""The data of a recipe: who is trained on, who is held out, and what the model is told."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import layouts
from vicinal import data
from vicinal._checks import InputError
from vicinal.recipes import files, loading
from vicinal.recipes.schema import Recipe

CPU = torch.device("cpu")
NAME = "alps/cifar10-vgg16"


def recipe(**fields: Any) -> Recipe:
    overrides = {name.replace("__", "."): value for name, value in fields.items()}
    seed = overrides.pop("seed", 0)
    return files.recipe(NAME, method="erm", scale="smoke", seed=seed, overrides=overrides)


def numbered(counts: list[int]) -> data.ImageSet:
    """Images that are all different: image i holds i in its two pixels, base 256."""
    y = torch.tensor([label for label, n in enumerate(counts) for _ in range(n)])
    y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(1))]
    i = torch.arange(len(y))
    x = torch.stack([i // 256, i % 256], dim=1).to(torch.uint8).view(-1, 1, 1, 2)
    whole = data.Split(x=x, y=y)
    return data.ImageSet(name="numbered", train=whole, test=whole, num_classes=len(counts))


def places(split: loading.Piece | None) -> list[int]:
    assert isinstance(split, data.Split)
    return [256 * high + low for high, low in split.x.flatten(1).tolist()]


def classes(split: loading.Piece | None, k: int) -> list[int]:
    assert split is not None
    return split.y.bincount(minlength=k).tolist()


def test_without_either_field_the_training_split_itself_is_trained_on() -> None:
    images = numbered([3, 4])
    train, held = loading.splits(recipe(), images)
    assert train is images.train
    assert held is None


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(4, 30), min_size=2, max_size=6),
    share=st.floats(0.1, 1),
    held_share=st.floats(0.05, 0.9),
    seed=st.integers(0, 5),
)
def test_held_out_images_are_never_trained_on_and_none_is_lost(
    counts: list[int], share: float, held_share: float, seed: int
) -> None:
    images, k = numbered(counts), len(counts)
    subset = max(k, int(share * min(counts)) * k)
    n = max(1, int(held_share * sum(counts)))
    plain, _ = loading.splits(recipe(train_subset=subset), images)
    train, held = loading.splits(recipe(train_subset=subset, validation=n, seed=seed), images)
    trained, kept = places(train), places(held)
    assert not set(trained) & set(kept)
    assert (len(set(kept)), len(kept)) == (n, n)
    assert set(trained) <= set(places(plain))
    assert len(trained) == min(subset, sum(counts) - n)
    if n <= sum(counts) - subset:
        assert trained == places(plain)


def test_of_all_images_equally_many_of_every_class_are_held_out() -> None:
    train, held = loading.splits(recipe(validation=20), numbered([50, 50, 50, 50]))
    assert classes(held, 4) == [5, 5, 5, 5]
    assert classes(train, 4) == [45, 45, 45, 45]


def test_a_class_with_few_images_gives_what_it_has() -> None:
    images = numbered([2, 50, 50])
    _, held = loading.splits(recipe(validation=32), images)
    assert classes(held, 3) == [2, 15, 15]


def test_the_seed_chooses_who_is_held_out_but_not_the_subset() -> None:
    images, few = numbered([50, 50]), {"train_subset": 20, "validation": 10}
    one, again, other = (loading.splits(recipe(**few, seed=seed), images) for seed in (0, 0, 1))
    assert [places(part) for part in one] == [places(part) for part in again]
    assert places(one[0]) == places(other[0])
    assert places(one[1]) != places(other[1])


def test_the_choice_is_the_same_for_a_split_in_files(tmp_path: Path) -> None:
    layouts.class_tree(tmp_path, ["a", "b"], side=8, train=9, test=1)
    folder = data.load_folder("image-folder", tmp_path)
    y = folder.train.y
    x = torch.arange(len(y), dtype=torch.uint8).view(-1, 1, 1, 1)
    memory = data.Split(x=x, y=y)
    images = data.ImageSet(name="same", train=memory, test=memory, num_classes=2)
    chosen = recipe(train_subset=8, validation=4)
    for ours, theirs in zip(
        loading.splits(chosen, folder), loading.splits(chosen, images), strict=True
    ):
        assert isinstance(ours, data.FileSplit)
        assert isinstance(theirs, data.Split)
        assert ours.names == tuple(folder.train.names[i] for i in theirs.x.flatten().tolist())


def test_more_than_there_are_is_one_sentence() -> None:
    images = numbered([5, 5])
    with pytest.raises(InputError, match=r"^`validation` must leave .* 10 training .*; got 10\.$"):
        loading.splits(recipe(validation=10), images)
    with pytest.raises(InputError, match=r"^`train_subset` must be at most"):
        loading.splits(recipe(train_subset=11), images)


def test_the_statistics_stay_those_of_all_training_images() -> None:
    images = numbered([50, 50])
    whole = loading.with_data(recipe(), images).model.arguments
    some = loading.with_data(recipe(train_subset=10, validation=10), images).model.arguments
    assert some == whole
    pixels = images.train.x.double() / 255
    assert whole["mean"] == pytest.approx([float(pixels.mean())])
    assert whole["std"] == pytest.approx([float(pixels.std(correction=0))])


def test_a_recipe_may_fix_mean_and_deviation() -> None:
    images = numbered([5, 5])
    fields = {"model__mean": [0], "model__std": [1]}
    known = loading.with_data(recipe(**fields), images).model.arguments
    assert (known["mean"], known["std"]) == ([0.0], [1.0])
    assert (known["num_classes"], known["in_channels"]) == (2, 1)
    data_s = loading.with_data(recipe(), images).model.arguments
    half = loading.with_data(recipe(model__mean=[0.25]), images).model.arguments
    assert (half["mean"], half["std"]) == ([0.25], data_s["std"])


def test_a_fixed_mean_spares_the_reading_of_the_images(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "1.png").touch()
    images = data.load_folder("image-folder", tmp_path)
    loading.with_data(recipe(model__mean=[0, 0, 0], model__std=[1, 1, 1]), images)
    with pytest.raises(InputError, match=r"cut short"):
        loading.with_data(recipe(), images)


def test_training_batches_are_those_of_the_split(tmp_path: Path) -> None:
    layouts.class_tree(tmp_path, ["a", "b"], side=12, train=5, test=1)
    fields = {"dataset": "image-folder", "augment__size": 8, "augment__flip": True, "workers": 0}
    chosen = recipe(**fields, batch_size=3, validation=2)
    images = loading.open_images(chosen, tmp_path)
    loader = loading.training_loader(chosen, images, CPU)
    assert isinstance(loader, data.FileLoader)
    assert (loader.workers, loader.flip, loader.batch_size) == (0, True, 3)
    assert loader.split.names == loading.splits(chosen, images)[0].names  # type: ignore[union-attr]
    shapes = [tuple(x.shape) for x, _ in loader.epoch(torch.Generator())]
    assert shapes == [(3, 3, 8, 8), (3, 3, 8, 8), (2, 3, 8, 8)]


@pytest.mark.parametrize(("n", "steps"), [(8, 2), (9, 2), (10, 3)])
def test_a_last_batch_of_one_image_is_left_out(n: int, steps: int) -> None:
    images = numbered([n - 4, 4])
    assert len(loading.training_loader(recipe(batch_size=4), images, CPU)) == steps


def test_validation_batches_are_all_held_out_images_in_order_and_untouched() -> None:
    images = numbered([30, 30])
    chosen = recipe(validation=20, evaluation__batch_size=8)
    loader = loading.validation_batches(chosen, images, CPU)
    _, held = loading.splits(chosen, images)
    for _ in range(2):
        x = torch.cat([x for x, _ in loader])
        assert x.mul(255).round().to(torch.uint8).equal(held.x)  # type: ignore[union-attr]
    assert [len(y) for _, y in loader] == [8, 8, 4]
    with pytest.raises(InputError, match="`validation` must say"):
        loading.validation_batches(recipe(), images, CPU)


def test_processes_share_every_batch() -> None:
    world = 2
    images, chosen = numbered([30, 31]), recipe(validation=20, batch_size=12)
    for make, one in (
        (loading.training_loader, lambda loader: loader.epoch(torch.Generator().manual_seed(0))),
        (loading.validation_batches, iter),
    ):
        whole = [y.tolist() for _, y in one(make(chosen, images, CPU))]
        parts = [
            [y.tolist() for _, y in one(make(chosen, images, CPU, rank=rank, world=world))]
            for rank in range(world)
        ]
        joined = [Counter(chain.from_iterable(rows)) for rows in zip(*parts, strict=True)]
        assert joined == [Counter(rows) for rows in whole]
