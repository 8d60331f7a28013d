"""Many models: each is a row, and what is true of several is said once."""

from __future__ import annotations

import math
from typing import Any

from scipy.stats import binomtest

from vicinal.evaluation.trials import TRIALS
from vicinal.report.beside import INSIDE, beside
from vicinal.report.comparison import Remark, comparison
from vicinal.report.many import MANY, gathered, many_tables, turned
from vicinal.report.tables import Section

MODELS = [f"m{k}" for k in range(MANY + 1)]


def _cell(k: int, row: int, n: int = 200) -> dict[str, Any]:
    share = (k + row) / 50
    found = {"accuracy": share, "interval": [share / 2, share], "n": n, "unlike": "", "test": ""}
    return {**found, "p": 0.01 * k, "test": "McNemar"} if k else {**found, "p": None}


def _record(attacks: list[str], **more: Any) -> dict[str, Any]:
    rows = [
        {"attack": name, "cells": [_cell(k, row) for k in range(len(MODELS))]}
        for row, name in enumerate(attacks)
    ]
    return {"names": MODELS, "level": 0.05, "rows": rows, **more}


def _untold(section: Section) -> dict[tuple[str, str], tuple[str, str]]:
    """Share and chance by attack and model, out of the table of few models."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for name, _, first, *others in section.rows:
        pairs = [(first, "-"), *zip(others[::2], others[1::2], strict=True)]
        found |= {(name, model): pair for model, pair in zip(MODELS, pairs, strict=True)}
    return found


def test_every_number_of_the_other_layout_stands_in_the_row_of_its_model() -> None:
    record = _record(["worst case", "pgd", "clean"])
    known = _untold(comparison(record)[0])
    (table,), notes = many_tables(record)
    head = ["clean (200 images)", "p", "pgd (200 images)", "p", "worst case (200 images)", "p"]
    assert table.header == ("model", *head)
    for row in table.rows:
        pairs = list(zip(row[1::2], row[2::2], strict=True))
        assert pairs == [known[attack, row[0]] for attack in ("clean", "pgd", "worst case")]
    assert [row[0] for row in table.rows] == MODELS
    assert f"Holm's method for these {3 * (len(MODELS) - 1)} tests; * below 0.05" in notes[0]


def test_of_many_attacks_the_chances_stand_below() -> None:
    names = ["clean", "a", "b", "c"]
    record = _record(names)
    record["rows"][1]["cells"][2] = {**_cell(0, 1), "unlike": "why"}
    known = _untold(comparison(record)[0])
    (shares, chances), notes = many_tables(record)
    assert shares.header == ("model", *(f"{name} (200 images)" for name in names))
    assert chances.header == shares.header
    assert [row[0] for row in chances.rows] == MODELS[1:]
    for row in chances.rows:
        assert list(row[1:]) == [known[name, row[0]][1] for name in names]
    assert shares.rows[1] == ("m1", "2.00 *", "4.00 *", "6.00 *", "8.00 *")
    assert shares.rows[2][2] == "2.00 unlike"
    assert notes[0] == "a, m2: why; not compared."
    interval = binomtest(100, 200).proportion_ci(method="wilson")
    assert f"known to {50 * (interval.high - interval.low):.1f} points" in notes[1]


def _verdict(**more: Any) -> dict[str, Any]:
    shares = {"clean": 0.9, "pgd": 0.5, "square": 0.45, "pgd double eps": 0.1, "pgd unbounded": 0}
    trials = {name: {"accuracy": share} for name, share in shares.items()}
    found = {"kind": "verdict", "version": 4, "status": "PASS", "threat": "t", "n": 200}
    return {**found, "trials": trials, "checks": [], **more}


def test_a_verdict_tells_its_accuracies_whatever_its_version() -> None:
    check = {"name": "PGD against AutoAttack", "status": "WARN", "figures": {"strong": 0.25}}
    found: dict[str, list[dict[str, Any]]] = {name: [_verdict()] for name in MODELS}
    found["m1"] = [_verdict(version=1, checks=[check])]
    found["m2"] = [{"kind": "verdict", "status": "PASS", "threat": "t", "n": 200}]
    found["m3"] = [_verdict(trials={"pgd": {"accuracy": None}, "square": {"accuracy": 0.0}})]
    found["m4"] = []
    skipped = {"name": "PGD against AutoAttack", "status": "SKIP"}
    found["m5"] = [_verdict(checks=[skipped])]
    tables, notes = many_tables({**_record(["clean"]), **beside(found)})
    (table,) = (one for one in tables if one.title == "verdict")
    assert table.header[4:] == ("clean, %", "PGD, %", "strongest, %", "checks that warn or fail")
    assert [row[4:] for row in table.rows[:6]] == [
        ("90.0", "50.0", "45.0", "-"),
        ("90.0", "50.0", "25.0", "WARN: PGD against AutoAttack"),
        ("-", "-", "-", "-"),
        ("-", "-", "0.0", "-"),
        ("90.0", "50.0", "45.0", "-"),
        ("90.0", "50.0", "45.0", "-"),
    ]
    assert [row[0] for row in table.rows] == [name for name in MODELS if name != "m4"]
    assert "Without a verdict: m4." in notes
    assert "verdict, m1: version 1, not 4; not to be compared." in notes
    assert any("Of 200 images a share is known to 6.9 points" in note for note in notes)


def test_every_trial_is_in_the_ball_or_known_to_leave_it() -> None:
    assert set(TRIALS) - set(INSIDE) == {"pgd double eps", "pgd unbounded"}


def _under(fog: float, snow: float) -> list[dict[str, Any]]:
    parts = [("gaussian_fog", fog, True), ("snow", snow, False)]
    told = [
        {"kind": "corruption", "corruption": name, "accuracy": share, "comparable": whether}
        for name, share, whether in parts
    ]
    means = {"accuracy": fog, "clean_accuracy": 0.8, "robustness_score": math.nan}
    end = {"kind": "corruptions", "n": 10, "severities": [1, 2], "over": ["gaussian_fog"]}
    return [*({**one, "severity": None} for one in told), {**end, **means}]


def test_corruptions_are_summed_up_and_then_told_each() -> None:
    found = {name: _under(0.5, 0.1 * k) for k, name in enumerate(MODELS)}
    found["m8"] = [{**one, "severities": [1]} for one in found["m8"]]
    found["m7"] = []
    record = {**_record(["clean"]), **beside(found)}
    (_, sums, each), notes = many_tables(record)
    assert sums.title == "accuracy under corruptions, %"
    assert sums.header == ("model", "clean", "mean", "worst")
    assert sums.rows[1] == ("m1", "80.00", "50.00", "snow * 10.00")
    assert sums.rows[6] == ("m6", "80.00", "50.00", "gaussian fog 50.00")
    assert sums.rows[7] == ("m8", "80.00", "50.00 unlike", "gaussian fog 50.00 unlike")
    assert len(sums.rows) == len(each.rows) == len(MODELS) - 1
    assert "Without corruptions: m7." in notes
    assert each.header == ("model", "gaussian fog", "snow *")
    assert each.rows[2] == ("m2", "50.00", "20.00")
    assert "gaussian_fog, snow, mean, m8: severities 1, not 1,2; not to be compared." in notes
    assert not any(note.startswith("*") for note in notes)
    assert "Marked *: not the published corruption: in no mean." in notes
    assert len(many_tables(record, each_corruption=False)[0]) == 2


def test_a_verdict_of_one_model_is_a_table_of_one_row() -> None:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in MODELS}
    found["m3"] = [_verdict(), *_under(0.5, 0.4)]
    tables, notes = many_tables({**_record(["clean"]), **beside(found)})
    assert [len(one.rows) for one in tables] == [len(MODELS), 1, 1, 1]
    assert {one.rows[0][0] for one in tables[1:]} == {"m3"}
    others = ", ".join(name for name in MODELS if name != "m3")
    assert f"Without a verdict: {others}." in notes
    assert f"Without corruptions: {others}." in notes


def test_where_nothing_was_tested_the_tables_stand_all_the_same() -> None:
    for attacks in (["clean"], ["clean", "a", "b", "c"]):
        record = _record(attacks)
        for row in record["rows"]:
            row["cells"][1:] = [
                {**one, "p": None, "test": "", "unlike": "why"} for one in row["cells"][1:]
            ]
        (first, *_), notes = many_tables(record)
        assert len(first.rows) == len(MODELS)
        assert "unlike" in " ".join(first.rows[1])
        found = [note for note in notes if note.startswith("Nothing here can be compared with m0")]
        assert found[0].startswith(
            f"Nothing here can be compared with m0: {', '.join(attacks)}: why."
        )
        assert not any("exact test" in note or "p-value" in note for note in notes)


def test_what_is_true_of_many_is_said_once() -> None:
    found = [Remark(what, model, "so") for model in "ab" for what in ("fog", "snow", "c", "d")]
    found += [Remark("fog", "c", "so"), Remark("fog", "c", "otherwise")]
    assert gathered(found) == ["fog and 3 more, a, b: so.", "fog, c: so.", "fog, c: otherwise."]


def test_a_turned_table_has_a_row_for_each_model() -> None:
    table = turned("t", ["a", "b"], {"x": ["1", "2"], "y": ["3", "4"]})
    assert (table.header, table.rows) == (("model", "x", "y"), (("a", "1", "3"), ("b", "2", "4")))
