"""The transfer matrix: the single transfers, cell by cell, with every image in it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import laws
import nets
from vicinal._checks import InputError
from vicinal.attacks import FGSM, PGD, Transfer, TransferMatrix, transfer_matrix
from vicinal.gradients import clean_logits


def test_every_cell_is_the_transfer_of_its_pair() -> None:
    models = {name: nets.smooth_net(seed=seed) for seed, name in enumerate("abc")}
    x = torch.rand(20, nets.CHANNELS, nets.SIDE, nets.SIDE, dtype=torch.float64)
    y = clean_logits(models["a"], x).argmax(dim=1)
    attack = FGSM(eps=0.02)
    sources = {name: models[name] for name in "ab"}
    found = transfer_matrix(attack, x, y, sources=sources, victims=models)
    assert found.correct.shape == (2, 3, 20)
    for i, source in enumerate(sources.values()):
        assert int(found.failed[i]) == int((~attack(source, x, y).success).sum())
        for j, victim in enumerate(models.values()):
            single = Transfer(source=source, attack=attack)(victim, x, y)
            assert torch.equal(found.correct[i, j], ~single.success)
    assert bool(found.clean[0].all())
    assert int(found.failed[0]) > 0  # failed examples are in the table, not left out
    text = str(found)
    assert f"{100 * float(found.accuracy[1, 2]):.2f}" in text
    assert f"{int(found.failed[0])} of 20" in text
    assert len(text.splitlines()) == 4


def test_the_generator_rules() -> None:
    model = nets.smooth_net()
    x, y = torch.rand(5, 3, 4, 4, dtype=torch.float64), torch.arange(5)
    attack = PGD(eps=0.1, step_size=0.05, steps=2)
    one, same = (
        transfer_matrix(
            attack,
            x,
            y,
            sources={"m": model},
            victims={"m": model},
            rng=torch.Generator().manual_seed(0),
        ).correct
        for _ in range(2)
    )
    assert torch.equal(one, same)


class Swayed(torch.nn.Module):
    """Names another class under autocast."""

    def forward(self, x: Tensor) -> Tensor:
        z = x.flatten(1)[:, :5]
        return z.roll(1, dims=1) if torch.is_autocast_enabled("cpu") else z


def test_the_callers_autocast_changes_no_cell() -> None:
    x, y = torch.rand(20, 3, 4, 4), torch.arange(20) % 5
    model = Swayed()

    def table() -> TransferMatrix:
        return transfer_matrix(FGSM(eps=0.01), x, y, sources={"m": model}, victims={"m": model})

    plain = table()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = table()
    assert torch.equal(inside.correct, plain.correct)
    assert torch.equal(inside.clean, plain.clean)


def test_an_empty_side_is_refused() -> None:
    model = nets.smooth_net()
    x, y = torch.rand(5, 3, 4, 4), torch.arange(5)
    with pytest.raises(InputError, match="`victims`"):
        transfer_matrix(FGSM(eps=0.1), x, y, sources={"m": model}, victims={})


def test_what_does_not_fit_is_refused_in_a_sentence() -> None:
    nets_by_name, attack = {"m": nets.smooth_net(dtype=torch.float32)}, FGSM(eps=0.1)
    x, y = torch.rand(5, 3, 4, 4), torch.arange(5)
    wrong: list[tuple[Any, Any, Any, str]] = [
        (x, y, list(nets_by_name.values()), "`victims` must be models by name"),
        (x, y.tolist(), nets_by_name, "`y` must be classes"),
        (x, y[:3], nets_by_name, "`y` must be classes"),
        (x.flatten(1), y, nets_by_name, "`x` must be images"),
    ]
    for images, classes, victims, sentence in wrong:
        with pytest.raises(InputError, match=sentence) as error:
            transfer_matrix(attack, images, classes, sources=nets_by_name, victims=victims)
        laws.assert_one_line(error.value)
