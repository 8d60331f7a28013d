"""Sizes of data sets without their data, and made-up images."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

import layouts
from vicinal import data
from vicinal._checks import InputError
from vicinal.recipes import files
from vicinal.recipes.forecast_data import (
    _PUBLISHED,
    absence,
    images_of,
    made_up,
    sizes_of,
    untrained,
)
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


def _mnist(folder: Path, inside: str) -> None:
    (folder / inside).mkdir(parents=True, exist_ok=True)
    spelt = "t10k-labels-idx1-ubyte" if inside else "train-images.idx3-ubyte.gz"
    (folder / inside / spelt).touch()


def _empty(folder: Path, inside: str) -> None:
    (folder / inside).mkdir(parents=True)


MADE: dict[str, list[Callable[[Path], object]]] = {
    "cifar10": [
        partial(layouts.cifar_npz, images=2),
        partial(_empty, inside="cifar-10-batches-py"),
        partial(_empty, inside="cifar-10-batches-bin"),
    ],
    "cifar100": [
        partial(_empty, inside="cifar-100-python"),
        partial(_empty, inside="cifar-100-binary"),
        lambda root: (root / "cifar100.npz").touch(),
    ],
    "svhn": [layouts.svhn, lambda root: layouts.svhn(root / "svhn")],
    "mnist": [partial(_mnist, inside=name) for name in ("mnist", "MNIST/raw", "")],
    "fashion-mnist": [
        partial(_mnist, inside=name) for name in ("fashion-mnist", "FashionMNIST/raw", "")
    ],
    "tiny-imagenet": [layouts.tiny_imagenet],
    "tiny-imagenet-30": [partial(_empty, inside="tiny_imagenet_30")],
    "imagenet": [partial(_empty, inside=name) for name in ("train", "imagenet/train")],
    "imagenet-100": [
        layouts.imagenet_100,
        partial(_empty, inside="train"),
        partial(_empty, inside="imagenet/train"),
    ],
}


def found_by_the_reader(name: str, folder: Path) -> bool:
    try:
        (data.load_folder if name in data.FOLDERS else data.load)(name, folder)
    except data.MissingData:
        return False
    except InputError:  # there, and no whole set
        return True
    return True


@pytest.mark.parametrize("name", sorted(_PUBLISHED))
def test_a_set_is_absent_just_where_its_reader_misses_it(name: str, tmp_path: Path) -> None:
    for k, make in enumerate(MADE[name]):
        folder = tmp_path / str(k)
        folder.mkdir()
        assert not found_by_the_reader(name, folder)
        told = absence(_recipe(name), folder)
        assert told == f"`data_dir` must hold {name}; {folder} does not."
        make(folder)
        assert found_by_the_reader(name, folder)
        assert absence(_recipe(name), folder) is None


def test_other_files_a_file_and_no_folder_hold_no_set(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").touch()
    (tmp_path / "notes.txt").touch()
    nowhere = tmp_path / "nowhere"
    assert all(absence(_recipe(name), tmp_path) for name in _PUBLISHED)
    told = absence(_recipe("cifar10"), nowhere)
    assert told == f"`data_dir` must hold cifar10; {nowhere} does not exist."
    told = absence(_recipe("cifar10"), tmp_path / "notes.txt")
    assert told == f"`data_dir` must hold cifar10; {tmp_path / 'notes.txt'} is a file."


def test_sets_that_are_counted_are_not_looked_for_twice(tmp_path: Path) -> None:
    for name in ("digits", "npz", "image-folder"):
        assert absence(_recipe(name), tmp_path) is None


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
