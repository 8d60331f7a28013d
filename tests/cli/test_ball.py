"""--eps and --norm: no attack searches in one norm with a radius that is one of another."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from vicinal._checks import InputError
from vicinal.attacks import CWL2, FGSM, PGD
from vicinal.cli import command, main
from vicinal.cli.ball import attacks_of, eps_of, threat_of
from vicinal.recipes import run

MODEL = ["--model", "vicinal.models:digits_net(width=4)", "--dataset", "digits"]
L2 = ["--norm", "l2", "--eps", "0.5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    few = {"epochs": 1, "train_subset": 100, "model.width": 4}
    path: Path = tmp_path_factory.mktemp("run")
    return run.train("alps/cifar10-vgg16", scale="smoke", overrides=few, run_dir=path).path


def _args(*words: str) -> Namespace:
    return command.parse(["evaluate", *words, "--device", "cpu"])


def _attack(*words: str) -> Any:
    (attack,) = attacks_of(_args(*words), device="cpu").values()
    return attack


@pytest.mark.parametrize("text", ["pgd", "pgd(norm=l2)", "rounded(attack=pgd)"])
@pytest.mark.parametrize("own", [True, False])
def test_an_attack_takes_radius_and_norm_together(folder: Path, text: str, own: bool) -> None:
    given = MODEL if own else [str(folder)]
    attack = _attack(*given, *L2, "--attack", text)
    pgd = getattr(attack, "attack", attack)
    assert isinstance(pgd, PGD)
    assert (pgd.eps, pgd.norm, pgd.step_size, pgd.steps) == (0.5, "l2", 0.125, 20)


def test_what_names_its_own_or_has_none_keeps_it(folder: Path) -> None:
    attack = _attack(str(folder), *L2, "--attack", "fgsm(eps=0.3)")
    assert attack == FGSM(eps=0.3)
    # Its steps are those of the recipe, which are in linf as it is.
    plain = _attack(str(folder), "--attack", "pgd(eps=0.3)")
    assert _attack(str(folder), *L2, "--attack", "pgd(eps=0.3)") == plain
    assert isinstance(_attack(str(folder), *L2, "--attack", "cw_l2"), CWL2)


def test_in_linf_the_radius_is_that_of_eps_or_of_the_recipe(folder: Path) -> None:
    recipe = _attack(str(folder), "--attack", "pgd")
    assert (recipe.eps, recipe.norm) == (0.1, "linf")
    given = _attack(str(folder), "--eps", "0.3", "--attack", "pgd")
    assert (given.eps, given.norm, given.step_size) == (0.3, "linf", 0.3 / 4)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--attack", "pgd(norm=l2)"], "searches in l2, and the radius at hand is one in linf"),
        (["--attack", "pgd(norm=l2, eps=0.5)"], "must be given its own step_size: it searches in"),
        (["--eps", "0.1", "--attack", "pgd(norm=l2)"], r"Did you mean --norm l2 with --eps\?"),
        ([*L2, "--attack", "fgsm"], r"'fgsm' must be given its eps: it searches in linf"),
        ([*L2, "--attack", "rounded(attack=fgsm)"], "must be given its eps"),
        ([*L2, "--attack", "pgd(norm=linf)"], "must be given its eps"),
        ([*L2, "--attack", "fgms"], r"Did you mean fgsm\?"),
    ],
)
def test_a_radius_of_another_norm_is_refused(folder: Path, words: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        attacks_of(_args(str(folder), *words), device="cpu")


@pytest.mark.parametrize(
    "more",
    [["--suite", "standard"], ["--verdict"], ["--attack", "pgd"], ["--dry-run"], []],
)
def test_a_norm_without_its_radius_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    assert main(["evaluate", str(folder), "--norm", "l2", *more]) == 2
    told = capsys.readouterr().err
    assert "--norm l2 must come with --eps" in told
    assert len(told.splitlines()) == 1


def test_the_threat_model_is_what_is_given() -> None:
    assert str(threat_of(_args(*MODEL, *L2))).startswith("l2 0.5")
    assert threat_of(_args(*MODEL)) is None
    assert eps_of(_args(*MODEL)) is None
