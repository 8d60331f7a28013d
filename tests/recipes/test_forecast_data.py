"""Sizes of data sets without their data, and made-up images."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
import torch

from vicinal import data
from vicinal.recipes import files
from vicinal.recipes.forecast_data import _PUBLISHED, images_of, made_up, sizes_of, untrained
from vicinal.recipes.schema import Recipe

NAME = "alps/cifar10-preactresnet18"


def _recipe(dataset: str, **fields: object) -> Recipe:
    return files.recipe(NAME, method="erm").model_copy(update={"dataset": dataset, **fields})


def test_the_digits_are_counted() -> None:
    found = sizes_of(_recipe("digits"))
    assert (found.shape, found.num_classes, found.train, found.test) == ((1, 8, 8), 10, 1297, 500)
    assert (found.source, found.streams) == ("counted", False)


def test_every_set_is_published_or_ones_own() -> None:
    known = {*data.DATASETS, *data.FOLDERS}
    assert known - set(_PUBLISHED) == {"digits", "npz", "image-folder"}
    assert set(_PUBLISHED) <= known


def test_the_numbers_are_those_that_the_readers_expect() -> None:
    """Every pair of sizes that the data room calls published is in the table, and no other."""
    room = Path(inspect.getfile(data)).parent
    pairs = set()
    for file in room.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.keyword) or node.arg != "published":
                continue
            if isinstance(node.value, ast.Tuple):
                pairs.add(tuple(ast.literal_eval(node.value)))
    ours = {row[3:] for name, row in _PUBLISHED.items() if name != "imagenet-100"}
    assert pairs == ours


def test_a_set_of_ones_own_is_opened(tmp_path: Path) -> None:
    with pytest.raises(data.MissingData):
        sizes_of(_recipe("npz"))
    with pytest.raises(data.MissingData):
        sizes_of(_recipe("npz"), tmp_path)


def test_held_out_and_left_out_images_are_not_trained_on() -> None:
    sizes = sizes_of(_recipe("cifar10"))
    assert images_of(_recipe("cifar10"), sizes) == 50_000
    assert images_of(_recipe("cifar10", train_subset=100), sizes) == 100
    assert images_of(_recipe("cifar10", validation=5_000), sizes) == 45_000


def test_images_are_made_up_in_the_shape_of_the_set() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    sizes = sizes_of(_recipe("cifar100"))
    found = made_up(sizes, 12)
    assert (found.shape, found.num_classes, len(found.train)) == ((3, 32, 32), 100, 12)
    assert torch.equal(found.train.x, made_up(sizes, 12).train.x)
    told, net = untrained(_recipe("cifar100"), sizes, torch.device("cpu"))
    assert net(found.train.x[:2].float() / 255).shape == (2, 100)
    assert told.model.arguments["num_classes"] == 100
    assert torch.equal(torch.get_rng_state(), before)
