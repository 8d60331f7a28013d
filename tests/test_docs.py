"""What the documents say is run: code, commands, links; tables and cards stand against the code."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

import documents
import vicinal
from vicinal.campaigns import tables
from vicinal.cli import command
from vicinal.models import MODELS
from vicinal.objectives import OBJECTIVES
from vicinal.recipes import files, inventory

METHODS = documents.ROOT / "docs" / "methods"
CONTENTS = METHODS / "README.md"
PARTS = (
    "Idea",
    "Equation",
    "Moves",
    "Fields",
    "Passes",
    "Differences from the paper",
    "When to use it",
    "Known failures",
    "Train it",
    "Numbers",
)
BIBLIOGRAPHY = Path(files.__file__).with_name("references.bib")


def named(page: Path) -> str:
    return page.relative_to(documents.ROOT).as_posix()


PYTHON = [(named(page), code) for page in documents.PAGES for code in documents.blocks(page)]
COMMANDS = [(named(page), line) for page in documents.PAGES for line in documents.commands(page)]
TRAININGS = [
    (page, line)
    for page, line in COMMANDS
    if line.startswith("vicinal train ") and "--resume" not in line
]
TRIED = sorted({page for page, line in TRAININGS if "--run-dir runs/try-" in line})
CAMPAIGNS = [(page, line) for page, line in COMMANDS if line.startswith("vicinal reproduce ")]
MARKED = [page for page in documents.PAGES if "\n<!-- table:" in documents.text(page)]


def words(line: str) -> list[str]:
    return shlex.split(line, comments=True)[1:]


def card(name: str) -> Path:
    """The card of an objective has the name of its file."""
    return METHODS / f"{OBJECTIVES[name].__module__.rpartition('.')[2]}.md"


def default(name: str) -> Any:
    """Return the objective with nothing but defaults, as `vicinal list methods` shows it."""
    return OBJECTIVES[name]()


def rows(lines: str) -> list[list[str]]:
    """Return the cells of the first table, its head and rule left out."""
    return [documents.cells(row) for row in documents.first_table(lines)[2:]]


def test_the_documents_were_found() -> None:
    found = {named(page) for page in documents.PAGES}
    assert {"README.md", "CONTRIBUTING.md", "docs/README.md", "docs/methods/README.md"} <= found
    assert len(PYTHON) >= 2 + len(OBJECTIVES)
    assert len(COMMANDS) >= 30
    assert len(TRIED) >= len(OBJECTIVES)
    assert len(MARKED) >= 6


@pytest.mark.parametrize(("page", "code"), PYTHON)
def test_code_blocks_run(page: str, code: str) -> None:
    torch.manual_seed(0)
    # A card's code is complete in itself; other pages speak of a model and a batch of the reader's.
    given = {
        "vicinal": vicinal,
        "model": vicinal.models.digits_net(num_classes=10),
        "x": torch.rand(8, 1, 8, 8),
        "y": torch.arange(8),
    }
    exec(compile(code, page, "exec"), {} if page.startswith("docs/methods/") else given)


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_commands_parse(page: str, line: str) -> None:
    assert callable(command.parse(words(line)).run), page


@pytest.mark.parametrize(("page", "line"), TRAININGS)
def test_commands_name_recipes_methods_and_fields_that_exist(page: str, line: str) -> None:
    assert command.main([*words(line), "--print-config"]) == 0, page


@pytest.mark.parametrize(("page", "line"), CAMPAIGNS)
def test_commands_name_tables_rows_and_nets_that_exist(page: str, line: str) -> None:
    args = command.parse(words(line))
    cells = tables.cells_of(args.table, scale=args.scale or "full", controls=args.controls)
    chosen = {key for key in (args.only or "").split(",") if key}
    assert chosen <= {cell.key for cell in cells}, page
    assert {net for net in (args.models or "").split(",") if net} <= set(MODELS), page


@pytest.mark.parametrize("page", TRIED)
def test_commands_that_need_no_data_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tried = [line for other, line in COMMANDS if other == page and "runs/try-" in line]
    assert len(tried) == 2
    for line in tried:
        shorter = ["--epochs", "1"] if line.startswith("vicinal train ") else []
        assert command.main([*words(line), *shorter, "--device", "cpu", "--threads", "1"]) == 0


@pytest.mark.parametrize("page", MARKED, ids=named)
def test_tables_are_those_of_their_result_files(page: Path) -> None:
    text = documents.text(page)
    marks = documents.MARKED.findall(text)
    assert len(marks) == text.count("\n<!-- table:") == text.count("\n<!-- end of table -->")
    stale = [mark for _, mark, there, _ in marks if there != documents.copied(mark)]
    assert stale == [], "`make docs` writes them"


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_number_with_a_spread_stands_in_a_copied_table_only(name: str) -> None:
    assert "±" not in documents.MARKED.sub("", documents.text(card(name)))


@pytest.mark.parametrize("page", documents.PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    assert [to for to in documents.links(page) if not (page.parent / to).exists()] == []


def test_every_page_of_docs_is_reached_from_the_first_page() -> None:
    reached: set[Path] = set()
    queue = [documents.ROOT / "README.md"]
    while queue:
        at = queue.pop()
        if at.suffix == ".md" and at not in reached:
            reached.add(at)
            queue += [(at.parent / to).resolve() for to in documents.links(at)]
    docs = {page for page in documents.PAGES if (documents.ROOT / "docs") in page.parents}
    assert docs - reached == set(), "docs/README.md is the table of contents"


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_public_objective_has_a_card(name: str) -> None:
    text = documents.text(card(name))
    assert text.startswith(f"# {name}\n")
    assert f"`objectives.{name}`" in text
    assert tuple(re.findall(r"^## (.*)$", text, re.MULTILINE)) == PARTS
    assert [part for part in PARTS if not documents.part(card(name), part)] == []


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_card_links_its_code_and_names_its_paper_by_key(name: str) -> None:
    head = documents.text(card(name)).partition("\n## ")[0]
    assert f"](../../src/vicinal/objectives/{card(name).stem}.py)" in head
    keys = re.findall(r"`([a-z]+\d{4}[a-z]+)`", head)
    known = BIBLIOGRAPHY.read_text(encoding="utf-8")
    assert keys
    assert [key for key in keys if f"{{{key},\n" not in known] == []


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_card_shows_the_equation_and_its_number(name: str) -> None:
    assert re.search(r"\$\$.*?eq\. \d.*?\$\$", documents.part(card(name), "Equation"), re.DOTALL)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_card_gives_the_fields_and_their_defaults(name: str) -> None:
    fields = dataclasses.fields(default(name))
    told = [(field, default) for field, default, *_ in rows(documents.part(card(name), "Fields"))]
    assert told == [(f"`{f.name}`", f"`{getattr(default(name), f.name)!r}`") for f in fields]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_card_gives_the_passes(name: str) -> None:
    told = re.match(r"(\d+\+\d+)\b", documents.part(card(name), "Passes"))
    assert told is not None
    assert told[1] == str(default(name).passes)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_card_trains_its_own_method(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for page, line in TRAININGS if page == named(card(name))]
    assert lines
    for line in lines:
        command.main([*words(line), "--print-config"])
        told = capsys.readouterr().out
        assert re.search(rf"^objective:\s+\{{?name: {name}\b", told, re.MULTILINE)


def test_the_contents_list_every_method_as_the_command_does() -> None:
    table = rows(documents.text(CONTENTS))
    told = {row[0].partition("](")[0].removeprefix("["): row for row in table}
    assert list(told) == list(OBJECTIVES)
    for row in inventory.methods():
        link, *facts = told[row["objective"]]
        assert f"]({card(row['objective']).name})" in link
        assert facts == [row["input"], row["label"], row["passes"], row["paper"]]


def test_every_card_is_of_a_public_objective() -> None:
    assert {page.name for page in METHODS.glob("*.md")} == {
        CONTENTS.name,
        *(card(name).name for name in OBJECTIVES),
    }


def test_a_mark_that_names_no_single_table_is_refused() -> None:
    source = "results/cifar-small/alps-table-5-small.md"
    with pytest.raises(LookupError, match="has 2 tables"):
        documents.copied(f"{source} CIFAR-10, PreActResNet18")
    with pytest.raises(LookupError, match="has 0 tables"):
        documents.copied(f"{source} MNIST")
    with pytest.raises(LookupError, match="lacks a row"):
        documents.copied(f"{source} CIFAR-10, PreActResNet18, white-box rows=ERM|BAT")


def test_filling_a_page_puts_the_chosen_rows_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    mark = "<!-- table: results/digits/alps-demo-smoke.md rows=ERM|ALPS -->\n"
    page.write_text(f"# A\n{mark}| stale |\n<!-- end of table -->\nB\n", encoding="utf-8")
    filled = documents.fill(page)
    assert filled.startswith(f"# A\n{mark}| method | clean |")
    assert re.findall(r"^\| ([A-Z]\w+) \|", filled, re.MULTILINE) == ["ERM", "ALPS"]
    assert filled.endswith("|\n<!-- end of table -->\nB\n")
