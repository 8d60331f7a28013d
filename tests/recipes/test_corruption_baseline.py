"""What a run may be compared with: what is read of its file, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vicinal import records
from vicinal._checks import InputError
from vicinal.corruptions import SETS
from vicinal.evaluation import CorruptionResults
from vicinal.recipes.corruption_baseline import IMAGENET, Setting, baseline_of, fitting

OWN = Setting(dataset="digits", split="test", n=10)
FACTS = {"dataset": "digits", "split": "test", "files": None, "seed": 0, "command": None}


def found(right: dict[str, int], *, severities: str = "12345", n: int = 10) -> CorruptionResults:
    correct = {name: dict.fromkeys(map(int, severities), k) for name, k in right.items()}
    ece = {name: dict.fromkeys(map(int, severities), k / 100) for name, k in right.items()}
    return CorruptionResults(
        correct=correct,
        n=n,
        clean_correct=n - 1,
        clean_n=n,
        aside=frozenset({"frost"}),
        ece=ece,
        clean_ece=0.02,
    )


def keep(folder: Path, results: CorruptionResults, **facts: Any) -> str:
    for record in results.records:
        records.append(folder / "results.jsonl", {**record, **FACTS, **facts})
    return str(folder)


def test_a_baseline_is_of_what_its_mean_is_over(tmp_path: Path) -> None:
    """All nineteen are in the file, and fourteen in the mean that stands there."""
    run = keep(tmp_path, found({name: 5 + k % 3 for k, name in enumerate(SETS["all"])}))
    mean = records.read(tmp_path / "results.jsonl")[-1]
    own = baseline_of(run)
    assert list(own.errors) == mean["over"]
    assert len(own.errors) == 14
    assert sum(own.errors.values()) / 14 == pytest.approx(mean["error"])


def test_a_baseline_is_one_evaluation_the_last(tmp_path: Path) -> None:
    """Errors, severities and clean error are those of one; facts tell namesakes apart."""
    keep(tmp_path, found({"fog": 1, "snow": 2, "brightness": 3}, severities="5"))
    keep(tmp_path, found({"fog": 4, "snow": 4}, n=20), seed=3)
    run = keep(tmp_path, found({"brightness": 8}, n=20))
    own = baseline_of(run)
    assert own.errors == pytest.approx({"brightness": 0.6})
    assert own.clean == pytest.approx(0.05)
    keep(tmp_path, found({"fog": 7, "brightness": 9}))
    assert baseline_of(run).errors == pytest.approx({"fog": 0.3, "brightness": 0.1})


def test_records_of_another_evaluation_between_are_passed_over(tmp_path: Path) -> None:
    """Two at a time write in turns; and one was killed before it closed."""
    file = tmp_path / "results.jsonl"
    mine, others = found({"fog": 5}), found({"fog": 1})
    for record in mine.records[:-1]:
        records.append(file, {**record, **FACTS, "seed": 1})
    for record in others.records[:-1]:
        records.append(file, {**record, **FACTS, "seed": 2})
    records.append(file, {**mine.records[-1], **FACTS, "seed": 1})
    assert baseline_of(str(tmp_path)).errors == pytest.approx({"fog": 0.5})
    # After the last that is whole: what a kill left; and one of other images, in the same second.
    for others in (found({"fog": 2}), found({"fog": 3}, n=20)):
        for record in others.records[:-1]:
            records.append(file, {**record, **FACTS, "seed": 1})
    assert baseline_of(str(tmp_path)).errors == pytest.approx({"fog": 0.5})
    records.append(file, {**found({"fog": 2}).records[-1], **FACTS, "seed": 1})
    assert baseline_of(str(tmp_path)).errors == pytest.approx({"fog": 0.8})


def test_what_was_judged_otherwise_is_told_and_refused(tmp_path: Path) -> None:
    run = keep(tmp_path, found({"fog": 5, "snow": 4}))
    assert fitting(run, OWN, ["fog"]).errors == pytest.approx({"fog": 0.5})
    changes: dict[str, Any] = {
        "dataset": "cifar10",
        "files": "cifar10-c",
        "split": "validation",
        "n": 20,
    }
    for name, value in changes.items():
        before = FACTS.get(name, 10)
        with pytest.raises(InputError, match=rf"was last on {name} {before}, not {value}\. Judge"):
            fitting(run, replace(OWN, **{name: value}), ["fog"])
    with pytest.raises(InputError, match=r"n 10, not 9\. "):
        fitting(run, replace(OWN, n=9), ["fog"])
    with pytest.raises(InputError, match="split test, not validation and n 10, not 9"):
        fitting(run, replace(OWN, n=9, split="validation"), ["fog"])
    with pytest.raises(InputError, match=r"`severities` must be 1-5 beside a baseline.* got 1,5"):
        fitting(run, replace(OWN, severities=(1, 5)), ["fog"])
    with pytest.raises(
        InputError, match=r"under the corruptions that the run is; .* contrast, only"
    ):
        fitting(run, OWN, ["fog", "contrast"])


def test_less_than_five_severities_is_no_baseline(tmp_path: Path) -> None:
    run = keep(tmp_path, found({"fog": 5}, severities="15"))
    with pytest.raises(InputError, match=r"all five severities; .* was at \[1, 5\]"):
        baseline_of(run)


def test_published_errors_stand_beside_imagenet_alone() -> None:
    for name in ("alexnet", "alexnet-robustbench"):
        for dataset in IMAGENET[:2]:
            assert fitting(name, replace(OWN, dataset=dataset), ["fog"]) == baseline_of(name)
        there = replace(OWN, dataset="imagenet", files="imagenet-c")
        assert fitting(name, there, ["fog"]) == baseline_of(name)
        with pytest.raises(InputError, match="must be a run judged on digits; alexnet"):
            fitting(name, OWN, ["fog"])
        with pytest.raises(InputError, match="judged on tiny-imagenet-c"):
            fitting(name, replace(there, files="tiny-imagenet-c"), ["fog"])
    with pytest.raises(InputError, match="1-5 beside a baseline"):
        fitting("alexnet", replace(OWN, dataset="imagenet", severities=(3,)), ["fog"])
