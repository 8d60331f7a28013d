"""What a reader must know: stand-ins, sizes, budgets, what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from vicinal.campaigns.notes import notes
from vicinal.campaigns.plan import Request, make_plan
from vicinal.data import ImageSet, Split


def text(table: str, out: Path, **fields: Any) -> str:
    request = Request(table=table, **{"scale": "smoke", "seeds": (0,), "out": out, **fields})
    return "\n".join(notes(make_plan(request), {}))


def test_at_smoke_it_says_what_stands_in_for_what(tmp_path: Path) -> None:
    found = text("alps/table-2", tmp_path)
    assert "digits in place of CIFAR-10" in found
    assert "digits_net in place of PreActResNet18 and VGG16" in found


def test_attacks_are_written_out_with_their_budgets(tmp_path: Path) -> None:
    found = text("alps/table-6", tmp_path)
    assert "pgd(eps=0.1, step_size=0.025, steps=10, random_start=True, iterate=last)" in found
    assert "4/255" not in found
    assert "seed 1000" in found


def test_the_demo_is_no_stand_in(tmp_path: Path) -> None:
    assert "in place of" not in text("alps/demo", tmp_path)


def test_overrides_are_told(tmp_path: Path) -> None:
    assert "epochs = 1" in text("alps/demo", tmp_path, overrides={"epochs": 1})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("alps/table-1", "train_32x32.mat"),
        ("alps/table-4", "tiny-imagenet-200"),
        ("alps/table-3", "cifar100.npz"),
    ],
)
def test_missing_sets_are_told_with_what_is_needed(table: str, words: str, tmp_path: Path) -> None:
    assert words in text(table, tmp_path, scale="small")


def test_controls_are_explained(tmp_path: Path) -> None:
    assert "Controls" in text("alps/table-2", tmp_path, controls=True)
    assert "Controls" not in text("alps/table-2", tmp_path)


def test_a_smaller_training_is_told_for_nets_of_any_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A width is no number of channels everywhere: of a wide_resnet it is a factor."""
    split = Split(x=torch.randint(0, 256, (20, 3, 4, 4)).byte(), y=torch.arange(20) % 10)
    found = ImageSet(name="cifar10", train=split, test=split, num_classes=10)
    monkeypatch.setattr("vicinal.data.load", lambda *_, **__: found)
    told = text("alps/table-2", tmp_path, scale="small")
    assert "training images, width 16, " in told
    assert "base width" not in told


def test_failures_are_listed(tmp_path: Path) -> None:
    request = Request(table="alps/demo", scale="smoke", seeds=(0,), out=tmp_path)
    assert "Failed: train a: why." in notes(make_plan(request), {"train a": "why."})


def test_what_is_no_accuracy_and_the_sources_of_examples_are_told(tmp_path: Path) -> None:
    told = text("bat/table-2", tmp_path)
    assert "Not yet" not in told
    assert "gradient at a clean image, pixels scaled to [-1, 1]; in [0, 1] it is four " in told
    assert "digits: input gradients on all 500 test images" in told
    assert "clean error" not in told
    assert "Squared gradient" not in text("bat/table-1", tmp_path)
    told = text("m-tlat/table-1", tmp_path)
    assert "Not yet" not in told
    assert "Black-box from m-tlat/imagenet-100-vgg16: " in told
    assert "Corruptions: accuracy is the mean over the five severities" in told
    assert "the paper's ranges in equal steps" in told
    assert "Frost: its texture is computed" in told
    assert "corrupted(" not in told
    assert "Robustness score: " in told
    assert "Robustness score: " not in text("bat/table-1", tmp_path)
    assert "trained by erm, ls-0.8, ls-0.9 and pgd-10-2 with seed 1000" in text(
        "avmixup/table-2", tmp_path
    )


def test_a_cited_row_is_no_missing_recipe(tmp_path: Path) -> None:
    assert "No data" not in text("avmixup/table-3", tmp_path)
