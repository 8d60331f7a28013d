"""The papers' attacks against the rows of their tables, read from the table file itself."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from vicinal import recipes
from vicinal._checks import InputError
from vicinal.attacks import CWL2, FGSM, MIFGSM, PGD, Transfer
from vicinal.evaluation.paper_attacks import PAPERS, paper_attacks
from vicinal.recipes.numerals import read_number

TABLES = Path(recipes.__file__).with_name("paper_tables.csv")
IMAGENET = ("BAT", "9")
Row = tuple[Any, ...]


def _reported() -> set[Row]:
    """Every attack of a table: paper, kind, eps, step, steps, start, loss, target, transferred."""
    with TABLES.open(encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["attack"] not in {"", "corruption"} and (row["paper"], row["table"]) != IMAGENET
        ]
    return {_row_of(row) for row in rows}


def _row_of(row: dict[str, str]) -> Row:
    kind, transferred = row["attack"], row["source"] != ""
    if kind == "cwl2":
        return (row["paper"], "CWL2", int(row["steps"]))
    eps = float(read_number(row["eps"]))
    if kind == "mifgsm":
        assert row["step"] == "eps/10"
        return (row["paper"], "MIFGSM", _near(eps), int(row["steps"]), transferred)
    step = eps if row["step"] == "eps" else float(read_number(row["step"]))
    target = None if row["target"] == "none" else row["target"]
    start = row["random_start"] == "yes"
    numbers = (_near(eps), _near(step), int(row["steps"]))
    return (row["paper"], "PGD", *numbers, start, row["loss"], target, transferred)


def _near(value: float) -> float:
    return value if math.isinf(value) else round(value, 6)


def _described(paper: str, attack: Any) -> Row:
    transferred = isinstance(attack, Transfer)
    inner: Any = attack.attack if isinstance(attack, Transfer) else attack
    if isinstance(inner, CWL2):
        assert inner.confidence == 50
        return (paper, "CWL2", inner.steps)
    if isinstance(inner, FGSM):
        numbers = (_near(float(inner.eps)), _near(float(inner.eps)), 1)
        return (paper, "PGD", *numbers, False, inner.loss, inner.target, transferred)
    assert inner.iterate == "last"
    if isinstance(inner, MIFGSM):
        assert inner.step_size is None
        return (paper, "MIFGSM", _near(float(inner.eps)), inner.steps, transferred)
    assert isinstance(inner, PGD)
    numbers = (_near(float(inner.eps)), _near(float(inner.step_size)), inner.steps)
    return (paper, "PGD", *numbers, inner.random_start, inner.loss, inner.target, transferred)


def test_they_are_those_of_the_tables_at_their_own_budgets() -> None:
    listed = list(paper_attacks(None, nn.Flatten()))
    described = {_described(paper, attack) for _, attack, papers in listed for paper in papers}
    assert described == _reported()
    assert len({name for name, _, _ in listed}) == len(listed)


def test_at_one_radius_each_attack_is_listed_once() -> None:
    listed = list(paper_attacks(8 / 255, nn.Flatten()))
    assert len({repr(attack) for _, attack, _ in listed}) == len(listed)
    names = {name: papers for name, _, papers in listed}
    assert names["fgsm"] == ("ALPS", "BAT", "AVmixup")
    assert not any("/" in name for name in names)


def test_without_a_source_nothing_is_transferred() -> None:
    for eps in (None, 0.1):
        names = [name for name, _, _ in paper_attacks(eps, None)]
        assert not any("transfer" in name for name in names)
        assert len(names) < len(list(paper_attacks(eps, nn.Flatten())))


def test_radii_are_those_of_the_papers() -> None:
    assert PAPERS == {"ALPS": 4 / 255, "BAT": 8 / 255, "AVmixup": 8 / 255, "M-TLAT": 0.04}
    for eps in (0.0, 8.0):
        with pytest.raises(InputError, match="`eps`"):
            list(paper_attacks(eps, None))
    assert list(paper_attacks(1.0, nn.Flatten()))
