"""A table as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.

The page shows the same sections as the terminal, first how the numbers came about and what stood in
for what. Every word that comes from outside is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from vicinal.report.tables import Section, facts, notes, sections, title

__all__ = ["page"]

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
th, td:first-child { white-space: nowrap; }
tbody tr:hover { background: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }
"""


def page(records: Sequence[dict[str, Any]]) -> str:
    """Build the page of a table.

    Args:
        records: The records of a campaign: one of kind "table", then those of kind "cell".

    Returns:
        A complete HTML document, readable in light and dark.
    """
    name = escape(f"vicinal: {title(records)}")
    told = "".join(f"<li>{escape(note)}</li>" for note in notes(records))
    known = "".join(
        f"<dt>{escape(word)}</dt><dd>{escape(value)}</dd>" for word, value in facts(records)
    )
    tables = "\n".join(_section(section) for section in sections(records))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{name}</h1>\n<dl>{known}</dl>\n<ul>{told}</ul>\n{tables}\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    head = "".join(f'<th scope="col">{escape(word)}</th>' for word in section.header)
    body = "\n".join(_row(row) for row in section.rows)
    return (
        f'<section>\n<h2>{escape(section.title)}</h2>\n<div class="wide"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>\n</section>"
    )


def _row(row: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{escape(word)}</td>" for word in row) + "</tr>"
