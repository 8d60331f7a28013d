"""The table of an evaluation under corruptions."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from vicinal import records
from vicinal.evaluation import CorruptionResults
from vicinal.metrics import Baseline
from vicinal.report import corruptions

FOUND = CorruptionResults(
    correct={"fog": {1: 8, 5: 4}, "frost": {1: 2, 5: 2}},
    n=10,
    clean_correct=9,
    clean_n=10,
    aside=frozenset({"frost"}),
)


def from_a_file(found: CorruptionResults) -> list[dict[str, Any]]:
    return [json.loads(records.line(record)) for record in found.records]


@pytest.mark.parametrize("read", [lambda found: found.records, from_a_file])
def test_every_severity_the_mean_and_r(read: Any) -> None:
    table, notes = corruptions(read(FOUND))
    assert table.header == ("corruption", "1", "5", "mean", "R")
    assert table.rows == (
        ("fog", "80.00", "40.00", "60.00", f"{0.6 / 0.9:.3f}"),
        ("frost *", "20.00", "20.00", "20.00", f"{0.2 / 0.9:.3f}"),
    )
    assert notes[0] == f"10 images: clean 90.00, mean of fog 60.00, R {0.6 / 0.9:.3f}"
    assert len(notes) == 2
    assert notes[1].startswith("* not the published corruption")


@pytest.mark.parametrize("read", [lambda found: found.records, from_a_file])
def test_without_clean_images_there_is_no_r(read: Any) -> None:
    bare = CorruptionResults(correct={"fog": {1: 8}}, n=10, clean_correct=0, clean_n=0)
    assert math.isnan(bare.clean)
    table, notes = corruptions(read(bare))
    assert table.rows == (("fog", "80.00", "80.00", "-"),)
    assert notes == ["10 images: mean of fog 80.00"]


def test_mce_where_it_is_defined_and_a_reason_where_not() -> None:
    correct = {"fog": dict.fromkeys(range(1, 6), 5)}
    whole = CorruptionResults(correct=correct, n=10, clean_correct=9, clean_n=10)
    half = Baseline(name="net", errors={"fog": 1.0}, clean=0.5)
    _, notes = corruptions(replace(whole, baseline=half).records)
    assert notes[1] == "mCE 50.0, relative mCE 80.0 % of the errors of net"
    other = Baseline(name="net", errors={"fog": 1.0, "snow": 1.0}, clean=0.5)
    _, notes = corruptions(replace(whole, baseline=other).records)
    assert notes[1].startswith("no mCE beside net")
