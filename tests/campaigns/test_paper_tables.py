"""BAT's, AVmixup's and M-TLAT's tables as cells: every row once, with its exact attack."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from importlib import resources

import pytest
from torch import nn

from vicinal.attacks import CWL2, FGSM, MIFGSM, PGD, Transfer
from vicinal.campaigns.cell import FIELDS, Cell
from vicinal.campaigns.paper_tables import SUBJECTS, paper_cells, retold
from vicinal.campaigns.threats import Threat
from vicinal.campaigns.under_corruption import is_corruption
from vicinal.corruptions import SETS
from vicinal.recipes import methods, parse_attack

PAPERS = {"bat": "BAT", "avmixup": "AVmixup", "m-tlat": "M-TLAT"}
Row = dict[str, str]


def csv_rows(*papers: str) -> list[Row]:
    file = resources.files("vicinal.recipes") / "paper_tables.csv"
    text = file.read_text(encoding="utf-8").splitlines()
    return [row for row in csv.DictReader(text) if row["paper"] in papers]


def cells(table: str, scale: str = "full") -> list[Cell]:
    return paper_cells(table, scale=scale, overrides={})


def table_of(row: Row) -> str:
    name = {value: key for key, value in PAPERS.items()}[row["paper"]]
    number = row["table"].rstrip("abc")
    return f"{name}/{'section' if '.' in number else 'table'}-{number}"


def test_every_row_of_the_three_papers_is_exactly_one_cell() -> None:
    found = Counter(
        (c.table, c.dataset, c.model, c.key, c.condition, c.metric, str(c.paper))
        for table in SUBJECTS
        if table[-1].isdigit()
        for c in cells(table)
    )
    words = ("dataset", "model", "key", "condition", "metric")
    wanted = Counter(
        (table_of(row), *(row[word] for word in words), str(float(row["value"])))
        for row in csv_rows("BAT", "AVmixup", "M-TLAT")
    )
    assert found == wanted
    assert sum(found.values()) == 217 + 152 + 203
    assert {c.metric for t in SUBJECTS for c in cells(t)} <= FIELDS.keys()


@pytest.mark.parametrize("table", [f"m-tlat/table-{n}{part}" for n in (1, 2) for part in "abc"])
def test_a_part_of_a_table_is_its_rows(table: str) -> None:
    number = table.rpartition("-")[2]
    wanted = [row for row in csv_rows("M-TLAT") if row["table"] == number]
    found = cells(table)
    assert [(c.key, c.condition, c.paper) for c in found] == [
        (row["key"], row["condition"], float(row["value"])) for row in wanted
    ]
    assert {c.table for c in found} == {table}
    assert set(found) < {replace(c, table=table) for c in cells(table[:-1])}


def test_no_two_methods_of_a_section_share_a_name() -> None:
    for table in SUBJECTS:
        keys: dict[tuple[str, str, str], set[str]] = {}
        for cell in cells(table):
            keys.setdefault((cell.dataset, cell.model, cell.method), set()).add(cell.key)
        assert all(len(those) == 1 for those in keys.values())


@pytest.mark.parametrize("table", SUBJECTS)
def test_what_is_not_cited_names_a_recipe_of_its_paper_that_has_the_row(table: str) -> None:
    for cell in cells(table):
        if cell.key == "cited":
            assert cell.recipe is None
        else:
            assert cell.recipe is not None
            assert cell.recipe.startswith(f"{table.partition('/')[0]}/")
            assert cell.key in methods(cell.recipe)
            if cell.threat is not None and cell.threat.black_box:
                assert cell.threat.source in methods(cell.recipe)


def test_nothing_of_the_tables_is_still_to_be_built() -> None:
    assert not [cell for table in SUBJECTS for cell in cells(table) if cell.lacking]


def test_every_corruption_of_m_tlats_tables_is_one_of_the_room() -> None:
    for table, own in (("m-tlat/table-1", 19), ("m-tlat/table-2", 19)):
        found = {c.condition: c.threat for c in cells(table) if c.condition in SETS["all"]}
        assert len(found) == own
        for name, threat in found.items():
            assert threat is not None
            assert threat.corruption == name
            assert is_corruption(threat.text(std=()))
            assert all(c.metric == "robustness_score" for c in cells(table) if c.condition == name)


def _attack(table: str, condition: str) -> object:
    cell = next(cell for cell in cells(table) if cell.condition == condition)
    assert cell.threat is not None
    return parse_attack(cell.threat.text(std=()), load=_net)


def _net(name: str) -> nn.Module:
    net = nn.Flatten()
    vars(net)["told"] = name
    return net


def _pgd(steps: int, **fields: object) -> PGD:
    given = {"eps": 8 / 255, "step_size": 2 / 255, "iterate": "last", **fields}
    return PGD(steps=steps, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("table", "condition", "attack"),
    [
        ("bat/table-1", "FGSM", FGSM(eps=8 / 255)),
        ("bat/table-1", "PGD2-8", _pgd(2, step_size=8 / 255)),
        ("bat/table-1", "PGD7-2", _pgd(7)),
        ("bat/table-1", "PGD100-2", _pgd(100)),
        ("bat/table-3", "FGSM random start", _pgd(1, step_size=8 / 255)),
        ("bat/table-3", "CE7", _pgd(7, random_start=False)),
        ("bat/table-3", "CE7 random start", _pgd(7)),
        (
            "bat/table-4",
            "MC",
            _pgd(1, step_size=8 / 255, random_start=False, target="most_confusing"),
        ),
        ("bat/table-4", "LL random start", _pgd(1, step_size=8 / 255, target="least_likely")),
        ("bat/table-5", "CE20", _pgd(20)),
        ("bat/table-6", "CW200", _pgd(200, loss="margin")),
        ("bat/section-5.2.1", "CE1000", _pgd(1000)),
        ("bat/table-9", "CE10 non-targeted", _pgd(10, eps=16 / 255, step_size=1.6 / 255)),
        (
            "bat/table-9",
            "CE100 random target",
            _pgd(100, eps=16 / 255, step_size=1 / 255, target="random"),
        ),
        ("avmixup/table-1", "PGD10", _pgd(10)),
        ("avmixup/table-5", "CW100", _pgd(100, loss="margin")),
        ("m-tlat/table-1", "PGD-10 eps=0.04", _pgd(10, eps=0.04, step_size=0.01)),
        (
            "m-tlat/table-2",
            "PGD-LL-10 eps=0.04",
            _pgd(10, eps=0.04, step_size=0.01, target="least_likely"),
        ),
        ("m-tlat/table-1", "CW-L2 40 iterations confidence=50", CWL2.m_tlat()),
    ],
)
def test_a_condition_is_the_papers_attack(table: str, condition: str, attack: object) -> None:
    assert _attack(table, condition) == attack


@pytest.mark.parametrize(
    ("table", "condition", "source", "attack"),
    [
        ("bat/table-3", "black-box FGSM from undefended", "erm", FGSM(eps=8 / 255)),
        ("bat/table-7", "black-box CE20 from another R-MC-LA", "r-mc-la", _pgd(20)),
        ("avmixup/table-2", "black-box PGD20 from Standard", "erm", _pgd(20)),
        ("avmixup/table-2", "black-box PGD20 from PGD", "pgd-10-2", _pgd(20)),
        ("avmixup/table-2", "black-box PGD20 from LS0.8", "ls-0.8", _pgd(20)),
        *(
            (
                f"m-tlat/table-{table}",
                f"black-box MI-FGSM-10 eps={eps} from VGG",
                "m-tlat-imagenet-100-vgg16/erm",
                MIFGSM(eps=eps, step_size=eps / 10, steps=10, iterate="last"),
            )
            for table in (1, 2)
            for eps in (0.04, 0.08)
        ),
    ],
)
def test_a_black_box_attack_comes_from_the_net_that_the_paper_names(
    table: str, condition: str, source: str, attack: object
) -> None:
    found = _attack(table, condition)
    assert isinstance(found, Transfer)
    assert vars(found.source)["told"] == f"{source}-seed1000"
    assert found.attack == attack


def test_decimals_are_the_papers() -> None:
    decimals = {(c.table[:3], c.metric): c.decimals for t in SUBJECTS for c in cells(t)}
    assert decimals["bat", "accuracy"] == 1
    assert decimals["avm", "accuracy"] == 2
    assert decimals["m-t", "accuracy"] == 1
    assert decimals["m-t", "robustness_score"] == 2


@pytest.mark.parametrize("table", SUBJECTS)
def test_at_smoke_every_budget_grows_by_the_factor_of_the_recipe_and_the_paper_stays(
    table: str,
) -> None:
    factor = {"bat/table-9": 0.1 / (16 / 255), "m-tl": 0.1 / 0.04}
    by = factor.get(table, factor.get(table[:4], 0.1 / (8 / 255)))
    for full, smoke in zip(cells(table), cells(table, "smoke"), strict=True):
        assert (full.paper, full.key, full.recipe) == (smoke.paper, smoke.key, smoke.recipe)
        if full.threat is None or full.recipe is None:
            assert smoke.threat == full.threat
        else:
            assert smoke.threat is not None
            assert smoke.threat.eps == pytest.approx(by * full.threat.eps)
            assert smoke.threat.step_size == pytest.approx(by * full.threat.step_size)
            assert smoke.threat.steps == full.threat.steps


def test_overrides_of_the_evaluation_change_the_factor() -> None:
    found = paper_cells("bat/table-1", scale="smoke", overrides={"evaluation.eps": 0.2})
    assert {c.threat.eps for c in found if c.threat} == {0.2}
    assert {c.threat.step_size for c in found if c.threat} == {0.2, 0.05}


def test_a_condition_tells_the_budget_that_is_used() -> None:
    threat = Threat(name="pgd", eps=0.1, step_size=0.025, steps=10)
    assert retold("PGD-10 eps=0.04", threat) == "PGD-10 eps=0.1"
    assert retold("clean", None) == "clean"
