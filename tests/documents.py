"""The documents as data: their code, commands and links, and the tables copied from result files.

A table is copied between two marks, never typed:

    <!-- table: results/cifar-small/alps-table-2-small.md CIFAR-10, PreActResNet18 -->
    <!-- end of table -->

The words behind the file are the beginning of a heading in it; a file with one table needs none.
`rows=ERM|ALPS` at the end takes these rows only. `python tests/documents.py` (`make docs`) writes
what the result files hold between the marks of every document.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = [
    # what there is
    "MARKED",
    "PAGES",
    "ROOT",
    # what a page says
    "blocks",
    "cells",
    "commands",
    "first_table",
    "links",
    "part",
    "text",
    # tables
    "copied",
    "fill",
]

ROOT = Path(__file__).parent.parent
PAGES = sorted({
    page for room in ("*.md", "docs/**/*.md", "results/**/*.md") for page in ROOT.glob(room)
})
MARKED = re.compile(
    r"^(<!-- table: (.+?) -->\n)(.*?)^(<!-- end of table -->)", re.MULTILINE | re.DOTALL
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)\)")


def text(page: Path) -> str:
    """Read a page, its code blocks included."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str = "python") -> list[str]:
    """Return the code blocks of a page in one language."""
    return [code for name, code in _BLOCK.findall(text(page)) if name == language]


def commands(page: Path) -> list[str]:
    """Return the `vicinal` commands in the code blocks of a page."""
    lines = [
        line
        for _, block in _BLOCK.findall(text(page))
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [line for line in lines if line.startswith("vicinal ")]


def links(page: Path) -> list[str]:
    """Return the files that a page links to, code blocks left out."""
    return _LINK.findall(_BLOCK.sub("", text(page)))


def part(page: Path, heading: str) -> str:
    """Return what stands under a second-level heading."""
    _, _, rest = text(page).partition(f"\n## {heading}\n")
    return rest.partition("\n## ")[0].strip()


def first_table(lines: str) -> list[str]:
    """Return the lines of the first Markdown table: its head, its rule, its rows."""
    found = _TABLE.search(f"{lines}\n")
    return found[0].splitlines() if found else []


def cells(line: str) -> list[str]:
    """Return what stands between the bars of one line of a table."""
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def copied(mark: str) -> str:
    """Return the table that a mark names, as it stands in the result file now."""
    mark, _, wanted = mark.partition(" rows=")
    source, _, heading = mark.partition(" ")
    sections = re.split(r"^## ", text(ROOT / source), flags=re.MULTILINE)[1:]
    found = [section for section in sections if section.startswith(heading)]
    if len(found) != 1:
        raise LookupError(f"{source} has {len(found)} tables under a heading {heading!r}...")
    rows = first_table(found[0])
    names = [cells(row)[0] for row in rows]
    chosen = names[2:] if not wanted else wanted.split("|")
    if not set(chosen) <= set(names[2:]):
        raise LookupError(f"{source} lacks a row of {wanted!r}.")
    return "".join(f"{rows[i]}\n" for i, n in enumerate(names) if i < 2 or n in chosen)


def fill(page: Path) -> str:
    """Return the text of a page with every marked table as the result files have it now."""
    return MARKED.sub(lambda mark: mark[1] + copied(mark[2]) + mark[4], text(page))


def main() -> None:
    """Write the tables into the documents."""
    for page in PAGES:
        filled = fill(page)
        if filled != text(page):
            page.write_text(filled, encoding="utf-8")
            print(f"tables written: {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
