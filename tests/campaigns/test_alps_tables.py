"""ALPS's tables as cells: every number, its exact attack, and what stands in for what."""

from __future__ import annotations

import csv
from dataclasses import replace
from importlib import resources

import pytest

from vicinal.campaigns.alps_tables import CONTROLS
from vicinal.campaigns.cell import Cell
from vicinal.campaigns.own_tables import METHODS
from vicinal.campaigns.tables import cells_of, names
from vicinal.campaigns.threats import Threat
from vicinal.recipes import methods

PAPER = [name for name in names() if name.startswith(("alps/table-", "alps/section-"))]


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


def test_table_4_has_top1_and_top5_of_every_net_from_the_same_clean_images() -> None:
    found = cells_of("alps/table-4", scale="full")
    pairs = list(zip(found[::2], found[1::2], strict=True))
    assert len(pairs) == 10
    for top1, top5 in pairs:
        assert (top1.metric, top5.metric) == ("top1_error", "top5_error")
        assert replace(top1, metric="", paper=None, paper_std=None) == replace(
            top5, metric="", paper=None, paper_std=None
        )
        assert top5.paper is not None
        assert top1.paper is not None
        assert top5.paper < top1.paper
    assert {cell.threat for cell in found} == {None}


def test_only_a_top5_error_is_missing_from_what_older_versions_measured() -> None:
    top1, top5 = cells_of("alps/table-4", scale="full")[:2]
    old = {"attack": "clean", "n": 9, "error": 0.5}
    assert top1.is_in(old)
    assert not top5.is_in(old)
    assert top5.is_in({**old, "ece": 0.1, "top5_error": 0.2})
    assert top5.is_in({**old, "ece": 0.1})  # five classes or fewer: no measurement would add it
    assert all(cell.is_in(old) for cell in cells_of("alps/table-6", scale="full"))


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
def test_cells_name_a_recipe_that_has_their_method(table: str) -> None:
    for cell in cells_of(table, scale="full", controls=True):
        assert cell.recipe is not None
        assert cell.key in methods(cell.recipe)
        words = cell.dataset.lower().replace("cifar-", "cifar")
        assert cell.recipe == f"alps/{words}-{cell.model.lower()}"


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


def test_30_classes_have_a_table_of_our_own_and_no_column_of_the_papers() -> None:
    found = cells_of("alps/tiny-imagenet-30", scale="full", controls=True)
    assert {cell.dataset for cell in found} == {"tiny-imagenet-30"}
    assert {cell.recipe for cell in found} == {
        "alps/tiny-imagenet-30-preactresnet18",
        "alps/tiny-imagenet-30-vgg16",
    }
    assert {cell.paper for cell in found} == {None}
    smoke = cells_of("alps/tiny-imagenet-30", scale="smoke")
    assert {cell.dataset for cell in smoke} == {"digits"}
    for table in PAPER:
        assert all("30" not in str(cell.recipe) for cell in cells_of(table, scale="full"))
