"""Any attack on pictures of 8 bits: what counts is what the model says of the rounded pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import catalog
import laws
import nets
from vicinal._checks import InputError
from vicinal.attacks import (
    APGD,
    CWL2,
    FAB,
    FGSM,
    PGD,
    AutoAttack,
    Result,
    Rounded,
    Square,
    Transfer,
)
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


LEVELS = 20
BALLS: dict[str, Any] = {
    "linf": {"eps": LEVELS / 255},
    "l2": {"eps": 0.6, "norm": "l2"},
}
SEARCHES: dict[str, Any] = {
    "apgd": lambda ball: APGD(**ball, steps=10, channels_last=True, folded=True),
    "fab": lambda ball: FAB(**ball, steps=10, targets=3),
    "square": lambda ball: Square(**ball, queries=100),
    "autoattack": lambda ball: AutoAttack(
        **ball,
        attacks={
            "apgd-ce": APGD(**ball, steps=5),
            "fab-t": FAB(**ball, steps=10, targets=3),
            "square": Square(**ball, queries=20),
        },
    ),
}


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("name", SEARCHES)
def test_pictures_in_float32_are_judged_again_and_stay_in_the_ball(
    trained: nn.Module, digits: tuple[Tensor, Tensor], name: str, norm: str
) -> None:
    """No pixel goes one level too far, and what the rounding undoes is no success."""
    x, y = digits[0][:60], digits[1][:60]
    attack = SEARCHES[name](BALLS[norm])
    plain = attack(trained, x, y, rng=seeded())
    result = Rounded(attack=attack)(trained, x, y, rng=seeded())
    levels, clean = (255 * result.adv).round(), (255 * x).round()
    assert torch.equal(result.adv, levels / 255)
    moved = (levels - clean).flatten(1)
    if norm == "linf":
        assert int(moved.abs().max()) == LEVELS
    else:
        assert float(moved.double().norm(dim=1).max()) <= 0.6 * 255 * (1 + 1e-6)
    assert torch.equal(result.success, clean_logits(trained, levels / 255).argmax(dim=1) != y)
    assert 0 < int(result.success.sum()) < 60
    if name == "fab":
        assert bool((plain.success & ~result.success).any())


def test_who_broke_an_image_is_named_only_where_it_is_broken_still() -> None:
    def said(model: nn.Module, x: Tensor, y: Tensor, *, rng: Any = None) -> Result:
        found = FGSM(eps=0.0)(model, x, y)
        return replace(found, broken_by=("clean", "apgd-ce", None, None))

    x, y = batch(4)
    model = nets.smooth_net()
    x = (x * 255).round() / 255
    own = clean_logits(model, x).argmax(dim=1)
    y = torch.where(torch.tensor([True, False, True, False]), (own + 1) % 5, own)
    result = Rounded(attack=said, norm="linf")(model, x, y)
    assert result.success.tolist() == [True, False, True, False]
    assert result.broken_by == ("clean", None, "rounding", None)
    assert Rounded(attack=FGSM(eps=0.1))(model, x, y).broken_by is None
