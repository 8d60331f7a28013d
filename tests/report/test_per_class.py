"""The accuracy over each class as a table: columns of attacks, rows of classes."""

from __future__ import annotations

import math
from typing import Any

import pytest

import laws
from vicinal import data
from vicinal._checks import InputError
from vicinal.report import per_class, rich_table

CLEAN: dict[str, Any] = {
    "attack": "clean",
    "per_class": {"n": [50, 50, 0], "accuracy": [1.0, 0.5, None]},
}
FGSM: dict[str, Any] = {
    "attack": "fgsm(eps=0.1)",
    "per_class": {"n": [8, 0, 3], "accuracy": [0.125, math.nan, 1 / 3]},
}


def test_each_class_is_a_row_and_images_are_told_again_where_they_change() -> None:
    worst = {**FGSM, "attack": "worst case"}
    section = per_class([CLEAN, FGSM, worst])
    assert section.header == ("class", "images", "clean", "images", "fgsm(eps=0.1)", "worst case")
    assert section.rows == (
        ("0", "50", "100.00", "8", "12.50", "12.50"),
        ("1", "50", "50.00", "0", "-", "-"),
        ("2", "0", "-", "3", "33.33", "33.33"),
    )


def test_classes_have_their_names_where_these_are_known() -> None:
    named = {**CLEAN["per_class"], "names": ["cat", "dog", "frog"]}
    for section in (
        per_class([CLEAN, FGSM], names=("cat", "dog", "frog")),
        per_class([{**CLEAN, "per_class": named}, FGSM]),
        per_class([CLEAN, {**FGSM, "per_class": {**FGSM["per_class"], "names": named["names"]}}]),
    ):
        assert [row[0] for row in section.rows] == ["cat", "dog", "frog"]
        assert [row[2] for row in section.rows] == ["100.00", "50.00", "-"]
    theirs = per_class([{**CLEAN, "per_class": named}], names=("a", "b", "c"))
    assert [row[0] for row in theirs.rows] == ["a", "b", "c"]
    assert per_class([], names=("cat", "dog")).rows == ()


def test_a_data_set_names_its_classes() -> None:
    names = data.load("digits").class_names
    found = {"n": [1] * 10, "accuracy": [1.0] * 10}
    section = per_class([{"attack": "clean", "per_class": found}], names=names)
    assert tuple(row[0] for row in section.rows) == names


def test_too_few_names_are_refused_in_one_sentence() -> None:
    with pytest.raises(InputError) as caught:
        per_class([CLEAN], names=("cat", "dog"))
    laws.assert_one_line(caught.value, "`names`", "3", "got 2")


def test_records_of_older_versions_have_no_classes_and_are_left_out() -> None:
    section = per_class([{"attack": "clean", "error": 0.5}, FGSM])
    assert section.header == ("class", "images", "fgsm(eps=0.1)")
    assert per_class([{"attack": "clean"}]).rows == ()


def test_a_table_without_rows_can_be_drawn() -> None:
    assert rich_table(per_class([])).row_count == 0
