"""Suites hold what a strong evaluation asks for, tell their cost, and fit a time budget."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from counting import Counted
from vicinal import attacks, records
from vicinal._checks import InputError
from vicinal._typing import Passes
from vicinal.evaluation import SUITES, Entry, Pace, Suite, evaluate, passes_of, suite
from vicinal.evaluation.threat import Threat

PACE = Pace(forward=1.0, backward=2.0)


def _entry(name: str, forward: int, backward: int) -> Entry:
    return Entry(name=name, attack=attacks.FGSM(eps=0.1), passes=Passes(forward, backward))


def _suite(*costs: int) -> Suite:
    return Suite(
        name="made up", entries=tuple(_entry(f"{n}", cost, 0) for n, cost in enumerate(costs))
    )


def test_standard_has_what_a_report_must_show_and_full_has_more() -> None:
    source = nn.Flatten()
    standard = suite("standard", eps=8 / 255, source=source).attacks
    kinds = {type(attack) for attack in standard.values()}
    assert kinds == {
        attacks.FGSM,
        attacks.PGD,
        attacks.MIFGSM,
        attacks.APGD,
        attacks.FMN,
        attacks.Square,
        attacks.UniformNoise,
        attacks.Transfer,
    }
    pgds = [attack for attack in standard.values() if isinstance(attack, attacks.PGD)]
    assert {(pgd.steps, pgd.loss, pgd.target) for pgd in pgds} == {
        (20, "ce", None),
        (20, "margin", None),
        (20, "ce", "least_likely"),
        (100, "ce", None),
    }
    assert max(pgd.restarts for pgd in pgds) == 5
    full = suite("full", eps=8 / 255, source=source).attacks
    assert standard.keys() < full.keys()
    assert full["autoattack"] == attacks.AutoAttack(eps=8 / 255)
    assert {"cw-l2", "pgd-1000", "pgd-1000-margin"} <= full.keys()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", ["standard", "full"])
def test_a_suite_searches_in_the_ball_it_is_built_for(name: str, norm: str) -> None:
    chosen = suite(name, eps=0.25, norm=norm)  # type: ignore[arg-type]
    groups = chosen.by_threat
    ball = groups[Threat(norm=norm, eps=0.25)]
    outside = set(chosen.attacks) - set(ball)
    assert outside == ({"fmn", "cw-l2"} if name == "full" else {"fmn"})
    assert sum(len(group) for group in groups.values()) == len(chosen.entries)


def test_passes_are_the_sum_of_the_entries_and_bound_what_is_spent() -> None:
    chosen = suite("standard", eps=0.05, num_classes=4)
    few = [entry for entry in chosen.entries if entry.passes.forward < 120]
    chosen = Suite(name="few", entries=tuple(few))
    assert len(few) >= 6
    model = Counted(nn.Sequential(nn.Flatten(), nn.Linear(16, 4)))
    x = torch.rand(5, 1, 4, 4)
    found = evaluate(model, (x, torch.arange(5) % 4), attacks=chosen.attacks)
    for entry in few:
        assert found.verdicts[entry.name].forward <= 5 * entry.passes.forward
    assert model.forward_images <= 5 * (1 + chosen.passes.forward)
    assert chosen.passes == Passes(
        sum(entry.passes.forward for entry in few), sum(entry.passes.backward for entry in few)
    )


def test_every_entry_tells_the_passes_of_its_attack() -> None:
    for name in SUITES:
        for entry in suite(name, eps=0.1, source=nn.Flatten(), num_classes=7).entries:
            assert entry.passes == passes_of(entry.attack, num_classes=7)


def test_a_budget_takes_entries_in_order_while_there_is_room() -> None:
    chosen = _suite(5, 40, 30, 25, 1).within(62, pace=PACE, n=1)
    assert [entry.name for entry in chosen.entries] == ["0", "1", "4"]
    assert [entry.name for entry in chosen.left_out] == ["2", "3"]
    assert chosen.told() == "Left out for want of time: 2, 3."
    assert _suite(5, 40).within(45, pace=PACE, n=1).told() == ""
    assert [entry.name for entry in _suite(5, 4).within(9.5, pace=PACE, n=2).entries] == ["1"]


def test_backward_passes_and_images_count() -> None:
    two = Suite(name="two", entries=(_entry("a", 1, 3), _entry("b", 2, 0)))
    assert [e.name for e in two.within(69, pace=PACE, n=10).entries] == ["b"]
    assert [e.name for e in two.within(70, pace=PACE, n=10).entries] == ["a"]
    assert [e.name for e in two.within(90, pace=PACE, n=10).entries] == ["a", "b"]


def test_a_second_budget_remembers_what_the_first_left_out() -> None:
    twice = _suite(5, 40, 4).within(10, pace=PACE, n=1).within(5, pace=PACE, n=1)
    assert [entry.name for entry in twice.entries] == ["0"]
    assert [entry.name for entry in twice.left_out] == ["1", "2"]


def test_papers_attack_at_their_own_radii_unless_told_otherwise() -> None:
    own = suite("papers")
    assert {str(threat) for threat in own.by_threat} == {
        "linf 4/255 (0.01569)",
        "linf 8/255 (0.03137)",
        "linf 0.04",
        "linf unbounded",
        "l2 unbounded",
    }
    one = suite("papers", eps=0.1)
    assert {str(threat) for threat in one.by_threat} == {
        "linf 0.1",
        "linf unbounded",
        "l2 unbounded",
    }
    assert own.entries[0].papers == ("ALPS",)


def test_a_suite_is_data() -> None:
    chosen = suite("standard", eps=8 / 255).within(3000, pace=PACE, n=1)
    record = json.loads(records.line(chosen.record))
    assert (record["kind"], record["suite"]) == ("suite", "standard")
    assert len(record["entries"]) == len(chosen.entries)
    assert [entry["name"] for entry in record["left_out"]] == [e.name for e in chosen.left_out]
    assert record["entries"][0]["parameters"]["class"] == "APGD"


def test_impossible_suites_are_refused() -> None:
    with pytest.raises(InputError, match=r"`suite` must be papers \| standard \| full"):
        suite("strong", eps=0.1)
    with pytest.raises(InputError, match="must be given eps"):
        suite("standard")
    with pytest.raises(InputError, match="linf; got norm 'l2'"):
        suite("papers", norm="l2")
    with pytest.raises(InputError, match="8/255"):
        suite("full", eps=8.0)
    with pytest.raises(InputError, match="the cheapest takes about 4 s on 1 images; got 3 s"):
        _suite(5, 4).within(3, pace=PACE, n=1)
