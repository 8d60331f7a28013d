"""Suites and corruptions as rows of words."""

from __future__ import annotations

from vicinal.corruptions import CORRUPTIONS, SETS
from vicinal.evaluation import SUITES, suite
from vicinal.recipes.judging import corruptions, suites


def test_every_corruption_has_its_row_sets_and_five_constants() -> None:
    rows = {row["corruption"]: row for row in corruptions()}
    assert list(rows) == list(CORRUPTIONS)
    for name, members in SETS.items():
        held = {one for one, row in rows.items() if name in row["sets"].split(", ")}
        assert held == set(members)
    assert all(row["severities 1 to 5, at 32 pixels"].count(";") == 4 for row in rows.values())
    assert [one for one, row in rows.items() if row["comparable"] != "yes"] == ["frost"]
    assert rows["rotation"]["severities 1 to 5, at 32 pixels"] == "8; 16; 24; 32; 40"


def test_every_entry_of_every_suite_has_its_row() -> None:
    rows = suites()
    for name in SUITES:
        listed = [row["attack"] for row in rows if name in row["suite"].split(", ")]
        entries = suite(name, eps=None if name == "papers" else 8 / 255).entries
        assert sorted(listed) == sorted(entry.name for entry in entries)
    passes = {row["attack"]: row["passes"] for row in rows}
    assert passes["pgd-20"] == "21+20"
