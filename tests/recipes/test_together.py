from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from vicinal import data, engine, evaluation
from vicinal._checks import InputError
from vicinal.attacks import PGD
from vicinal.recipes import files, folder, loading, together, train

ATTACKS = {"pgd": PGD(eps=0.1, step_size=0.05, steps=2)}


def loader(n: int = 9) -> data.Loader:
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (n, 1, 4, 4), dtype=torch.uint8, generator=rng)
    return data.Loader(data.Split(x=x, y=torch.arange(n) % 3), batch_size=4)


def net() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))


def as_if(rank: int, world: int) -> Callable[[], engine.Processes]:
    return lambda: engine.Processes(rank=rank, world=world)


def test_alone_it_is_the_plain_evaluation() -> None:
    found = together.evaluate(net(), loader(), attacks=ATTACKS, keys=(4, "evaluation"))
    rng = engine.generator(4, "evaluation")
    expected = evaluation.evaluate(net(), loader(), attacks=ATTACKS, rng=rng)
    for name in ("clean", "pgd"):
        one, other = found.verdicts[name], expected.verdicts[name]
        assert torch.equal(one.correct, other.correct)
        assert torch.equal(one.norms, other.norms)


def test_more_processes_than_images_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "processes", as_if(0, 10))
    with pytest.raises(InputError, match=r"^there must be an image for each of the 10 processes"):
        together.evaluate(net(), loader(), keys=(0,))


@pytest.mark.parametrize(
    ("images", "world", "sizes"),
    [(100, 2, [64, 36]), (67, 2, [64, 3]), (66, 3, [64, 2]), (65, 3, [64]), (65, 1, [64])],
)
def test_the_batches_of_an_epoch_are_those_of_one_process(
    images: int, world: int, sizes: list[int]
) -> None:
    recipe = files.recipe("alps/cifar10-vgg16", scale="smoke", overrides={"train_subset": images})
    opened = loading.open_images(recipe, None)
    for rank in range(world):
        found = loading.training_loader(recipe, opened, torch.device("cpu"), rank=rank, world=world)
        assert found.sizes == sizes


@pytest.mark.parametrize(
    ("scope", "words"), [("local", "among a process's own rows"), ("global", "in the whole batch")]
)
def test_the_first_process_says_where_partners_come_from(
    scope: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    recipe = files.recipe("alps/cifar10-vgg16", scale="smoke", overrides={"mix_scope": scope})
    for rank in (0, 1):
        monkeypatch.setattr(engine, "processes", as_if(rank, 2))
        with caplog.at_level(logging.WARNING, logger="vicinal"):
            folder.tell_processes(recipe, tmp_path)
    assert [words in record.getMessage() for record in caplog.records] == [False, True]
    assert "began with 1 processes; 2 go on" in caplog.text


def test_synchronised_batchnorm_is_refused_on_the_cpu_and_leaves_no_folder(tmp_path: Path) -> None:
    few = {"sync_batchnorm": True, "train_subset": 100, "epochs": 1}
    with pytest.raises(InputError, match=r"^`sync_batchnorm` needs CUDA[^\n]*$"):
        train(
            "alps/cifar10-vgg16",
            scale="smoke",
            overrides=few,
            run_dir=tmp_path / "run",
            device="cpu",
        )
    assert not (tmp_path / "run").exists()
