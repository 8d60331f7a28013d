"""Threat models: read off attacks, told in words, and the one that a worst case is of."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vicinal import attacks
from vicinal._checks import InputError
from vicinal.evaluation.threat import (
    Threat,
    about,
    check_inside,
    digest_of,
    parameters,
    prevailing,
    threat_of,
)

PGD = attacks.PGD(eps=0.1, step_size=0.05, steps=2)


@pytest.mark.parametrize(
    ("attack", "norm", "eps"),
    [
        (attacks.FGSM(eps=0.1), "linf", 0.1),
        (attacks.PGD(eps=0.5, step_size=0.1, steps=2, norm="l2"), "l2", 0.5),
        (attacks.PGD(eps=math.inf, step_size=0.1, steps=2, random_start=False), "linf", math.inf),
        (attacks.FGSM(eps=torch.tensor([0.1, 0.2])), "linf", (0.1, 0.2)),
        (attacks.CWL2(), "l2", math.inf),
        (attacks.FMN(), "linf", math.inf),
        (attacks.AutoAttack(eps=0.1, norm="l2"), "l2", 0.1),
        (attacks.Transfer(source=nn.Flatten(), attack=PGD), "linf", 0.1),
        (attacks.Rounded(attack=PGD), "linf", 0.1),
        (attacks.Rounded(attack=attacks.CWL2()), "l2", math.inf),
        (
            attacks.Rounded(attack=attacks.Transfer(source=nn.Flatten(), attack=PGD)),
            "linf",
            0.1,
        ),
        (attacks.Foreign(call=lambda model, x, y: x), "linf", math.inf),
        (attacks.Foreign(call=lambda model, x, y: x, norm="l2", eps=0.2), "l2", 0.2),
    ],
)
def test_norm_and_radius_are_those_of_the_attack(attack: Any, norm: str, eps: Any) -> None:
    found = threat_of(attack)
    assert found is not None
    assert found.norm == norm
    assert found.eps == pytest.approx(eps)
    assert found.bounded == (eps != math.inf)


def test_a_plain_function_says_nothing_of_a_radius() -> None:
    assert threat_of(lambda model, x, y: x) is None


def test_grey_levels_are_told_where_the_radius_is_some() -> None:
    assert str(Threat(norm="linf", eps=8 / 255)) == "linf 8/255 (0.03137)"
    assert str(Threat(norm="l2", eps=0.5)) == "l2 0.5"
    assert "0.1, 0.2" in str(Threat(norm="linf", eps=(0.1, 0.2)))
    assert "at most 8/255" in Threat(norm="linf", eps=8 / 255).words
    assert "as far as one likes" in Threat(norm="l2", eps=math.inf).words


@pytest.mark.parametrize(("norm", "eps"), [("linf", -0.1), ("linf", math.nan), ("l1", 0.1)])
def test_what_is_no_ball_is_refused(norm: str, eps: float) -> None:
    with pytest.raises(InputError):
        Threat(norm=norm, eps=eps)


def test_most_attacks_decide_and_the_first_of_a_tie() -> None:
    a, b, free = (Threat(norm="linf", eps=eps) for eps in (0.1, 0.2, math.inf))
    assert prevailing([b, a, None, b]) == b
    assert prevailing([a, b]) == a
    assert prevailing([free, free, a]) == a
    assert prevailing([free, None]) is None


def test_radii_that_differ_by_rounding_are_shared() -> None:
    near = [Threat(norm="linf", eps=eps) for eps in (8 / 255, 0.03137, 0.1)]
    assert prevailing([near[2], near[0], near[1]]) == near[0]


@pytest.mark.parametrize(
    ("own", "other", "holds"),
    [
        (0.1, 0.1, True),
        (0.1, 0.05, True),
        (0.1, 0.100009, True),
        (0.1, 0.10002, False),
        (0.1, math.inf, False),
        (math.inf, math.inf, True),
        ((0.1, 0.2), (0.1, 0.1), True),
        ((0.1, 0.2), (0.2, 0.1), False),
        ((0.1, 0.2), 0.1, True),
        ((0.1, 0.2), 0.15, False),
        (0.15, (0.1, 0.2), False),
        (0.2, (0.1, 0.2), True),
        ((0.1, 0.2), (0.1, 0.1, 0.1), False),
    ],
)
def test_a_ball_holds_another_where_no_radius_is_larger(own: Any, other: Any, holds: bool) -> None:
    for norm in ("linf", "l2"):
        there = Threat(norm="linf", eps=other)
        assert Threat(norm=norm, eps=own).holds(there) == (holds and norm == "linf")


@pytest.mark.parametrize("eps", [torch.tensor([8 / 255]), torch.tensor(8 / 255)])
def test_a_radius_in_a_tensor_is_a_number(eps: Tensor) -> None:
    found = threat_of(SimpleNamespace(eps=eps))
    assert found is not None
    assert isinstance(found.eps, float)
    assert str(found) == "linf 8/255 (0.03137)"
    assert prevailing([Threat(norm="linf", eps=0.1), Threat(norm="linf", eps=8 / 255), found]) == (
        Threat(norm="linf", eps=8 / 255)
    )


def test_a_digest_is_of_parameters_and_source_whatever_their_order_in_a_file() -> None:
    told = about(PGD)
    parts = json.loads(json.dumps(dict(sorted(told.parameters.items(), reverse=True))))
    assert digest_of(parts, source=None) == told.digest
    assert digest_of(parts, source="net") != told.digest
    assert digest_of({**parts, "steps": 40}, source=None) != told.digest


def test_every_parameter_is_written_down_as_json_can_hold_it() -> None:
    found = parameters(attacks.PGD(eps=math.inf, step_size=0.1, steps=2, random_start=False))
    assert (found["class"], found["eps"], found["restarts"]) == ("PGD", "inf", 1)
    nested = parameters(attacks.Transfer(source=nn.Flatten(), attack=PGD))
    assert nested["source"] == "Flatten"
    assert nested["attack"]["steps"] == 2
    several = attacks.AutoAttack(eps=0.1, attacks={"fgsm": attacks.FGSM(eps=torch.tensor([0.1]))})
    assert parameters(several)["attacks"]["fgsm"]["eps"] == pytest.approx([0.1])
    for one in (found, nested, parameters(several)):
        assert json.loads(json.dumps(one, allow_nan=False)) == one


def test_what_the_attacker_knows_is_said() -> None:
    assert "gradients" in about(PGD).access
    assert "another model" in about(attacks.Transfer(source=nn.Flatten(), attack=PGD)).access
    assert "logits" in about(attacks.Square(eps=0.1)).access
    assert "noise" in about(attacks.UniformNoise(eps=0.1)).access


def test_a_precision_is_written_as_what_the_device_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vicinal.attacks.levers.fast_precision", lambda device: "bf16")
    device, auto = torch.device("cpu"), attacks.APGD(eps=0.1, precision="auto")
    nested = attacks.AutoAttack(eps=0.1, attacks={"a": auto})
    assert parameters(auto)["precision"] == "auto"
    for one in (parameters(auto, device=device), about(auto, device=device).parameters):
        assert one["precision"] == "bf16"
    assert parameters(nested, device=device)["attacks"]["a"]["precision"] == "bf16"
    narrow = attacks.APGD(eps=1 / 255, precision="auto")
    assert parameters(narrow, device=device)["precision"] == "fp32"
    random = parameters(attacks.AutoAttack(eps=0.1, version="rand"), device=device)
    assert (random["precision"], random["channels_last"]) == ("fp32", False)
    plain = attacks.APGD(eps=0.1)
    assert parameters(plain, device=device) == parameters(plain)


CENTER = torch.full((3, 1, 2, 2), 0.5)


@pytest.mark.parametrize(
    ("threat", "moved", "counts"),
    [
        (Threat(norm="linf", eps=0.1), 0.1 + 1e-6, True),
        (Threat(norm="linf", eps=0.1), 0.102, False),
        (Threat(norm="linf", eps=(0.1,)), 0.102, False),
        (Threat(norm="l2", eps=0.2), 0.1, True),
        (Threat(norm="l2", eps=0.2), 0.102, False),
        (Threat(norm="l2", eps=math.inf), 0.5, True),
        (Threat(norm="l2", eps=math.inf), 0.51, False),
        (Threat(norm="linf", eps=1.0), math.nan, False),
        (None, -0.5, True),
        (None, -0.51, False),
    ],
)
def test_what_counts_must_lie_in_the_ball_that_is_stated(
    threat: Threat | None, moved: float, counts: bool
) -> None:
    adv = CENTER.clone()
    adv[1] += moved
    fooled = torch.tensor([False, True, False])
    check_inside("mine", adv, CENTER, threat=threat, fooled=~fooled)
    if counts:
        check_inside("mine", adv, CENTER, threat=threat, fooled=fooled)
    else:
        with pytest.raises(InputError, match="mine counts 1 of 3 outside as fooled"):
            check_inside("mine", adv, CENTER, threat=threat, fooled=fooled)


def test_an_attack_that_loses_images_is_refused() -> None:
    with pytest.raises(InputError, match=r"mine returned \(2, 1, 2, 2\)"):
        check_inside("mine", CENTER[:2], CENTER, threat=None, fooled=torch.ones(3) > 0)
