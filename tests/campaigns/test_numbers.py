"""The statistics of a cell, against NumPy; and what a record tells of how it came about."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal import records
from vicinal.campaigns.numbers import cell_record, summary, table_record
from vicinal.campaigns.plan import Plan, Request, make_plan, measurement
from vicinal.campaigns.tables import Cell


@given(st.lists(st.floats(0, 100), min_size=2, max_size=20))
def test_mean_and_sample_deviation_are_numpys(values: list[float]) -> None:
    mean, std = summary(values)
    assert mean == pytest.approx(np.mean(values))
    assert std == pytest.approx(np.std(values, ddof=1), abs=1e-9)


@pytest.fixture
def plan(tmp_path: Path, tiny: dict[str, Any]) -> Plan:
    request = Request(
        table="alps/table-2", scale="smoke", seeds=(0, 1, 2), out=tmp_path, overrides=tiny
    )
    return make_plan(request)


def write(plan: Plan, cell: Cell, seed: int, **fields: Any) -> None:
    """Put a measurement of a cell into the run folder of a seed."""
    facts = plan.facts[str(cell.recipe)]
    attack, n = measurement(cell, facts)
    folder = facts.folder / f"{cell.key}-seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    basic = {"attack": attack, "n": n, "hardware": "here", "threads": 1, "date": "today"}
    records.append(folder / "results.jsonl", {**basic, **fields})


def test_a_cell_holds_per_cent_of_each_seed_beside_the_papers_number(plan: Plan) -> None:
    cell = plan.cells[0]
    for seed, error in ((0, 0.05), (2, 0.07)):
        write(plan, cell, seed, error=error, accuracy=1 - error)
    found = cell_record(plan, {}, cell=cell, command="c")
    assert found["values"] == pytest.approx([5.0, 7.0])
    assert found["seeds"] == [0, 2]
    assert (found["n"], found["status"], found["paper"]) == (2, "ok", 6.13)
    assert found["mean"] == pytest.approx(6.0)
    assert found["std"] == pytest.approx(math.sqrt(2))


def test_numbers_of_other_seeds_attacks_and_sizes_stay_out(plan: Plan) -> None:
    cell = plan.cells[0]
    write(plan, cell, 7, error=0.5)
    write(plan, cell, 0, error=0.5, attack="fgsm(eps=0.1)")
    write(plan, cell, 0, error=0.5, n=3)
    found = cell_record(plan, {}, cell=cell, command="c")
    assert (found["n"], found["mean"], found["status"]) == (0, None, "not run")


def test_an_accuracy_is_read_as_one(plan: Plan) -> None:
    cell = replace(plan.cells[0], metric="accuracy")
    write(plan, cell, 0, error=0.25, accuracy=0.75)
    assert cell_record(plan, {}, cell=cell, command="c")["values"] == [75.0]


def test_top1_and_top5_come_from_one_measurement(plan: Plan) -> None:
    write(plan, plan.cells[0], 0, error=0.25, accuracy=0.75, top5_error=0.125)
    cells = [replace(plan.cells[0], metric=metric) for metric in ("top1_error", "top5_error")]
    found = [cell_record(plan, {}, cell=cell, command="c") for cell in cells]
    assert [one["values"] for one in found] == [[25.0], [12.5]]


def test_a_measurement_of_an_older_version_has_no_top5_error(plan: Plan) -> None:
    write(plan, plan.cells[0], 0, error=0.25, accuracy=0.75)
    write(plan, plan.cells[0], 1, error=0.25, accuracy=0.75, top5_error=0.5)
    cell = replace(plan.cells[0], metric="top5_error")
    found = cell_record(plan, {}, cell=cell, command="c")
    assert (found["values"], found["seeds"], found["status"]) == ([50.0], [1], "ok")
    alone = cell_record(
        replace(plan, request=replace(plan.request, seeds=(0,))), {}, cell=cell, command="c"
    )
    assert (alone["values"], alone["status"]) == ([], "not run")


@pytest.mark.parametrize(
    ("fields", "failures", "status"),
    [
        ({}, {}, "not run"),
        ({}, {"train digits-digits_net-smoke erm-seed1": "why"}, "failed"),
        ({}, {"train digits-digits_net-smoke alps-seed1": "why"}, "not run"),
        ({"recipe": None}, {}, "no data"),
        ({"key": "cited"}, {}, "cited"),
    ],
)
def test_a_cell_without_a_number_says_why(
    plan: Plan, fields: dict[str, Any], failures: dict[str, str], status: str
) -> None:
    cell = replace(plan.cells[0], **fields)
    assert cell_record(plan, failures, cell=cell, command="c")["status"] == status


def test_evaluations_of_several_machines_name_them_all(plan: Plan) -> None:
    cell = plan.cells[0]
    for seed, machine in enumerate(("here", "there", "here")):
        write(plan, cell, seed, error=0.1, hardware=machine)
    found = cell_record(plan, {}, cell=cell, command="c")
    assert found["hardware"] == ["here", "there"]
    assert found["threads"] == 1
    head = table_record(plan, {}, numbers=[found], command="c")
    assert (head["hardware"], head["threads"]) == ("here; there", "1")
    assert head["seeds"] == [0, 1, 2]


def test_a_robustness_score_is_no_per_cent(tmp_path: Path, tiny: dict[str, Any]) -> None:
    request = Request(
        table="m-tlat/table-1", scale="smoke", seeds=(0,), out=tmp_path, overrides=tiny
    )
    plan = make_plan(request)
    cell = next(cell for cell in plan.cells if cell.condition.startswith("PGD-10"))
    write(plan, cell, 0, accuracy=0.4, error=0.6, robustness_score=0.5)
    found = cell_record(plan, {}, cell=cell, command="c")
    assert (found["status"], found["mean"], found["decimals"]) == ("ok", 0.5, 2)
    other = next(c for c in plan.cells if c.threat and c.key != cell.key)
    write(plan, other, 0, accuracy=0.0, error=1.0, robustness_score=None)
    assert cell_record(plan, {}, cell=other, command="c")["status"] == "undefined"


def test_what_cannot_be_measured_says_why_by_its_status(
    tmp_path: Path, tiny: dict[str, Any]
) -> None:
    def statuses(table: str, scale: str) -> set[str]:
        request = Request(table=table, scale=scale, seeds=(0,), out=tmp_path, overrides=tiny)
        plan = make_plan(request)
        found = (cell_record(plan, {}, cell=cell, command="c") for cell in plan.cells)
        return {record["status"] for record in found}

    assert statuses("bat/table-2", "smoke") == {"not run"}
    assert statuses("bat/table-9", "smoke") == {"cited", "not run"}
    assert statuses("bat/table-9", "full") == {"cited", "no data"}
    assert statuses("m-tlat/table-1", "smoke") == {"not run"}
