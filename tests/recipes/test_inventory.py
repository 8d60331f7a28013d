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
