"""What the documents say is run: code blocks, commands, and tables against their result files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

import vicinal
from vicinal.cli import command

ROOT = Path(__file__).parent.parent
PAGES = sorted({
    page for room in ("*.md", "docs/**/*.md", "results/**/*.md") for page in ROOT.glob(room)
})
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"<!-- table: (\S+)[^>]* -->\n(.*?)<!-- end of table -->", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)\)")


def python_blocks() -> list[tuple[str, str]]:
    """Return (page, code) for every Python block of the documents."""
    found = []
    for page in PAGES:
        blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
        found += [(page.name, code) for language, code in blocks if language == "python"]
    return found


def command_lines() -> list[tuple[str, str]]:
    """Return (page, line) for every `vicinal` command in the documents."""
    found = []
    for page in PAGES:
        for _, block in BLOCK.findall(page.read_text(encoding="utf-8")):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(page.name, line) for line in lines if line.startswith("vicinal ")]
    return found


def copied_tables() -> list[tuple[str, str, str]]:
    """Return (page, source, table) for every table that a document copies from a result file."""
    found = []
    for page in PAGES:
        matches = TABLE.findall(page.read_text(encoding="utf-8"))
        found += [(page.name, source, table) for source, table in matches]
    return found


def test_the_documents_were_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "results.md"} <= {p.name for p in PAGES}
    assert len(python_blocks()) >= 2
    assert len(command_lines()) >= 6
    assert len(copied_tables()) >= 1


@pytest.mark.parametrize(("page", "code"), python_blocks())
def test_code_blocks_run(page: str, code: str) -> None:
    torch.manual_seed(0)
    names = {
        "vicinal": vicinal,
        "model": vicinal.models.digits_net(num_classes=10),
        "x": torch.rand(8, 1, 8, 8),
        "y": torch.arange(8),
    }
    exec(compile(code, page, "exec"), names)


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_commands_parse(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    args = command.parse(words)
    assert callable(args.run), page


@pytest.mark.parametrize(("page", "source", "table"), copied_tables())
def test_tables_stand_in_their_result_files(page: str, source: str, table: str) -> None:
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) > 2, page
    there = (ROOT / source).read_text(encoding="utf-8").splitlines()
    assert [row for row in rows if row not in there] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [t for t in targets if not (page.parent / t).exists()] == []
