"""Results: accuracies, records that survive a file, and a table to read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from oracles import calibration as oracle
from vicinal import records
from vicinal._checks import InputError
from vicinal.evaluation.packing import unpack
from vicinal.evaluation.results import Results, Verdicts, passes_each
from vicinal.evaluation.threat import About, Threat


def _verdicts(correct: list[int], *, norms: list[float] | None = None, passes: int = 0) -> Verdicts:
    n = len(correct)
    return Verdicts(
        correct=torch.tensor(correct, dtype=torch.bool),
        norms=torch.zeros(n) if norms is None else torch.tensor(norms),
        forward=(passes + 1) * n,
        backward=passes * n,
        seconds=1.23456,
    )


def _results() -> Results:
    return Results(
        verdicts={
            "clean": _verdicts([1, 1, 1, 0]),
            "fgsm": _verdicts([1, 1, 0, 0], norms=[0.1, 0.1, 0.3, 0.2], passes=1),
            "pgd": _verdicts([0, 1, 1, 0], norms=[0.1, 0.1, 0.1, 0.1], passes=10),
        }
    )


def test_an_accuracy_is_asked_for_by_name() -> None:
    results = _results()
    assert list(results) == ["clean", "fgsm", "pgd"]
    assert (results["clean"], results["fgsm"], results["pgd"]) == (0.75, 0.5, 0.5)
    assert results["worst case"] == 0.25
    with pytest.raises(InputError, match=r"no attack 'pdg' .* Did you mean pgd"):
        results["pdg"]


def test_records_hold_every_figure() -> None:
    clean, fgsm, _, worst = _results().records
    assert clean["attack"] == "clean"
    assert clean["accuracy"] == 0.75
    assert clean["robustness_score"] == 1.0
    assert (clean["forward"], clean["backward"]) == (4, 0)
    assert fgsm == {
        "kind": "evaluation",
        "attack": "fgsm",
        "n": 4,
        "correct": 2,
        "accuracy": 0.5,
        "error": 0.5,
        "interval": pytest.approx([0.1500, 0.8500], abs=1e-4),
        "right": "wA==",
        "clean_accuracy": 0.75,
        "robustness_score": pytest.approx(2 / 3),
        "norm_median": pytest.approx(0.1),
        "norm_max": pytest.approx(0.3),
        "forward": 8,
        "backward": 4,
        "seconds": 1.235,
    }
    assert worst == {
        "kind": "evaluation",
        "attack": "worst case",
        "n": 4,
        "correct": 1,
        "accuracy": 0.25,
        "error": 0.75,
        "interval": pytest.approx([0.0456, 0.6994], abs=1e-4),
        "right": "QA==",
        "clean_accuracy": 0.75,
        "robustness_score": pytest.approx(1 / 3),
        "threat": None,
        "threat_model": "says no radius",
        "attacks": ["fgsm", "pgd"],
        "smaller": {},
        "digests": {},
        "left_out": {},
        "broken_by": {"clean": 1, "fgsm": 1, "pgd": 1},
    }


def test_one_attack_needs_no_worst_case() -> None:
    both = _results().verdicts
    few = Results(verdicts={name: both[name] for name in ("clean", "fgsm")})
    assert [record["attack"] for record in few.records] == ["clean", "fgsm"]


def test_json_lines_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    results = _results()
    results.to_jsonl(path)
    results.to_jsonl(str(path))
    found = records.read(path)
    assert found == 2 * [{"schema": records.SCHEMA, **record} for record in results.records]
    for line in path.read_text(encoding="utf-8").splitlines():
        assert json.loads(line)["kind"] == "evaluation"


def test_a_score_that_is_no_number_becomes_null(tmp_path: Path) -> None:
    """Of a model that is never right no share of accuracy is kept."""
    results = Results(verdicts={"clean": _verdicts([0, 0])})
    assert math.isnan(results.records[0]["robustness_score"])
    results.to_jsonl(tmp_path / "results.jsonl")
    assert records.read(tmp_path / "results.jsonl")[0]["robustness_score"] is None


def test_the_table_lines_up_whatever_the_names() -> None:
    long = "PGD(eps=0.03137254901960784, step_size=0.00784313725490196, steps=10, restarts=1)"
    both = _results().verdicts
    results = Results(verdicts={"clean": both["clean"], "fgsm": both["fgsm"], long: both["pgd"]})
    lines = str(results).splitlines()
    assert len(lines) == 5
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split() == ["attack", "accuracy", "%", "error", "%", "n", "passes"]
    assert lines[1].split() == ["clean", "75.00", "25.00", "4", "1+0"]
    assert lines[2].split() == ["fgsm", "50.00", "50.00", "4", "2+1"]
    assert lines[3].startswith(f"{long[:57]}... ")
    assert lines[3].split()[-1] == "11+10"
    assert lines[4].split() == ["worst", "case", "25.00", "75.00", "4"]


@pytest.mark.parametrize(
    ("forward", "backward", "text"),
    [(600, 0, "1+0"), (3998, 3950, "6.7+6.6"), (4196, 120_000, "7.0+200"), (None, 0, "")],
)
def test_passes_of_an_image_have_one_decimal_at_most(
    forward: int | None, backward: int, text: str
) -> None:
    costs = {} if forward is None else {"forward": forward, "backward": backward}
    assert passes_each({"n": 600, **costs}) == text
    verdict = replace(_verdicts([1] * 600), forward=forward or 0, backward=backward)
    if forward is not None:
        assert str(Results(verdicts={"clean": verdict})).splitlines()[1].split()[-1] == text


def test_the_worst_case_of_random_verdicts_is_that_of_a_loop() -> None:
    rows: list[Tensor] = list(torch.rand(4, 50) > 0.3)
    results = Results(
        verdicts={str(i): _verdicts(row.int().tolist()) for i, row in enumerate(rows)}
    )
    for i, found in enumerate(results.worst_case().tolist()):
        assert found == all(bool(row[i]) for row in rows)


CLASSES = 7
SCORES = {"top5_error", "ece", "nll", "brier", "reliability"}


def _predicted(k: int = CLASSES) -> Results:
    """Clean verdicts with their logits, and two attacks that break some more."""
    z, y = 2 * torch.randn(60, k), torch.randint(k - 1, (60,))
    right = z.argmax(dim=1) == y
    clean = replace(_verdicts(right.int().tolist()), logits=z, classes=y)
    broken = [_verdicts((right & (torch.rand(60) > 0.5)).int().tolist()) for _ in range(2)]
    return Results(verdicts={"clean": clean, "fgsm": broken[0], "pgd": broken[1]})


def _logits(results: Results) -> tuple[list[list[float]], list[int]]:
    clean = results.verdicts["clean"]
    assert clean.logits is not None
    assert clean.classes is not None
    return clean.logits.tolist(), clean.classes.tolist()


def test_clean_scores_are_those_of_loops_and_the_same_everywhere() -> None:
    results = _predicted()
    z, y = _logits(results)
    clean, *others = results.records
    assert clean["top5_error"] == results.top5_error
    assert clean["ece"] == results.ece
    assert clean["top5_error"] == pytest.approx(float(oracle.top_k_error(z, y, 5)), abs=1e-12)
    assert clean["ece"] == pytest.approx(float(oracle.calibration_error(z, y, 15)), abs=1e-9)
    assert clean["brier"] == pytest.approx(float(oracle.brier(z, y)), abs=1e-9)
    logs = [math.log(oracle.probabilities(row)[k]) for row, k in zip(z, y, strict=True)]
    assert clean["nll"] == pytest.approx(-sum(logs) / len(logs), abs=1e-9)
    bins = oracle.reliability(z, y, 15)
    assert clean["reliability"]["n"] == [n for n, _, _ in bins]
    for field, i in (("confidence", 1), ("accuracy", 2)):
        expected = [math.nan if one[i] is None else float(one[i] or 0) for one in bins]
        assert clean["reliability"][field] == pytest.approx(expected, nan_ok=True)
    assert all(not record.keys() & SCORES for record in others)


@pytest.mark.parametrize("attack", ["clean", "fgsm", "pgd", "worst case"])
def test_the_accuracy_of_each_class_is_told_for_every_column(attack: str) -> None:
    results = _predicted()
    _, y = _logits(results)
    right = results.worst_case() if attack == "worst case" else results.verdicts[attack].correct
    exact = oracle.per_class(right.tolist(), y, CLASSES)
    (record,) = (one for one in results.records if one["attack"] == attack)
    assert record["per_class"]["n"] == [n for n, _ in exact]
    assert record["per_class"]["n"] == [one.n for one in results.per_class(attack)]
    shares = [math.nan if share is None else float(share) for _, share in exact]
    assert math.isnan(shares[-1])  # the last class has no image
    for found in (
        record["per_class"]["accuracy"],
        [one.accuracy for one in results.per_class(attack)],
    ):
        assert found == pytest.approx(shares, nan_ok=True)


@pytest.mark.parametrize(("k", "there"), [(5, False), (6, True)])
def test_five_guesses_are_told_of_where_they_can_miss(k: int, there: bool) -> None:
    results = _predicted(k)
    assert ("top5_error" in results.records[0]) == there
    assert (results.top5_error is not None) == there
    assert ("top-5 error" in str(results)) == there
    assert SCORES - results.records[0].keys() == (set() if there else {"top5_error"})


def test_below_the_table_stands_what_the_clean_images_say_more() -> None:
    results = _predicted()
    *rows, last = str(results).splitlines()
    assert len({len(row) for row in rows}) == 1
    assert results.top5_error is not None
    assert last == (
        f"clean: top-5 error {100 * results.top5_error:.2f} %, "
        f"calibration error (ECE) {100 * results.ece:.2f} %"
    )


def test_the_new_fields_survive_a_file_and_the_schema_stays(tmp_path: Path) -> None:
    results = _predicted()
    results.to_jsonl(tmp_path / "results.jsonl")
    found = records.read(tmp_path / "results.jsonl")
    for there, exact in zip(found, results.records, strict=True):
        assert there == json.loads(records.line(exact))
        assert there["schema"] == 1
        assert there["per_class"]["accuracy"][-1] is None


def test_results_without_logits_say_so() -> None:
    results = _results()
    asked: list[Callable[[], object]] = [
        lambda: results.ece,
        lambda: results.top5_error,
        results.per_class,
    ]
    for ask in asked:
        with pytest.raises(InputError, match="no logits and classes of clean images"):
            ask()
    with pytest.raises(InputError, match="no attack 'pdg'"):
        _predicted().per_class("pdg")


def _about(eps: float | None, norm: str = "linf") -> About:
    threat = None if eps is None else Threat(norm=norm, eps=eps)
    return About(threat=threat, access="", parameters={})


def test_attacks_outside_the_threat_model_stand_beside_the_worst_case() -> None:
    both = _results().verdicts
    verdicts = {
        "clean": both["clean"],
        "inside": replace(both["fgsm"], about=_about(0.1)),
        "same": replace(_verdicts([1, 1, 1, 0]), about=_about(0.1)),
        "says nothing": replace(both["pgd"], about=_about(None)),
        "unbounded": replace(_verdicts([0, 0, 0, 0]), about=_about(math.inf)),
        "larger": replace(_verdicts([0, 0, 0, 0]), about=_about(0.2)),
        "other norm": replace(_verdicts([0, 0, 0, 0]), about=_about(0.1, "l2")),
    }
    results = Results(verdicts=verdicts)
    assert results.counted == ["inside", "same", "says nothing"]
    assert results["worst case"] == 0.25
    assert results.broken_by() == ["says nothing", None, "inside", "clean"]
    record = results.records[-1]
    assert record["threat"] == "linf 0.1"
    assert record["left_out"] == {
        "unbounded": "linf unbounded",
        "larger": "linf 51/255 (0.2)",
        "other norm": "l2 0.1",
    }
    assert record["broken_by"] == {"clean": 1, "inside": 1, "says nothing": 1}
    assert str(results).splitlines()[-1] == (
        "worst case: linf 0.1; not in it: unbounded, larger, other norm"
    )
    other = Results(verdicts=verdicts, threat=Threat(norm="linf", eps=0.2))
    assert other.counted == ["inside", "same", "says nothing", "larger"]
    assert other["worst case"] == 0.0
    assert other.records[-1]["smaller"] == {"inside": "linf 0.1", "same": "linf 0.1"}


@pytest.mark.parametrize("eps", [0.0314, 8 / 255, 0.03137, float(torch.tensor(8 / 255))])
def test_a_radius_need_not_be_the_same_float_to_count(eps: float) -> None:
    both = _results().verdicts
    verdicts = {
        "clean": both["clean"],
        "a": replace(both["fgsm"], about=_about(8 / 255)),
        "b": replace(both["pgd"], about=_about(0.03137)),
    }
    for results in (
        Results(verdicts=verdicts),
        Results(verdicts=verdicts, threat=Threat(norm="linf", eps=eps)),
    ):
        assert results.counted == ["a", "b"]
        assert results["worst case"] == 0.25
        smaller = {"a": "linf 8/255 (0.03137)", "b": "linf 0.03137"}
        expected = smaller if results.threat_model == Threat(norm="linf", eps=0.0314) else {}
        assert results.records[-1]["smaller"] == expected


@pytest.mark.parametrize("threat", [Threat(norm="linf", eps=0.05), Threat(norm="l2", eps=0.1)])
def test_where_no_attack_counts_there_is_no_worst_case_but_a_sentence(threat: Threat) -> None:
    both = _results().verdicts
    attacked = {name: replace(both[name], about=_about(0.1)) for name in ("fgsm", "pgd")}
    results = Results(verdicts={"clean": both["clean"], **attacked}, threat=threat)
    asked: list[Callable[[], object]] = [
        results.worst_case,
        results.broken_by,
        lambda: results["worst case"],
    ]
    for ask in asked:
        with pytest.raises(InputError, match=rf"it is {threat}, they are fgsm \(linf 0.1\), pgd"):
            ask()
    assert [record["attack"] for record in results.records] == ["clean", "fgsm", "pgd"]
    assert str(results).splitlines()[-1].startswith("no worst case: `threat` must hold")


def test_a_worst_case_says_what_each_of_its_attacks_is() -> None:
    both = _results().verdicts

    def digests(*, steps: int = 1, source: str | None = None) -> dict[str, str]:
        about = replace(_about(0.1), parameters={"class": "PGD", "steps": steps}, source=source)
        attacked = {"fgsm": replace(both["fgsm"], about=about), "pgd": both["pgd"]}
        record = Results(verdicts={"clean": both["clean"], **attacked}).records[-1]
        assert record["attacks"] == ["fgsm", "pgd"]
        found: dict[str, str] = record["digests"]
        return found

    assert list(digests()) == ["fgsm"]  # of the other nothing is said
    assert digests() == digests()
    assert digests() != digests(steps=40)
    assert digests(source="a") != digests(source="b")


def test_who_broke_an_image_is_the_first_in_order_as_a_loop_says() -> None:
    rows = {name: (torch.rand(50) > 0.3) for name in ("clean", "a", "b", "c")}
    results = Results(verdicts={name: _verdicts(row.int().tolist()) for name, row in rows.items()})
    for i, found in enumerate(results.broken_by()):
        assert found == next((name for name, row in rows.items() if not row[i]), None)


def test_attacks_without_any_ball_have_no_worst_case() -> None:
    both = _results().verdicts
    free = {name: replace(both[name], about=_about(math.inf)) for name in ("fgsm", "pgd")}
    results = Results(verdicts={"clean": both["clean"], **free})
    assert [record["attack"] for record in results.records] == ["clean", "fgsm", "pgd"]
    with pytest.raises(InputError, match=r"no attack has a radius; got fgsm \(linf unbounded\)"):
        results.worst_case()
    assert Results(verdicts={"clean": both["clean"]})["worst case"] == results["clean"]


def test_records_hold_the_verdict_on_every_image() -> None:
    results = _predicted()
    for record in results.records:
        right = unpack(record["right"], n=record["n"])
        name = record["attack"]
        told = results.worst_case() if name == "worst case" else results.verdicts[name].correct
        assert torch.equal(right, told)
        low, high = record["interval"]
        assert 0 <= low <= record["accuracy"] <= high <= 1


def test_the_median_distance_counts_the_wrong_as_0_and_the_unbroken_as_infinite() -> None:
    clean = Verdicts(
        correct=torch.tensor([True, True, True, False, True]),
        norms=torch.zeros(5),
        forward=5,
        backward=0,
        seconds=0.0,
    )

    def median(unbroken: list[bool], *, eps: float = math.inf) -> object:
        found = replace(
            clean,
            correct=torch.tensor(unbroken),
            norms=torch.tensor([1.0, 2.0, 3.0, 9.0, 4.0]),
            about=About(threat=Threat(norm="l2", eps=eps), access="", parameters={}),
        )
        return Results(verdicts={"clean": clean, "cw": found}).records[1].get("distance_median")

    assert median([False] * 5) == 2.0  # of 0, 1, 2, 3, 4
    assert median([True, False, False, False, False]) == 3.0
    assert median([True, True, True, False, False]) == math.inf
    assert median([False] * 5, eps=1.0) is None
