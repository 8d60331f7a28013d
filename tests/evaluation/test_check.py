"""A check is a name, a status, a sentence and figures."""

from __future__ import annotations

import pytest

from vicinal._checks import InputError
from vicinal.evaluation.check import Check, graded, skipped


def test_a_status_is_one_of_four() -> None:
    with pytest.raises(InputError, match=r"`status` must be PASS \| WARN \| FAIL \| SKIP"):
        Check(name="a", status="OK", sentence="Fine.")  # type: ignore[arg-type]
    assert skipped("a", "No source.").record == {
        "name": "a",
        "status": "SKIP",
        "sentence": "No source.",
        "figures": {},
    }


def test_a_figure_on_a_threshold_is_within_it() -> None:
    assert [graded(v, 1.0, 2.0) for v in (-1.0, 1.0, 1.1, 2.0, 2.1)] == [
        "PASS",
        "PASS",
        "WARN",
        "WARN",
        "FAIL",
    ]
    assert graded(9.0, 1.0, 2.0, images=1) == "PASS"
