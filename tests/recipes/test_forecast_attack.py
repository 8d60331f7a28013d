"""What an evaluation would cost: passes as a real one counts them, and a bounded time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vicinal import attacks
from vicinal._checks import InputError
from vicinal._typing import Attack, Model
from vicinal.attacks.result import Result
from vicinal.recipes import judge, run
from vicinal.recipes.forecast_attack import forecast_attack, forecast_evaluation
from vicinal.recipes.forecast_data import Sizes

NAME = "alps/cifar10-preactresnet18"
SIZES = Sizes(shape=(1, 8, 8), num_classes=3, train=9, test=70, streams=False, source="made up")


def _net() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("run")
    few = {"epochs": 1, "train_subset": 200, "model.width": 4, "evaluation.attack_subset": 60}
    return run.train(NAME, method="erm", scale="smoke", overrides=few, run_dir=path).path


def test_passes_are_those_of_the_real_evaluation_and_nothing_is_written(folder: Path) -> None:
    texts = ["fgsm", "pgd(steps=3, restarts=2)", f"transfer(source={str(folder)!r}, attack=fgsm)"]
    before = {file: file.read_bytes() for file in folder.iterdir()}
    found = forecast_evaluation(folder, attacks=texts, seconds=60.0)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    real = {record["attack"]: record for record in judge.evaluate_run(folder, attacks=texts)}
    assert [each.attack for each in found] == [name for name in real if name != "worst case"]
    for each in found:
        record = real[each.attack]
        told = each.record
        assert (told["n"], told["forward"]) == (record["n"], record["forward"])
        assert told["backward"] == record["backward"]


def test_n_is_the_users_and_never_more_than_there_are(folder: Path) -> None:
    assert [each.n for each in forecast_evaluation(folder, attacks=["fgsm"], n=7)] == [500, 7]
    many = forecast_evaluation(folder, attacks=["fgsm"], n=9999, seconds=60.0)
    assert many[1].n == 500


def test_mistakes_are_those_of_the_evaluation(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean fgsm"):
        forecast_evaluation(folder, attacks=["fgms"])
    with pytest.raises(InputError, match="is no run folder"):
        forecast_evaluation(tmp_path, attacks=[])


def test_memory_of_a_known_net() -> None:
    """Kept for the images' gradient: tanh's output alone, for the weights are held still."""
    pgd = attacks.PGD(eps=0.1, step_size=0.1, steps=3)
    found = forecast_attack("pgd", pgd, _net(), SIZES, n=60, batch_size=50, seconds=60.0)
    per_image = found.memory.activations / 50
    assert 4 * 5 <= per_image <= 4 * 5 + 4 * 3 * 4  # and the loss's few numbers per class
    half = forecast_attack("pgd", pgd, _net(), SIZES, n=60, batch_size=25, seconds=60.0)
    assert found.memory.activations == pytest.approx(2 * half.memory.activations, abs=8)
    few = forecast_attack("pgd", pgd, _net(), SIZES, n=25, batch_size=50, seconds=60.0)
    assert few.memory.activations == half.memory.activations
    assert found.memory.parameters == 4 * (64 * 5 + 5 + 5 * 3 + 3)
    assert found.memory.data == 70 * (64 + 8)
    clean = forecast_attack("clean", None, _net(), SIZES, n=70, batch_size=50, seconds=60.0)
    assert (clean.forward, clean.backward, clean.memory.activations) == (1.0, 0.0, 0)


class Endless:
    """An attack that never ends."""

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        while True:
            model(x)


def test_an_attack_that_does_not_end_is_broken_off_and_said_to_be_open() -> None:
    net, endless = _net(), Endless()
    attack: Attack = endless
    found = forecast_attack("endless", attack, net, SIZES, n=60, batch_size=50, seconds=0.1)
    assert (found.forward, found.backward, found.seconds) == (None, None, None)
    assert found.record["forward"] is None
    assert found.timed == "not through after 0 s"
    assert not net._forward_pre_hooks


def test_the_model_and_the_generators_are_left_alone() -> None:
    net = _net().train()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    pgd = attacks.PGD(eps=0.1, step_size=0.1, steps=2)
    forecast_attack("pgd", pgd, net, SIZES, n=60, batch_size=50, seconds=60.0)
    assert torch.equal(torch.get_rng_state(), before)
    assert net.training
    assert all(weight.requires_grad and weight.grad is None for weight in net.parameters())
