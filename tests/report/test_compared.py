"""A comparison as a document."""

from __future__ import annotations

from typing import Any

from vicinal.report.beside import beside
from vicinal.report.compared import (
    comparison_markdown,
    comparison_tables,
    many_origins,
    origins,
)

CELL = {"accuracy": 0.5, "interval": [0.2, 0.8], "n": 8, "p": None, "test": "", "unlike": ""}
ROWS = [
    {"attack": "worst case", "cells": [CELL, None]},
    {"attack": "pgd", "cells": [CELL, None]},
    {"attack": "clean", "cells": [CELL, {**CELL, "p": 0.5, "test": "Fisher"}]},
]
RECORD: dict[str, Any] = {"names": ["a", "b"], "level": 0.05, "rows": ROWS}
NEW = {
    "command": "vicinal evaluate a",
    "seed": 3,
    "train_seed": 1,
    "circumstances": {
        "vicinal": "0.1.0",
        "torch": "2.6.0",
        "python": "3.11.1",
        "processor": "CPU X",
        "accelerator": None,
        "cores": 4,
        "threads": 2,
        "date": "2026-01-02T03:04:05+00:00",
    },
}
OLD = {
    "hardware": "CPU Y, 2 cores",
    "threads": 1,
    "versions": {"vicinal": "0.0.9", "torch": "2.6.0", "python": "3.12.0"},
    "date": "2025-01-02T03:04:05+00:00",
}


def test_clean_stands_first_and_the_worst_case_last() -> None:
    (table,), _ = comparison_tables(RECORD)
    assert [row[0] for row in table.rows] == ["clean", "pgd", "worst case"]


def test_origins_come_from_new_records_and_from_those_of_campaigns() -> None:
    found = {"a": [NEW, {**NEW, "command": "vicinal evaluate a --n 5"}], "b": [OLD]}
    rows = {row[0]: row[1:] for row in origins(found).rows}
    assert rows == {
        "seed of training": ("1", "-"),
        "seed": ("3", "-"),
        "command": ("vicinal evaluate a; vicinal evaluate a --n 5", "-"),
        "date": ("2026-01-02", "2025-01-02"),
        "hardware": ("CPU X, 4 cores", "CPU Y, 2 cores"),
        "threads": ("2", "1"),
        "versions": (
            "vicinal 0.1.0, torch 2.6.0, python 3.11.1",
            "vicinal 0.0.9, torch 2.6.0, python 3.12.0",
        ),
    }


def test_an_accelerator_is_the_hardware() -> None:
    where = {**NEW["circumstances"], "accelerator": "GPU Z"}  # type: ignore[dict-item]
    rows = {row[0]: row[1] for row in origins({"a": [{"circumstances": where}]}).rows}
    assert rows["hardware"] == "GPU Z, 4 cores"


def _many(**facts: list[Any]) -> list[dict[str, str]]:
    """Tell as `many_origins` does, each table as a dictionary by its first column."""
    found = {
        f"m{k}": [dict(zip(facts, words, strict=True))]
        for k, words in enumerate(zip(*facts.values(), strict=True))
    }
    tables = many_origins(origins(found))
    return [{row[0]: " ".join(row[1:]) for row in (one.header, *one.rows)} for one in tables]


def test_what_all_models_share_is_told_once() -> None:
    commands = [f"vicinal evaluate {name} --n 9 --out o/{name}" for name in ("a", "b")]
    shared, own = _many(seed=[0, 0], method=["x", "y"], command=commands, objective=["X()", "Y()"])
    assert shared["seed"] == "0"
    assert shared["command"] == "vicinal evaluate {1} --n 9 --out {2}"
    assert own == {"model": "method {1} {2}", "m0": "x a o/a", "m1": "y b o/b"}


def test_commands_that_differ_in_more_than_words_are_told_in_full() -> None:
    _, own = _many(seed=[0, 0], command=["vicinal evaluate a", "vicinal evaluate b --n 5"])
    assert own["m1"] == "vicinal evaluate b --n 5"
    _, own = _many(seed=[0, 0], command=["1 2 3 4 5", "a b c d e"])
    assert (own["model"], own["m1"]) == ("command", "a b c d e")


def test_the_objective_is_told_where_the_method_does_not_say_it() -> None:
    for methods in (["custom", "y"], [None, "y"]):
        _, own = _many(seed=[0, 0], method=methods, objective=["X()", "Y()"])
        assert "X()" in own["m0"]
    (only,) = _many(seed=[0, 0])
    assert only["seed"] == "0"


def test_the_document_holds_every_table_and_the_commands() -> None:
    verdict = {"kind": "verdict", "status": "PASS", "threat": "linf 0.1"}
    found: dict[str, list[dict[str, Any]]] = {"a": [NEW, verdict], "b": [OLD]}
    told = comparison_markdown({**RECORD, **beside(found)}, found, command="vicinal compare a b")
    assert told.startswith("# a beside b\n")
    assert "| clean | 8 | 50.00 [20.0, 80.0] | 50.00 [20.0, 80.0] | 0.5 |" in told
    assert "| a | PASS | linf 0.1 | - | - |" in told
    assert "- One net each: p-values are about these weights, not about the methods." in told
    assert "| command | vicinal evaluate a | - |" in told
    assert told.endswith("    vicinal compare a b\n")
