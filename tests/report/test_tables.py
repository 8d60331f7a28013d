"""A table as text: the paper's decimals, separate columns, marks, and widths."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console

from vicinal.report import tables


def cell(**fields: Any) -> dict[str, Any]:
    """A cell's record with a paper's number and a measured one."""
    return {
        "kind": "cell",
        "dataset": "CIFAR-10",
        "model": "PreActResNet18",
        "stand_in": None,
        "method": "ERM",
        "key": "erm",
        "condition": "clean",
        "space": None,
        "metric": "top1_error",
        "status": "ok",
        "paper": 3.8,
        "paper_std": 0.06,
        "decimals": 2,
        "decimals_std": 3,
        "mean": 4.0,
        "std": 0.125,
        "n": 3,
        **fields,
    }


def table(**fields: Any) -> dict[str, Any]:
    """A table's record."""
    return {
        "kind": "table",
        "table": "alps/table-2",
        "scale": "small",
        "seeds": [0, 1, 2],
        "command": "vicinal reproduce alps/table-2",
        "date": "2026-01-01T00:00:00+00:00",
        "hardware": "a processor",
        "threads": "1",
        "versions": {"torch": "2.6.0"},
        "notes": ["a note"],
        **fields,
    }


def only_row(**fields: Any) -> dict[str, str]:
    (section,) = tables.sections([table(), cell(**fields)])
    (row,) = section.rows
    return dict(zip(section.header, row, strict=True))


def test_the_papers_trailing_zeros_come_back_and_each_number_has_its_column() -> None:
    assert only_row() == {
        "method": "ERM",
        "paper": "3.80±0.060",
        "ours": "4.00±0.12",
        "difference": "+0.20",
    }


@pytest.mark.parametrize(
    ("mean", "expected"),
    [(3.8, "+0.00"), (3.7999, "+0.00"), (3.5, "-0.30"), (103.8, "+100.00"), (3.79, "-0.01")],
)
def test_a_difference_has_a_sign_and_zero_is_not_negative(mean: float, expected: str) -> None:
    assert only_row(mean=mean)["difference"] == expected


def test_one_seed_has_no_deviation_and_a_papers_number_may_have_none() -> None:
    row = only_row(std=None, n=1, paper_std=None)
    assert (row["paper"], row["ours"]) == ("3.80", "4.00")


@pytest.mark.parametrize("status", ["no data", "not run", "cited", "failed"])
def test_a_mark_stands_in_the_place_of_a_number(status: str) -> None:
    row = only_row(status=status, mean=None, std=None, n=0)
    assert (row["ours"], row["difference"], row["paper"]) == (status, "-", "3.80±0.060")


def test_a_control_without_a_papers_number_stands_in_the_same_section() -> None:
    control = cell(method="ALPS, mixing alone", paper=None, paper_std=None)
    (section,) = tables.sections([table(), cell(), control])
    assert [row[0] for row in section.rows] == ["ERM", "ALPS, mixing alone"]
    assert section.rows[1][1:] == ("-", "4.00±0.12", "-")


def test_the_second_space_is_a_pair_of_columns_of_its_own() -> None:
    attacked = {"condition": "FGSM", "space": "pixel", "mean": 90.0}
    twin = {**attacked, "space": "normalised", "mean": 40.0}
    (section,) = tables.sections([table(), cell(**attacked), cell(**twin)])
    row = dict(zip(section.header, section.rows[0], strict=True))
    assert row["ours"] == "90.00±0.12"
    assert row["ours, normalised space"] == "40.00±0.12"
    assert row["difference, normalised space"] == "+36.20"


def test_without_paper_numbers_conditions_are_the_columns() -> None:
    ours = {"paper": None, "paper_std": None, "decimals": 1}
    cells = [cell(**ours), cell(**ours, condition="FGSM", mean=50.04)]
    (section,) = tables.sections([table(), *cells])
    assert section.header == ("method", "clean", "FGSM")
    assert section.rows == (("ERM", "4.0±0.1", "50.0±0.1"),)


def test_n_is_said_once_where_it_is_the_same_and_per_row_where_not() -> None:
    (same,) = tables.sections([table(), cell(), cell(method="ALPS")])
    assert same.title.endswith("n = 3")
    assert "n" not in same.header
    (other,) = tables.sections([table(), cell(), cell(method="ALPS", n=2)])
    assert other.header[-1] == "n"
    assert [row[-1] for row in other.rows] == ["3", "2"]


def test_a_stand_in_is_named_in_the_title() -> None:
    (section,) = tables.sections([table(), cell(stand_in="digits, digits_net")])
    assert "digits, digits_net in their place" in section.title


def test_a_stand_in_has_no_difference_from_the_paper() -> None:
    row = only_row(stand_in="digits, digits_net")
    assert (row["paper"], row["ours"], row["difference"]) == ("3.80±0.060", "4.00±0.12", "-")


def test_datasets_models_and_conditions_are_sections() -> None:
    cells = [cell(), cell(model="VGG16"), cell(dataset="SVHN"), cell(condition="FGSM")]
    assert len(tables.sections([table(), *cells])) == 4


