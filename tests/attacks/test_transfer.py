"""Transfer: what was made on the source, all of it, judged on the victim."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nets
from counting import Counted
from vicinal._checks import InputError
from vicinal._typing import Attack
from vicinal.attacks import FGSM, PGD, Rounded, Transfer
from vicinal.gradients import clean_logits


def _other(trained: nn.Module) -> nn.Module:
    """A victim that is neither the source nor unrelated to it."""
    g = torch.Generator().manual_seed(0)
    for weight in trained.parameters():
        weight.data += 0.1 * weight.data.std() * torch.randn(weight.shape, generator=g)
    return trained


@pytest.fixture
def victim(trained: nn.Module) -> nn.Module:
    return _other(trained)


@pytest.fixture
def source(_trained: nn.Module) -> nn.Module:
    return _trained


ATTACKS: list[Attack] = [
    FGSM(eps=0.1),
    PGD(eps=0.1, step_size=0.025, steps=5, target="random"),
    PGD(eps=0.5, step_size=0.2, steps=5, norm="l2", iterate="last"),
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_is_the_sources_examples_on_the_victim(
    source: nn.Module, victim: nn.Module, digits: tuple[Tensor, Tensor], attack: Attack
) -> None:
    x, y = digits
    rng = torch.Generator
    made = attack(source, x, y, rng=rng().manual_seed(0))
    result = Transfer(source=source, attack=attack)(victim, x, y, rng=rng().manual_seed(0))
    assert torch.equal(result.adv, made.adv)
    assert torch.equal(result.norms, made.norms)
    assert torch.equal(result.success, clean_logits(victim, made.adv).argmax(dim=1) != y)
    assert not torch.equal(result.success, made.success)
    failed = ~made.success
    assert bool(failed.any())
    assert bool((result.adv[failed] != x[failed]).flatten(1).any(dim=1).all())


def test_a_model_transfers_to_itself(source: nn.Module, digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits
    direct = FGSM(eps=0.1)(source, x, y)
    assert torch.equal(
        Transfer(source=source, attack=FGSM(eps=0.1))(source, x, y).success, direct.success
    )


def test_passes_are_the_sources_and_one_of_the_victim() -> None:
    models = [Counted(nn.Sequential(nn.Flatten(), nn.Linear(8, 3))) for _ in range(2)]
    attack = PGD(eps=0.1, step_size=0.05, steps=3, restarts=2)
    x, y = torch.rand(5, 2, 2, 2), torch.zeros(5).long()
    result = Transfer(source=models[0], attack=attack)(models[1], x, y)
    assert result.passes == (9, 6)
    assert (models[0].forward_images, models[0].backward_images) == (40, 30)
    assert (models[1].forward_images, models[1].backward_images) == (5, 0)


@pytest.mark.parametrize("whole", [Transfer, lambda **w: Rounded(attack=Transfer(**w))])
def test_what_is_spent_is_what_both_models_count(whole: Any) -> None:
    """Images that leave the attack on the source cost nothing there any more."""
    source, victim = (Counted(nets.smooth_net()) for _ in range(2))
    attack = PGD(eps=0.1, step_size=0.05, steps=6, compact_every=2)
    x = torch.rand(7, 3, 4, 4, dtype=torch.float64)
    result = whole(source=source, attack=attack)(victim, x, torch.arange(7) % 5)
    counted = source.forward_images + victim.forward_images, source.backward_images
    assert result.image_passes == counted
    assert result.image_passes.backward < 7 * result.passes.backward


def test_labels_must_fit_the_victim_too() -> None:
    source, victim = (nn.Sequential(nn.Flatten(), nn.Linear(8, k)) for k in (4, 3))
    x, y = torch.rand(2, 2, 2, 2), torch.tensor([0, 3])
    with pytest.raises(InputError, match=r"classes in 0\.\.2 .*got 3"):
        Transfer(source=source, attack=FGSM(eps=0.1))(victim, x, y)


def test_its_name_is_short() -> None:
    """The name stands in a table; a network's own text would fill the page."""
    transfer = Transfer(source=nn.Linear(2, 2), attack=FGSM(eps=0.1))
    assert repr(transfer) == "Transfer(attack=FGSM(eps=0.1, loss='ce', target=None))"
