"""A run judged: the counts are those of a hand-written loop, the records say which model it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vicinal import attacks, data, objectives, records
from vicinal._checks import InputError
from vicinal.recipes import judge, run

NAME = "alps/cifar10-preactresnet18"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("run")
    few = {"epochs": 2, "train_subset": 400, "model.width": 4, "evaluation.batch_size": 64}
    return run.train(NAME, method="erm", scale="smoke", overrides=few, run_dir=path).path


def _error(folder: Path, attack: attacks.FGSM | None, n: int) -> float:
    net, test = run.load(folder), data.load("digits").test
    x, y = test.x[:n].float() / 255, test.y[:n]
    x = x if attack is None else attack(net, x, y).adv
    with torch.no_grad():
        return float((net(x).argmax(dim=1) != y).float().mean())


def test_clean_error_is_over_all_images_and_attacks_over_the_first_n(folder: Path) -> None:
    found = judge.evaluate_run(
        folder, attacks=["fgsm", "pgd(eps=0.1, step_size=0.05, steps=2)"], n=100
    )
    by_name = {record["attack"]: record for record in found}
    assert list(by_name)[:3] == ["clean", "fgsm(eps=0.1)", "pgd(eps=0.1, step_size=0.05, steps=2)"]
    assert (by_name["clean"]["n"], by_name["fgsm(eps=0.1)"]["n"]) == (500, 100)
    assert by_name["clean"]["error"] == pytest.approx(_error(folder, None, 500), abs=1e-6)
    fgsm = attacks.FGSM(eps=0.1)
    assert by_name["fgsm(eps=0.1)"]["error"] == pytest.approx(_error(folder, fgsm, 100), abs=1e-6)


def test_records_say_which_model_and_are_appended(folder: Path) -> None:
    file = folder / "results.jsonl"
    before = len(records.read(file))
    found = judge.evaluate_run(folder, attacks=["fgsm"], n=10, seed=4)
    kept = records.read(file)[before:]
    assert [record["attack"] for record in kept] == [record["attack"] for record in found]
    for record in kept:
        facts = {name: record[name] for name in ("recipe", "method", "scale", "train_seed", "seed")}
        assert facts == {
            "recipe": NAME,
            "method": "erm",
            "scale": "smoke",
            "train_seed": 0,
            "seed": 4,
        }


def test_a_recipes_radius_in_linf_is_no_radius_in_l2(folder: Path) -> None:
    with pytest.raises(InputError, match="must be given its own eps: it searches in l2"):
        judge.evaluate_run(folder, attacks=["apgd(norm=l2)"], n=10)
    with pytest.raises(InputError, match="must be given its own step_size: it searches in l2"):
        judge.attacks_of(folder, ["pgd(norm=l2, eps=0.5)"])
    (attack,) = judge.attacks_of(folder, ["pgd(norm=l2, eps=0.5, step_size=0.1)"]).values()
    assert attack == attacks.PGD(eps=0.5, step_size=0.1, steps=10, norm="l2")


def test_the_seed_governs_random_starts(folder: Path) -> None:
    def correct(seed: int) -> list[int]:
        text = "pgd(eps=0.1, step_size=0.001, steps=1, iterate=last)"
        found = judge.evaluate_run(folder, attacks=[text], seed=seed)
        return [record["correct"] for record in found]

    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert correct(1) == correct(1)
    assert len({tuple(correct(seed)) for seed in range(6)}) > 1
    assert torch.equal(torch.get_rng_state(), before)


def test_the_recipe_says_how_many_are_attacked_where_nobody_else_does(tmp_path: Path) -> None:
    few = {"epochs": 1, "train_subset": 100, "model.width": 4, "evaluation.attack_subset": 20}
    run.train(NAME, method="erm", scale="smoke", overrides=few, run_dir=tmp_path)
    found = judge.evaluate_run(tmp_path, attacks=["fgsm"])
    assert [record["n"] for record in found] == [500, 20]


def test_a_transfer_from_another_run(folder: Path) -> None:
    text = f"transfer(source={str(folder)!r}, attack=fgsm)"
    found = judge.evaluate_run(folder, attacks=[text, "fgsm"], n=50)
    named = found[1]["attack"]
    assert named == f"transfer(source={str(folder)!r}, attack=fgsm(eps=0.1))"
    assert found[1]["correct"] == found[2]["correct"]


def test_mistakes_are_found_before_anything_is_computed(folder: Path, tmp_path: Path) -> None:
    before = (folder / "results.jsonl").read_bytes()
    with pytest.raises(InputError, match=r"Did you mean 8/255\?|did you mean 8/255\?"):
        judge.evaluate_run(folder, attacks=["fgsm(eps=8)"])
    with pytest.raises(InputError, match="is no run folder"):
        judge.evaluate_run(tmp_path)
    with pytest.raises(InputError, match="is no run folder"):
        judge.evaluate_run(folder, attacks=[f"transfer(source={str(tmp_path)!r}, attack=fgsm)"])
    assert (folder / "results.jsonl").read_bytes() == before


def test_records_say_the_objective(folder: Path) -> None:
    (found,) = judge.evaluate_run(folder, n=5)[:1]
    assert found["objective"] == repr(objectives.ERM())
