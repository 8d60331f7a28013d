"""A step that does not fit: one sentence names the `accumulate` to try; nothing is retried."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from laws import assert_one_line
from vicinal.recipes import files, resolve, run
from vicinal.recipes.too_large import TooLarge, in_one_sentence

NAME = "alps/cifar10-preactresnet18"


@pytest.mark.parametrize(
    ("batch", "accumulate", "words"),
    [
        (128, 1, "`batch_size` 128 does not fit in memory; try accumulate=4: micro-batches of 32,"),
        (128, 4, "in 4 parts does not fit in memory; try accumulate=16: micro-batches of 8,"),
        (6, 1, "try accumulate=2: micro-batches of 3,"),
        (127, 1, "try accumulate=5: micro-batches of 26,"),
        (3, 1, "try a smaller net"),
        (128, 64, "try a smaller net"),
    ],
)
def test_the_sentence_names_what_to_try(batch: int, accumulate: int, words: str) -> None:
    fields = {"batch_size": batch, "accumulate": accumulate}
    recipe = files.recipe(NAME, overrides=fields)
    with pytest.raises(TooLarge) as found, in_one_sentence(recipe):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    assert_one_line(found.value, words)


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(RuntimeError, match="a wrong shape"), in_one_sentence(files.recipe(NAME)):
        raise RuntimeError("a wrong shape")


def test_a_training_that_runs_out_of_memory_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def full(*args: object, **kwargs: object) -> None:
        calls.append(args)
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(resolve, "objective", lambda recipe: full)
    few = {"epochs": 1, "train_subset": 200, "model.width": 4}
    with pytest.raises(TooLarge, match="`batch_size` 64 does not fit in memory; try accumulate=4"):
        run.train(NAME, scale="smoke", overrides=few, run_dir=tmp_path)
    assert len(calls) == 1
