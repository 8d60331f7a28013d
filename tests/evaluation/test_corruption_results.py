"""The figures against loops over a made-up table of counts."""

from __future__ import annotations

import json
import math
import random

import pytest

from vicinal import records
from vicinal._checks import InputError
from vicinal.corruptions import SETS
from vicinal.evaluation import CorruptionResults
from vicinal.metrics import BASELINES, Baseline

N = 200
ALL = SETS["all"]


def drawn(**changes: object) -> CorruptionResults:
    rng = random.Random(5)
    correct = {name: {s: rng.randrange(N) for s in range(1, 6)} for name in ALL}
    given = {"correct": correct, "n": N, "clean_correct": 90, "clean_n": 100}
    return CorruptionResults(**{**given, **changes})  # type: ignore[arg-type]


def test_means_and_ratios_match_loops() -> None:
    found, total = drawn(), 0.0
    for name in ALL:
        under = sum(found.correct[name][s] / N for s in range(1, 6)) / 5
        assert found.accuracy(name) == pytest.approx(under)
        assert found.robustness(name) == pytest.approx(under / 0.9)
        total += under if name in SETS["common"] else 0.0
    assert found.mean == pytest.approx(total / 15)
    assert found.over == SETS["common"]
    alex, mce = BASELINES["alexnet"], 0.0
    for name in SETS["common"]:
        mce += sum(1 - found.correct[name][s] / N for s in range(1, 6)) / (5 * alex.errors[name])
    assert found.mce(alex) == pytest.approx(100 * mce / 15)


def test_what_cannot_be_compared_is_in_no_mean() -> None:
    found = drawn(aside=frozenset({"frost"}))
    assert found.over == tuple(name for name in SETS["common"] if name != "frost")
    assert found.mean == pytest.approx(sum(map(found.accuracy, found.over)) / 14)
    assert "frost" not in found.errors()
    assert math.isnan(found.mce(BASELINES["alexnet"]))
    frost = [r for r in found.records if r.get("corruption") == "frost"]
    assert len(frost) == 6
    assert not any(record["comparable"] for record in frost)
    assert found.records[-1]["aside"] == ["frost"]
    assert "* not comparable" in str(found)


def test_the_mean_calibration_error_is_over_what_the_mean_is_over() -> None:
    ece = {name: {s: 0.01 * s * (k + 1) for s in range(1, 6)} for k, name in enumerate(ALL)}
    found = drawn(ece=ece, clean_ece=0.02, aside=frozenset({"frost"}))
    assert found.mean_ece == pytest.approx(
        sum(sum(ece[name].values()) / 5 for name in found.over) / len(found.over)
    )
    assert f"(ECE) 2.00 clean, {100 * found.mean_ece:.2f} mean" in str(found)
    assert "ece" not in drawn().records[0]
    assert "ece" not in drawn().records[-1]


def test_a_mean_over_other_corruptions_says_which() -> None:
    correct = {name: {3: 100} for name in ("rotation", "occlusion")}
    found = drawn(correct=correct)
    assert (found.over, found.severities) == (("rotation", "occlusion"), (3,))
    assert found.mean == 0.5
    assert math.isnan(found.mce(Baseline(name="mine", errors={"rotation": 0.5})))


def test_a_net_is_its_own_baseline() -> None:
    found = drawn()
    own = found.as_baseline("mine")
    assert own.clean == pytest.approx(0.1)
    assert found.mce(own) == pytest.approx(100)
    assert found.relative_mce(own) == pytest.approx(100)


