"""What runs is told on stderr, and stdout stays clean."""

from __future__ import annotations

import pytest

from vicinal.recipes import files
from vicinal.recipes.progress import counting, training_bar


def test_a_training_tells_what_it_trains_and_how_far(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = files.recipe("alps/cifar10-vgg16", scale="smoke", seed=3, overrides={"epochs": 4})
    with training_bar(recipe, done=1) as bar:
        bar.step(1, 2)
        bar.epoch({"epoch": 2, "loss": 0.5})
        bar.epoch({"epoch": 4, "loss": 0.25})
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "training alps/cifar10-vgg16, alps, smoke, seed 3: digits_net on digits" in shown.err
    assert "loss 0.2500" in shown.err


def test_every_attack_has_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with counting(10) as report:
        report("fgsm(eps=0.1)", 10)
        report("pgd(eps=[0.1, 0.2])", 5)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "fgsm" in shown.err
    assert "pgd" in shown.err
