"""A table as cells: every number of the paper, its exact attack, and what stands in for what."""

from __future__ import annotations

import csv
from importlib import resources

import pytest

from vicinal._checks import InputError
from vicinal.campaigns.tables import CONTROLS, METHODS, Cell, cells_of, names
from vicinal.campaigns.threats import Threat
from vicinal.recipes import methods

PAPER = [name for name in names() if name != "alps/demo"]


def csv_rows(table: str) -> list[dict[str, str]]:
    text = (resources.files("vicinal.recipes") / "paper_tables.csv").read_text(encoding="utf-8")
    number = table.rpartition("-")[2]
    rows = csv.DictReader(text.splitlines())
    return [row for row in rows if row["paper"] == "ALPS" and row["table"] == number]


def place(cell: Cell) -> tuple[str, str, str, str, str]:
    return cell.dataset, cell.model, cell.key, cell.condition, cell.metric


@pytest.mark.parametrize("table", PAPER)
def test_every_number_of_the_paper_is_a_cell(table: str) -> None:
    found = {place(c): c for c in cells_of(table, scale="full") if _space(c) == "pixel"}
    for row in csv_rows(table):
        where = (row["dataset"], row["model"], row["key"], row["condition"], row["metric"])
        cell = found.pop(where)
        assert cell.paper == float(row["value"])
        assert cell.paper_std == (float(row["std"]) if row["std"] else None)
        assert cell.method == row["method"]
    assert all(cell.paper == 0 for cell in found.values())
    assert len(found) == (7 if table == "alps/section-5.3" else 0)


def _space(cell: Cell) -> str:
    return "pixel" if cell.threat is None else cell.threat.space


@pytest.mark.parametrize(("table", "steps"), [("alps/table-5", 1), ("alps/table-6", 10)])
def test_tables_5_and_6_attack_as_the_paper_says_and_once_more_in_normalised_space(
    table: str, steps: int
) -> None:
    found = cells_of(table, scale="full")
    pixel = [cell for cell in found if _space(cell) == "pixel"]
    twins = [cell for cell in found if _space(cell) == "normalised"]
    assert len(pixel) == len(twins) == len(csv_rows(table))
    for cell in found:
        assert cell.threat is not None
        assert cell.threat.eps == 4 / 255
        assert cell.threat.steps == steps
        assert cell.threat.black_box == cell.condition.startswith("black-box")
    if steps == 10:
        assert {c.threat.step_size for c in found if c.threat} == {1 / 255}
        assert {c.threat.random_start for c in found if c.threat} == {True}


def test_section_5_3_is_mixup_and_alps_on_four_sets_under_unbounded_pgd() -> None:
    found = cells_of("alps/section-5.3", scale="full")
    assert [(c.dataset, c.key, c.paper) for c in found if c.paper] == [("SVHN", "alps", 0.22)]
    assert {c.key for c in found} == {"mixup", "alps"}
    assert len({c.dataset for c in found}) == 4
    expected = Threat(name="pgd", eps=float("inf"), step_size=0.01, steps=200)
    assert {c.threat for c in found} == {expected}
    assert {c.metric for c in found} == {"accuracy"}


@pytest.mark.parametrize("table", PAPER)
def test_cells_name_a_recipe_that_has_their_method_or_none(table: str) -> None:
    for cell in cells_of(table, scale="full", controls=True):
        if cell.dataset in {"CIFAR-10", "CIFAR-100"}:
            assert cell.recipe is not None
            assert cell.key in methods(cell.recipe)
            assert cell.dataset.replace("-", "").lower() in cell.recipe.split("/")[1].split("-")
            assert cell.recipe.endswith(cell.model.lower())
        else:
            assert cell.recipe is None


@pytest.mark.parametrize("table", PAPER)
def test_at_smoke_one_recipe_stands_in_at_a_budget_that_moves_digits(table: str) -> None:
    found = [cell for cell in cells_of(table, scale="smoke") if cell.recipe is not None]
    assert len({cell.recipe for cell in found}) <= 1
    budgets = {(c.threat.eps, c.threat.step_size) for c in found if c.threat}
    expected = {
        "alps/table-5": {(0.1, 0.025)},
        "alps/table-6": {(0.1, 0.025)},
        "alps/section-5.3": {(float("inf"), 0.01)},
    }
    assert budgets == expected.get(table, set())
    assert {_space(cell) for cell in found} <= {"pixel"}


@pytest.mark.parametrize(
    ("table", "papers", "used"),
    [
        ("alps/table-5", " FGSM eps=4/255", " FGSM eps=0.1"),
        ("alps/table-6", " PGD-10 eps=4/255 step=1/255", " PGD-10 eps=0.1 step=0.025"),
    ],
)
def test_at_smoke_the_condition_names_the_budget_that_is_used(
    table: str, papers: str, used: str
) -> None:
    for cell in cells_of(table, scale="smoke"):
        assert cell.condition.endswith(papers if cell.recipe is None else used)
    assert all(cell.condition.endswith(papers) for cell in cells_of(table, scale="small"))


def test_the_demo_has_five_methods_under_six_conditions_and_no_paper() -> None:
    found = cells_of("alps/demo", scale="smoke")
    assert list(dict.fromkeys(cell.key for cell in found)) == list(METHODS)
    threats = list(dict.fromkeys(cell.threat for cell in found))
    pgd = Threat(name="pgd", eps=0.1, step_size=0.025, steps=10, random_start=True)
    assert threats[:3] == [None, Threat(name="fgsm", eps=0.1), pgd]
    assert [t.black_box for t in threats if t] == [False, False, True, True, False]
    assert {cell.paper for cell in found} == {None}
    assert len(found) == 30


def test_overrides_of_the_evaluation_change_the_demos_budget() -> None:
    found = cells_of("alps/demo", scale="smoke", overrides={"evaluation.eps": 0.2, "epochs": 1})
    assert {c.threat.eps for c in found if c.threat} == {0.2, float("inf")}


def test_controls_are_rows_with_alps_columns_and_no_papers_number() -> None:
    plain = cells_of("alps/table-6", scale="full")
    found = cells_of("alps/table-6", scale="full", controls=True)
    assert found[: len(plain)] == plain
    added = found[len(plain) :]
    assert {cell.key for cell in added} == set(CONTROLS)
    assert len(added) == 2 * sum(cell.key == "alps" for cell in plain)
    assert {cell.paper for cell in added} == {None}


def test_an_unknown_table_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"'alps/tabel-5'.*Did you mean alps/table-5"):
        cells_of("alps/tabel-5", scale="full")


def test_every_table_has_a_subject() -> None:
    assert len(names()) == 8
    assert all(names().values())
