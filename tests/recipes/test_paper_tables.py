"""The papers' numbers: read whole, typed, and some checked by hand against the papers."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import vicinal
from vicinal._checks import InputError
from vicinal.recipes import paper_tables

FILE = Path(vicinal.__file__).parent / "recipes" / "paper_tables.csv"


def test_every_line_of_the_file_is_a_row_of_one_table() -> None:
    with FILE.open(encoding="utf-8") as text:
        lines = list(csv.reader(text))[1:]
    known = paper_tables.tables()
    assert set(known) == {"ALPS", "BAT", "AVmixup", "M-TLAT"}
    total = sum(len(paper_tables.rows(paper, table)) for paper in known for table in known[paper])
    assert total == len(lines) == 703


def test_table_2_of_alps() -> None:
    rows = paper_tables.rows("alps", "2")
    assert len(rows) == 10
    assert {row.dataset for row in rows} == {"CIFAR-10"}
    assert {row.key for row in rows} == {"erm", "dropout", "label-smoothing", "mixup", "alps"}
    assert all(row.condition == "clean" and not row.attack for row in rows)
    assert all(row.value is not None and 0 < row.value < 100 for row in rows)


def test_table_6_carries_its_attacks() -> None:
    rows = paper_tables.rows("ALPS", "6")
    erm = next(row for row in rows if (row.dataset, row.key, row.source) == ("CIFAR-10", "erm", ""))
    assert erm.value == 58.33
    assert (erm.attack, erm.eps, erm.step, erm.steps) == ("pgd", "4/255", "1/255", 10)
    assert (erm.random_start, erm.loss, erm.target) == (True, "ce", "none")


def test_a_number_that_a_paper_does_not_give_is_none() -> None:
    spreads = [row.std for row in paper_tables.rows("BAT", "1")]
    assert None in spreads


def test_what_is_not_there_is_one_sentence() -> None:
    with pytest.raises(InputError, match="Did you mean alps"):
        paper_tables.rows("alp", "2")
    with pytest.raises(InputError, match="ALPS has no table '9' here; it has 1, 2, 3"):
        paper_tables.rows("alps", "9")
