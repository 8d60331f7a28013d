"""Verdicts and corruptions of several models, side by side."""

from __future__ import annotations

from typing import Any

from vicinal.evaluation import CorruptionResults
from vicinal.report.beside import beside, beside_tables


def judged(
    right: int, *, n: int = 10, files: str | None = None, only: str = ""
) -> list[dict[str, Any]]:
    correct = {"fog": {1: right}, "snow": {1: right - 1}}
    correct = {name: correct[name] for name in correct if only in ("", name)}
    found = CorruptionResults(correct=correct, n=n, clean_correct=n, clean_n=n)
    return [{**record, "files": files} for record in found.records]


def campaign(right: float) -> dict[str, Any]:
    return {
        "kind": "evaluation",
        "attack": "corrupted(by=fog)",
        "n": 10,
        "accuracy": right,
        "by_severity": [right] * 5,
    }


def test_means_stand_side_by_side_and_the_last_counts() -> None:
    tables, notes = beside_tables(beside({"a": [*judged(3), *judged(8)], "b": judged(6), "c": []}))
    (table,) = tables
    assert table.header == ("corruption", "images", "a", "b")
    assert table.rows == (
        ("fog", "10", "80.00", "60.00"),
        ("snow", "10", "70.00", "50.00"),
        ("mean", "10", "75.00", "55.00"),
        ("clean", "10", "100.00", "100.00"),
        ("R", "10", "0.750", "0.550"),
    )
    assert notes[0] == "Without corruptions: c."
    assert len(notes) == 2


def test_means_over_other_corruptions_are_unlike() -> None:
    found = {"none": [], "a": judged(8, only="fog"), "b": judged(6), "c": judged(5, only="fog")}
    (table,), notes = beside_tables(beside(found))
    rows = {name: words for name, _, *words in table.rows}
    assert table.header[2:] == ("a", "b", "c")
    assert rows["fog"] == ["80.00", "60.00", "50.00"]
    assert rows["snow"] == ["-", "50.00", "-"]
    assert rows["mean"] == ["80.00", "55.00 unlike", "50.00"]
    assert rows["clean"] == ["100.00"] * 3
    assert rows["R"] == ["0.800", "0.550 unlike", "0.500"]
    words = "its mean is over fog and snow, that of a over fog; not to be compared."
    assert notes[:3] == [f"mean, b: {words}", f"R, b: {words}", "Without corruptions: none."]
    found["b"][-1]["robustness_score"] = None
    (table,), _ = beside_tables(beside(found))
    assert table.rows[-1] == ("R", "10", "0.800", "-", "0.500")
    found["b"] = [{**one, "over": ["fog"]} if "over" in one else one for one in judged(6)]
    (table,), _ = beside_tables(beside(found))
    assert not any("unlike" in word for row in table.rows for word in row)


def test_means_over_many_corruptions_are_told_by_their_number() -> None:
    over = [f"c{k}" for k in range(8)]

    def told(*, other: list[str]) -> list[str]:
        sides = {"a": over, "b": other}
        found = {
            name: [{**one, "over": names} if "over" in one else one for one in judged(8)]
            for name, names in sides.items()
        }
        return [note for note in beside_tables(beside(found))[1] if note.startswith("mean, b")]

    assert told(other=over[::-1]) == []
    (note,) = told(other=over[1:])
    assert "over 7 corruptions, that of a over 8 corruptions;" in note
    (note,) = told(other=[*over[1:], "fog"])
    assert "over 8 corruptions, that of a over another 8;" in note
    (note,) = told(other=["fog", "snow", "frost"])
    assert "over fog, snow and frost, that of a over 8 corruptions;" in note


def test_a_corruption_of_our_own_is_marked() -> None:
    own = [{**r, "comparable": r.get("corruption") != "snow"} for r in judged(8)]
    tables, notes = beside_tables(beside({"a": own, "b": judged(6)}))
    assert [row[0] for row in tables[0].rows][:2] == ["fog", "snow *"]
    assert any(note.startswith("* not the published corruption") for note in notes)


def test_what_was_judged_otherwise_is_told() -> None:
    (table,), notes = beside_tables(beside({"a": judged(8), "b": judged(8, n=20)}))
    assert {row[1] for row in table.rows} == {"10, 20"}
    assert [row[3] for row in table.rows] == [
        f"{word} unlike" for word in ("40.00", "35.00", "37.50", "100.00", "0.375")
    ]
    assert "fog, b: images 20, not 10; not to be compared." in notes
    assert all(
        f"{row}, b: images 20, not 10; not to be compared." in notes for row, *_ in table.rows
    )
    _, notes = beside_tables(beside({"a": judged(8), "b": judged(8, files="cifar10-c")}))
    for row in ("fog", "snow", "mean", "R"):
        assert f"{row}, b: files cifar10-c, not none; not to be compared." in notes
    assert not any(note.startswith("clean") for note in notes)


def test_an_evaluation_that_a_kill_cut_short_does_not_count() -> None:
    cut = judged(8)[:-1]
    tables, _ = beside_tables(beside({"a": [*judged(5), *cut], "b": judged(5)}))
    assert tables[0].rows[0] == ("fog", "10", "50.00", "50.00")


def test_the_means_of_a_campaign_are_read() -> None:
    tables, notes = beside_tables(beside({"a": [campaign(0.25)], "b": [campaign(0.5)]}))
    assert tables[0].rows == (("fog", "10", "25.00", "50.00"),)
    assert notes == []


def test_the_last_verdict_counts() -> None:
    fail, passed = ({"kind": "verdict", "status": word, "threat": "t"} for word in ("FAIL", "PASS"))
    tables, notes = beside_tables(beside({"a": [fail, passed], "b": [], "c": [fail]}))
    assert tables[0].header[:3] == ("model", "masked gradients", "threat model")
    assert tables[0].rows == (
        ("a", "PASS", "t", "-", "-"),
        ("c", "FAIL", "t", "-", "-"),
    )
    assert notes == ["Without a verdict: b."]


def test_a_verdict_names_its_images_and_the_checks_that_speak_against_it() -> None:
    statuses = {"huge eps": "WARN", "noise": "PASS", "one step": "FAIL", "transfer": "SKIP"}
    statuses["more steps"] = "WARN"
    checks = [{"name": name, "status": status} for name, status in statuses.items()]
    fail = {"kind": "verdict", "status": "FAIL", "threat": "linf 0.1", "n": 200, "checks": checks}
    passed = {**fail, "status": "PASS", "checks": checks[1:2]}
    other = {**passed, "threat": "linf 0.2", "n": 50}
    found = beside({"a": [fail], "b": [passed], "c": [], "d": [other]})
    suspect = {"huge eps": "WARN", "one step": "FAIL", "more steps": "WARN"}
    assert found["verdicts"]["a"]["checks"] == suspect
    (table,), notes = beside_tables(found)
    assert table.header[3:] == ("images", "checks that warn or fail")
    words = "FAIL: one step; WARN: huge eps, more steps"
    assert [row[3:] for row in table.rows] == [
        ("200", words),
        ("200", "-"),
        ("50", "-"),
    ]
    assert notes == [
        "verdict, d: threat model linf 0.2, not linf 0.1; images 50, not 200; not to be compared.",
        "Without a verdict: c.",
    ]


def test_without_either_there_is_no_table() -> None:
    assert beside_tables(beside({"a": [], "b": []})) == ([], [])
