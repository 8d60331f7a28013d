"""Any attack on pictures of 8 bits: what counts is what the model says of the rounded pixels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import catalog
import laws
import nets
from vicinal._checks import InputError
from vicinal.attacks import CWL2, FGSM, PGD, Rounded, Transfer
from vicinal.evaluation.threat import threat_of
from vicinal.gradients import clean_logits
from vicinal.maths.balls import to_levels

OTHERS = [e for e in catalog.ATTACKS if not isinstance(e.instance, Rounded)]


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def batch(n: int = 30) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    return torch.rand(n, 3, 4, 4, generator=g, dtype=torch.float64), torch.arange(n) % 5


@pytest.mark.parametrize("entry", OTHERS)
def test_every_attack_is_judged_on_its_8_bit_rounding(entry: catalog.AttackEntry) -> None:
    x, y = batch()
    x = (x * 255).round() / 255
    model = laws.Counting(nets.smooth_net())
    plain = entry.instance(model, x, y, rng=seeded())
    before = model.forwards, model.backwards
    result = Rounded(attack=entry.instance)(model, x, y, rng=seeded())
    levels = (255 * result.adv).round()
    assert torch.equal(result.adv, levels / 255)
    threat = threat_of(entry.instance)
    assert threat is not None
    eps = torch.tensor(threat.eps)
    ball: Any = {"eps": eps if eps.ndim else eps.item(), "norm": entry.norm}
    assert torch.equal(result.adv, to_levels(plain.adv, x, **ball))
    assert bool((result.norms <= eps.max() + 1e-6).all())
    assert torch.equal(result.success, clean_logits(model.net, result.adv).argmax(dim=1) != y)
    delta = (result.adv - x).flatten(1)
    size = delta.abs().amax(dim=1) if entry.norm == "linf" else delta.norm(dim=1)
    torch.testing.assert_close(result.norms, size)
    assert result.passes == (plain.passes.forward + 1, plain.passes.backward)
    spent = model.forwards - before[0], model.backwards - before[1]
    if not isinstance(entry.instance, Transfer):
        assert result.image_passes == spent == (before[0] + len(x), before[1])


def test_an_error_that_rounding_undoes_is_none() -> None:
    """The border lies half a level from the image: every attack crosses it, no picture does."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2)).double()
    layer = model[1]
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        layer.bias.copy_(torch.tensor([1.0, -1.0]) * 100.3 / 255)
    x, y = torch.full((2, 1, 1, 1), 100 / 255, dtype=torch.float64), torch.zeros(2).long()
    attack = FGSM(eps=0.4 / 255, target=torch.ones(2).long())
    assert bool(attack(model, x, y).success.all())
    result = Rounded(attack=attack)(model, x, y)
    assert not bool(result.success.any())
    assert result.target_hit is not None
    assert not bool(result.target_hit.any())
    assert torch.allclose(result.adv, x)


def test_the_norm_is_the_attacks_own_or_the_one_that_is_given() -> None:
    x, y = batch(4)
    model = nets.smooth_net()
    deep = Rounded(attack=Transfer(source=model, attack=CWL2(steps=3, search_steps=2)))
    for attack, norm in (
        (Rounded(attack=FGSM(eps=0.1)), "linf"),
        (Rounded(attack=CWL2(steps=3, search_steps=2)), "l2"),
        (deep, "l2"),
        (Rounded(attack=PGD(eps=0.1, step_size=0.1, steps=1), norm="l2"), "l2"),
    ):
        result = attack(model, x, y)
        delta = (result.adv - x).flatten(1)
        size = delta.abs().amax(dim=1) if norm == "linf" else delta.norm(dim=1)
        torch.testing.assert_close(result.norms, size)
    options: Any = {"norm": "l1"}
    with pytest.raises(InputError, match="`norm`"):
        Rounded(attack=FGSM(eps=0.1), **options)
