"""The passes told of every attack are those that hooks count on a model that nothing breaks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from counting import Counted
from laws import assert_model_unchanged
from nets import stateful_net
from vicinal import attacks
from vicinal._checks import InputError
from vicinal._typing import Attack, Passes
from vicinal.attacks import ATTACKS
from vicinal.evaluation import Pace, pace_of, passes_of

K = 5


class _Firm(nn.Module):
    """Class 0 wins by far everywhere; the logits lean a little, so that there are gradients."""

    def forward(self, x: Tensor) -> Tensor:
        slopes = torch.linspace(-1.0, 1.0, x[0].numel() * K).view(-1, K)
        return 0.01 * x.flatten(1) @ slopes + 50 * (torch.arange(K) == 0)


PLAIN: list[Attack] = [
    attacks.FGSM(eps=0.1),
    attacks.FGSM(eps=0.1, target="least_likely"),
    attacks.PGD(eps=0.1, step_size=0.05, steps=3),
    attacks.PGD(eps=0.01, step_size=0.005, steps=3, precision="auto"),
    attacks.PGD(eps=0.1, step_size=0.05, steps=3, folded=True),
    attacks.PGD(eps=0.1, step_size=0.05, steps=3, restarts=2, target="random"),
    attacks.PGD(eps=0.1, step_size=0.05, steps=4, restarts=2, compact_every=1, rounded=True),
    attacks.PGD(eps=0.1, step_size=0.05, steps=3, eot=2),
    attacks.MIFGSM(eps=0.1, steps=4),
    attacks.MIFGSM(eps=0.1, steps=4, target="least_likely", rounded=True),
    attacks.APGD(eps=0.1, steps=6),
    attacks.APGD(eps=0.1, steps=5, loss="dlr", targets=3, restarts=2),
    attacks.APGD(eps=0.1, steps=5, loss="dlr", targets=9, compact_every=None),
    attacks.FAB(eps=0.1, steps=3, targets=2, restarts=2),
    attacks.FAB(eps=0.1, steps=3, targets=9, bisections=2),
    attacks.FMN(eps=0.1, steps=5),
    attacks.CWL2(steps=5, search_steps=2, abort_early=False),
    attacks.Square(eps=0.1, queries=7, restarts=2),
    attacks.UniformNoise(eps=0.1, draws=6),
    attacks.Transfer(source=_Firm(), attack=attacks.FGSM(eps=0.1)),
    attacks.Rounded(attack=attacks.FGSM(eps=0.1)),
    attacks.AutoAttack(
        eps=0.1,
        attacks={"a": attacks.APGD(eps=0.1, steps=4), "b": attacks.Square(eps=0.1, queries=3)},
    ),
]


@pytest.mark.parametrize("attack", PLAIN)
def test_passes_are_those_that_are_counted(attack: Attack) -> None:
    torch.manual_seed(0)
    model, x, y = Counted(_Firm()), torch.rand(4, 1, 3, 3), torch.zeros(4, dtype=torch.long)
    if isinstance(attack, attacks.Transfer):
        attack = attacks.Transfer(source=model, attack=attack.attack)
    assert not bool(attack(model, x, y).success.any())
    told = passes_of(attack, num_classes=K)
    assert (model.forward_images, model.backward_images) == (4 * told.forward, 4 * told.backward)


def test_every_attack_that_a_recipe_may_name_has_its_passes() -> None:
    assert {type(attack) for attack in PLAIN} == set(ATTACKS.values())


def test_the_standard_autoattack_costs_the_sum_of_its_parts() -> None:
    whole = passes_of(attacks.AutoAttack(eps=0.1), num_classes=10)
    parts = [
        passes_of(member, num_classes=10) for member in attacks.AutoAttack(eps=0.1).members.values()
    ]
    assert whole.forward == 1 + sum(part.forward + 1 for part in parts)
    assert whole.backward == sum(part.backward for part in parts)
    assert 7000 < whole.forward < 9000


def test_an_attack_from_elsewhere_is_refused() -> None:
    with pytest.raises(InputError, match=r"passes of function are not known.*FGSM"):
        passes_of(lambda *_: None, num_classes=2)  # type: ignore[arg-type]


def test_seconds_are_passes_times_pace() -> None:
    pace = Pace(forward=0.5, backward=2.0)
    assert pace.seconds(Passes(3, 1), n=10) == pytest.approx(10 * (1.5 + 2.0))


def test_the_pace_is_measured_on_the_passes_it_tells() -> None:
    model = Counted(_Firm())
    pace = pace_of(model, torch.rand(6, 1, 3, 3), torch.zeros(6, dtype=torch.long), repeats=2)
    assert (model.forward_images, model.backward_images) == (6 * 2 * 3, 6 * 3)
    assert pace.forward > 0
    assert pace.backward >= 0
    net = stateful_net()
    with assert_model_unchanged(net):
        pace_of(net, torch.rand(4, 3, 4, 4), torch.arange(4))
