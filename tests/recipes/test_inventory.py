"""What there is: complete, and described by its own docstrings."""

from __future__ import annotations

from vicinal.attacks import ATTACKS
from vicinal.data import DATASETS, FOLDERS
from vicinal.models import MODELS
from vicinal.objectives import OBJECTIVES
from vicinal.recipes import files, inventory


def test_every_objective_is_a_sentence_with_passes_and_paper() -> None:
    rows = inventory.methods()
    assert [row["objective"] for row in rows] == list(OBJECTIVES)
    for row in rows:
        assert all(row[field] for field in ("input", "label", "passes", "paper")), row


def test_every_attack_model_and_data_set_says_what_it_is() -> None:
    for rows, table, kind in (
        (inventory.attacks(), ATTACKS, "attack"),
        (inventory.models(), MODELS, "model"),
        (inventory.datasets(), DATASETS | FOLDERS, "dataset"),
    ):
        assert [row[kind] for row in rows] == list(table)
        assert all(row["what"].endswith(".") for row in rows)


def test_a_data_set_says_whether_it_streams_and_what_its_folder_holds() -> None:
    for row in inventory.datasets():
        assert row["read"] == ("streamed" if row["dataset"] in FOLDERS else "in memory")
        assert row["layout"]


def test_arguments_are_shown_with_their_defaults() -> None:
    by_name = {row["objective"]: row["arguments"] for row in inventory.methods()}
    assert by_name["ALPS"] == "eps=0.2, mode=0.9, concentration=12.0"
    assert by_name["Vicinal"] == "inputs, labels"


def test_recipes_name_their_default_method_first() -> None:
    for row in inventory.recipes():
        first = row["methods, the default first"].split(", ")[0]
        assert first == files.recipe(row["recipe"]).method


def test_methods_whose_claims_are_known_to_fail_are_marked() -> None:
    marks = {row["objective"]: row["known"] for row in inventory.methods()}
    failing = {"BAT", "AVmixup", "FeatureScatter", "LabelSmoothing", "MTLAT"}
    assert {name for name, mark in marks.items() if mark == "failure"} == failing
    assert {name for name, mark in marks.items() if mark == "expected"} == {"ALPS", "IAT"}
    assert set(marks.values()) == {"", "failure", "expected"}


def test_failures_are_rows_of_words() -> None:
    rows = inventory.failures()
    assert len(rows) == 14
    assert all(isinstance(value, str) and value for row in rows for value in row.values())
    assert {"method", "claimed", "left", "kind", "source"} == rows[0].keys()