def test_mce_is_over_what_the_mean_is_over() -> None:
    """Fourteen where frost is set aside, whatever else the two were judged under."""
    found, other = drawn(aside=frozenset({"frost"})), drawn(clean_correct=80)
    right = {name: {s: k // 2 + s for s, k in by.items()} for name, by in other.correct.items()}
    other = drawn(correct=right, aside=frozenset({"frost"}))
    base, total = other.as_baseline("other"), 0.0
    assert tuple(base.errors) == found.over
    for name in found.over:
        ours, theirs = (
            sum(1 - one.correct[name][s] / N for s in range(1, 6)) for one in (found, other)
        )
        total += ours / theirs
    assert found.mce(base) == pytest.approx(100 * total / 14)
    # A baseline that was put together of all of its errors is taken at those of the mean.
    every = {name: sum(values) / 5 for name, values in other.errors().items()}
    assert len(every) == 18
    mine = Baseline(name="other", errors=every, clean=0.1)
    assert found.mce(mine) == pytest.approx(100 * total / 14)
    assert found.relative_mce(mine) == pytest.approx(found.relative_mce(base))
    fewer = Baseline(name="other", errors={"fog": 0.5}, clean=0.1)
    assert math.isnan(found.mce(fewer))


def test_a_mean_over_two_severities_is_no_baseline() -> None:
    with pytest.raises(InputError, match="all five severities; fog was at 1, 5"):
        drawn(correct={"fog": {1: 100, 5: 50}}).as_baseline("mine")
    more = {"fog": dict.fromkeys(range(1, 6), 100), "rotation": {3: 100}}
    assert drawn(correct=more).as_baseline("mine").errors == {"fog": 0.5}


def test_a_mean_says_what_it_is_over() -> None:
    frost = frozenset({"frost"})
    told = "14 of ImageNet-C's 15: frost is procedural here; 4 more rows are in no mean"
    assert drawn(aside=frost).mean_of == told
    assert drawn(aside=frost).records[-1]["mean_of"] == told
    assert f"mean over {told}" in str(drawn(aside=frost))
    some = {name: drawn().correct[name] for name in SETS["common"]}
    assert drawn(correct=some).mean_of == "15 of ImageNet-C's 15"
    assert drawn(correct=some, aside=frost | {"fog"}).mean_of == (
        "13 of ImageNet-C's 15: frost and fog are procedural here"
    )
    assert drawn(correct={"rotation": {1: 3}}).mean_of == "1 outside ImageNet-C's 15"
    assert drawn(correct={"frost": {1: 3}, "fog": {1: 3}}).mean_of == "2 of ImageNet-C's 15"


def test_records_are_json_and_add_up() -> None:
    found = drawn(baseline=BASELINES["alexnet"], forward=7, seconds=1.23456)
    rows = [json.loads(records.line(record)) for record in found.records]
    assert [row["kind"] for row in rows] == ["corruption"] * (19 * 6) + ["corruptions"]
    for row in rows[:-1]:
        assert row["accuracy"] == pytest.approx(row["correct"] / row["n"])
        assert row["error"] == pytest.approx(1 - row["accuracy"])
        assert row["robustness_score"] == pytest.approx(row["accuracy"] / 0.9)
        assert row["n"] == (N if row["severity"] else 5 * N)
    last = rows[-1]
    assert (last["over"], last["severities"]) == (list(SETS["common"]), [1, 2, 3, 4, 5])
    assert last["clean_accuracy"] == pytest.approx(0.9)
    assert last["baseline"] == BASELINES["alexnet"].name
    assert last["mce"] == pytest.approx(found.mce(BASELINES["alexnet"]))
    assert (last["forward"], last["seconds"]) == (7, 1.235)


def test_without_clean_twins_there_is_no_ratio() -> None:
    found = drawn(clean_correct=0, clean_n=0)
    assert math.isnan(found.clean)
    assert math.isnan(found.robustness("fog"))
    assert json.loads(records.line(found.records[0]))["robustness_score"] is None


def test_what_was_not_judged_is_one_sentence() -> None:
    found = drawn(correct={"fog": {1: 3}})
    with pytest.raises(InputError, match="must be fog"):
        found.accuracy("snow")
    with pytest.raises(InputError, match="that was judged, 1; got 2"):
        found.accuracy("fog", 2)


def test_the_table_shows_every_corruption_and_the_baselines_name() -> None:
    shown = str(drawn(baseline=BASELINES["alexnet"]))
    assert all(name in shown for name in ALL)
    assert "AlexNet" in shown
    assert "A_clean 90.00" in shown


def test_mce_is_no_number_where_one_corruption_lacks_a_severity() -> None:
    """Whatever corruptions that the baseline does not have were judged at."""
    own = Baseline(name="mine", errors={"fog": 0.5, "snow": 0.5}, clean=0.05)
    five = dict.fromkeys(range(1, 6), 100)
    less = {**drawn().correct, "fog": five, "snow": {1: 100, 5: 100}}
    found = drawn(correct=less)
    assert math.isnan(found.mce(own))
    assert math.isnan(found.relative_mce(own))
    whole = drawn(correct={"fog": five, "snow": five, "rotation": {3: 100}})
    assert whole.mce(own) == pytest.approx(100)
    assert not math.isnan(whole.relative_mce(own))
