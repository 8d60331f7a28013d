"""Results: accuracies, records that survive a file, and a table to read."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vicinal import records
from vicinal._checks import InputError
from vicinal.evaluation.results import Results, Verdicts


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
        "robustness_score": pytest.approx(1 / 3),
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


def test_the_worst_case_of_random_verdicts_is_that_of_a_loop() -> None:
    rows: list[Tensor] = list(torch.rand(4, 50) > 0.3)
    results = Results(
        verdicts={str(i): _verdicts(row.int().tolist()) for i, row in enumerate(rows)}
    )
    for i, found in enumerate(results.worst_case().tolist()):
        assert found == all(bool(row[i]) for row in rows)
