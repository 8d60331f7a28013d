"""What a verdict runs: searches that differ in one thing each, in the ball they are said to use."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from vicinal import attacks
from vicinal.evaluation import trials, verdict_passes
from vicinal.evaluation.trials import BY_GRADIENTS, STRONGEST, TRIALS, against, radii_of


def _differences(one: Any, other: Any) -> set[str]:
    fields = [field.name for field in dataclasses.fields(one)]
    return {name for name in fields if getattr(one, name) != getattr(other, name)}


def test_searches_differ_in_what_is_held_against_each_other_and_in_nothing_else() -> None:
    built = trials(eps=0.1)
    pgd = built["pgd"]
    assert _differences(pgd, built["pgd twice"]) == {"steps"}
    assert _differences(pgd, built["pgd margin"]) == {"loss"}
    assert _differences(pgd, built["pgd half eps"]) == {"eps", "step_size"}
    # Where the last iterate is judged, an image that was fooled must stay to the end.
    assert _differences(pgd, built["pgd last"]) == {"iterate", "compact_every"}


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_ball_is_the_one_asked_for(norm: Any) -> None:
    source = nn.Flatten()
    standard = attacks.AutoAttack(eps=0.1, norm=norm)
    built = trials(eps=0.1, norm=norm, source=source, strongest=standard)
    assert list(built) == [name for name in TRIALS if name in built]
    assert set(built) == set(TRIALS)
    radii = radii_of(0.1, norm)
    for name, attack in built.items():
        inner: Any = attack.attack if isinstance(attack, attacks.Transfer) else attack
        assert inner.norm == norm
        assert inner.eps == (float("inf") if "unbounded" in name else radii.get(name, 0.1))
    assert set(BY_GRADIENTS) | set(STRONGEST) <= set(built)
    assert built["autoattack"] is standard


def test_a_linf_ball_never_exceeds_the_pixels() -> None:
    assert radii_of(0.75, "linf") == {"pgd half eps": 0.375, "pgd": 0.75, "pgd double eps": 1.0}
    assert radii_of(1.0, "linf") == {"pgd half eps": 0.5, "pgd": 1.0}
    assert radii_of(1.0, "l2")["pgd double eps"] == 2.0
    assert "pgd double eps" not in trials(eps=1.0)


def test_an_unbounded_search_crosses_any_image() -> None:
    built: Any = trials(eps=0.1, norm="l2", pixels=75)["pgd unbounded"]
    assert built.step_size * built.steps >= torch.ones(75).norm()
    built = trials(eps=0.1)["pgd unbounded"]
    assert built.step_size * built.steps >= 1.0


def test_without_gradients_or_a_source_what_needs_them_is_missing() -> None:
    assert set(trials(eps=0.1, gradients=False)) == {"square", "noise"}
    assert "transfer" in trials(eps=0.1, gradients=False, source=nn.Flatten())
    assert "transfer" not in trials(eps=0.1)


def test_what_stands_for_autoattack_is_called_by_its_name() -> None:
    """The numbers in the words are those of the attacks that are run."""
    built: Any = trials(eps=0.1)
    name, words = against(built)
    assert name == "parts of AutoAttack"
    assert f"APGD-T with {built['apgd-t'].targets} targets" in words
    assert f"Square with {built['square'].queries} queries" in words
    assert against(trials(eps=0.1, strongest=attacks.AutoAttack(eps=0.1)))[0] == "AutoAttack"


def test_a_source_costs_more() -> None:
    one, more = verdict_passes(num_classes=3), verdict_passes(num_classes=3, source=True)
    assert more.forward == one.forward + 22
    assert more.backward == one.backward + 20
    assert one.forward < verdict_passes(num_classes=10).forward