def both_errors(**fields: Any) -> list[dict[str, Any]]:
    """A net's top-1 and top-5 error, the latter printed by the paper without a spread."""
    top5 = {"metric": "top5_error", "paper": 18.25, "paper_std": None, "mean": 20.0, "std": 0.5}
    return [cell(**fields), cell(**{**fields, **top5})]


def test_top5_stands_beside_top1_with_the_papers_number_ours_and_their_difference() -> None:
    (section,) = tables.sections([table(), *both_errors(), *both_errors(method="ALPS")])
    assert section.title == (
        "CIFAR-10, PreActResNet18, clean: top-1 error and top-5 error, %, n = 3"
    )
    assert [row[0] for row in section.rows] == ["ERM", "ALPS"]
    assert dict(zip(section.header, section.rows[0], strict=True)) == {
        "method": "ERM",
        "top-1 paper": "3.80±0.060",
        "top-1 ours": "4.00±0.12",
        "top-1 difference": "+0.20",
        "top-5 paper": "18.25",
        "top-5 ours": "20.00±0.50",
        "top-5 difference": "+1.75",
    }


def test_a_row_without_one_of_the_errors_has_dashes_there() -> None:
    alone = cell(method="ALPS", metric="top5_error", paper=1.0, paper_std=None)
    section = tables.sections([table(), *both_errors(), alone])[0]
    assert section.rows[1] == ("ALPS", "-", "-", "-", "1.00", "4.00±0.12", "+3.00")


def test_both_errors_in_two_spaces_are_told_apart() -> None:
    attacked = both_errors(condition="FGSM", space="pixel")
    twins = [{**one, "space": "normalised", "mean": 50.0} for one in attacked]
    (section,) = tables.sections([table(), *attacked, *twins])
    assert len(set(section.header)) == len(section.header) == 11
    row = dict(zip(section.header, section.rows[0], strict=True))
    assert row["top-5 ours"] == "20.00±0.50"
    assert row["top-5 ours, normalised space"] == "50.00±0.50"
    assert row["top-5 difference, normalised space"] == "+31.75"


def test_table_4_fits_into_80_columns_with_its_longest_words() -> None:
    wide = {"paper": 39.05, "paper_std": 0.151, "mean": 39.0, "std": 0.15}
    top5 = {"paper": 18.25, "mean": 58.26, "std": 0.55, "metric": "top5_error", "paper_std": None}
    cells = [
        cell(method=name, **fields)
        for name in ("Label Smoothing", "ALPS, mixing alone")
        for fields in (wide, top5)
    ]
    (rendered,) = tables.rich_tables([table(), *cells])
    console = Console(width=80, file=io.StringIO())
    console.print(rendered)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "…" not in shown
    for word in ("ALPS, mixing alone", "39.05±0.151", "58.26±0.55", "+40.01"):
        assert shown.count(word) >= 1


def test_markdown_keeps_its_columns_whatever_the_words_hold() -> None:
    text = tables.markdown([table(), cell(method="a|b\nc")])
    rows = [line for line in text.splitlines() if line.startswith("| a")]
    assert rows == ["| a\\|b c | 3.80±0.060 | 4.00±0.12 | +0.20 |"]
    for fact in ("vicinal reproduce alps/table-2", "a processor", "torch 2.6.0", "- a note"):
        assert fact in text


def test_the_terminal_shows_what_markdown_shows() -> None:
    found = [table(), cell(), cell(method="ALPS", mean=1.0)]
    console = Console(width=100, file=io.StringIO())
    for rendered in tables.rich_tables(found):
        console.print(rendered)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for section in tables.sections(found):
        for row in section.rows:
            assert re.search(r"\s+".join(re.escape(word) for word in row), shown)


def test_the_demo_table_fits_into_80_columns() -> None:
    ours = {"paper": None, "paper_std": None, "decimals": 1, "method": "Label Smoothing"}
    conditions = [
        "clean",
        "white-box FGSM",
        "white-box PGD-10",
        "black-box FGSM",
        "black-box PGD-10",
        "unbounded PGD-200",
    ]
    cells = [cell(**ours, condition=condition, mean=44.44, std=1.23) for condition in conditions]
    (rendered,) = tables.rich_tables([table(), *cells])
    console = Console(width=80, file=io.StringIO())
    console.print(rendered)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("44.4±1.2") == len(conditions)
    assert "…" not in console.file.getvalue()


def test_words_in_brackets_are_shown_as_they_are() -> None:
    (rendered,) = tables.rich_tables([table(), cell(method="[bold]ERM[/bold]")])
    console = Console(width=100, file=io.StringIO())
    console.print(rendered)
    assert isinstance(console.file, io.StringIO)
    assert "[bold]ERM[/bold]" in console.file.getvalue()


def test_this_room_imports_no_torch() -> None:
    code = "import sys, vicinal.report as r; r.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_ratio_has_no_per_cent_and_a_tiny_number_of_the_papers_keeps_its_power() -> None:
    (score,) = tables.sections([table(), cell(metric="robustness_score")])
    assert score.title.endswith("robustness score, n = 3")
    row = only_row(metric="squared_l2_input_gradient_min", paper=3e-32, paper_std=None, decimals=1)
    assert row["paper"] == "3e-32"
    assert only_row(paper=0.0, paper_std=None)["paper"] == "0.00"
    assert only_row(paper=45000.0, paper_std=None, decimals=1)["paper"] == "45000.0"
