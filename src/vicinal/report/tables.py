"""A paper's table as text: the paper's number, ours and the difference, in separate columns.

What comes in are the records of a campaign (docs/results.md): one of kind "table", then one of kind
"cell" per number. What goes out is a list of sections, each a small table of words, which the
terminal, Markdown and HTML show alike. Nothing is computed here beyond the difference of two means;
no torch is imported, so a table builds in a blink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

__all__ = ["Section", "difference", "facts", "markdown", "measured", "notes", "rich_tables"]
__all__ += ["markdown_section", "rich_table", "sections", "title"]

Record = dict[str, Any]

METRICS = {
    "top1_error": "top-1 error",
    "top5_error": "top-5 error",
    "accuracy": "accuracy",
    "robustness_score": "robustness score",
    "squared_l2_input_gradient_min": "least squared gradient",
    "squared_l2_input_gradient_mean": "mean squared gradient",
    "squared_l2_input_gradient_max": "largest squared gradient",
}
"""What a metric is called; errors and accuracies are in per cent, the others plain numbers."""
_PER_CENT = ("error", "accuracy")
NOTHING = "-"
_COLUMNS = 80


@dataclass(frozen=True, kw_only=True)
class Section:
    """One small table: a title, the words of its header, and its rows of words."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def measured(mean: float | None, std: float | None, *, decimals: int) -> str:
    """Write a mean over seeds with its sample standard deviation.

    Args:
        mean: The mean, or None where nothing was measured.
        std: The sample standard deviation (ddof 1), or None where one seed gives none.
        decimals: Digits after the point.

    Returns:
        The text.

    Example:
        >>> measured(6.125, 0.2, decimals=2), measured(6.0, None, decimals=2)
        ('6.12±0.20', '6.00')
    """
    if mean is None:
        return NOTHING
    return _number(mean, decimals) + ("" if std is None else f"±{_number(std, decimals)}")


def _number(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def difference(record: Record) -> str:
    """Write ours minus the paper's, with its sign.

    Args:
        record: A record of kind "cell".

    Returns:
        The text; a dash where one of the two is missing, or where ours is of a stand-in.
    """
    ours, paper = record.get("mean"), record.get("paper")
    if ours is None or paper is None or record.get("stand_in"):
        return NOTHING
    text = _number(ours - paper, record["decimals"])
    return text if text.startswith("-") else f"+{text}"


def _paper(record: Record) -> str:
    if record.get("paper") is None:
        return NOTHING
    value = _never_lost(record["paper"], record["decimals"])
    spread = record.get("paper_std")
    return value if spread is None else f"{value}±{_number(spread, record['decimals_std'])}"


def _never_lost(value: float, decimals: int) -> str:
    """Write a value; one that its decimals would lose wholly, such as 3e-32, in powers of ten."""
    text = _number(value, decimals)
    return f"{value:.2g}" if 0 < abs(value) < 1e-6 and not text.strip("0.") else text


def _ours(record: Record) -> str:
    if record["status"] != "ok":
        return str(record["status"])
    if record["std"] is None:
        return _never_lost(record["mean"], record["decimals"])
    return measured(record["mean"], record["std"], decimals=record["decimals"])


def sections(records: Iterable[Record]) -> list[Section]:
    """Lay out the cells of a table.

    With a paper's numbers, each (data set, model, condition) is a section: a second metric (top-5
    beside top-1) has its own paper's number, ours and difference, and a second budget of the same
    attack is a second pair of columns. Without, the conditions are the columns.

    Args:
        records: The records of a campaign; those of other kinds than "cell" are left out.

    Returns:
        The sections in the order of the records.
    """
    cells = [record for record in records if record.get("kind") == "cell"]
    if not any(cell.get("paper") is not None for cell in cells):
        return [_grid(group) for group in _grouped(cells, "dataset", "model", "metric")]
    groups = _grouped(cells, "dataset", "model", "condition")
    return [_comparison(group) for group in groups]


def _grouped(cells: Iterable[Record], *fields: str) -> list[list[Record]]:
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for cell in cells:
        groups.setdefault(tuple(cell[field] for field in fields), []).append(cell)
    return list(groups.values())


def _comparison(cells: list[Record]) -> Section:
    spaces = list(dict.fromkeys(cell["space"] for cell in cells))
    metrics = list(dict.fromkeys(cell["metric"] for cell in cells))
    header = ["method"]
    for metric in metrics:
        which = f"{METRICS[metric].removesuffix(' error')} " if len(metrics) > 1 else ""
        header.append(f"{which}paper")
        for space in spaces:
            words = "" if space in {None, "pixel"} else f", {space} space"
            header += [f"{which}ours{words}", f"{which}difference{words}"]
    first = cells[0]
    title = f"{_where(first)}, {first['condition']}: {_measures(metrics)}"
    return _section(title, header, cells, lambda row: _comparison_row(row, metrics, spaces))


def _measures(metrics: Sequence[str]) -> str:
    found = " and ".join(METRICS[metric] for metric in metrics)
    return f"{found}, %" if all(metric.endswith(_PER_CENT) for metric in metrics) else found


def _comparison_row(
    cells: list[Record], metrics: Sequence[str], spaces: Sequence[Any]
) -> list[str]:
    there = {(cell["metric"], cell["space"]): cell for cell in cells}
    row = [cells[0]["method"]]
    for metric in metrics:
        found = [there.get((metric, space)) for space in spaces]
        row.append(next((_paper(cell) for cell in found if cell is not None), NOTHING))
        for cell in found:
            row += [NOTHING, NOTHING] if cell is None else [_ours(cell), difference(cell)]
    return row


def _grid(cells: list[Record]) -> Section:
    conditions = list(dict.fromkeys(cell["condition"] for cell in cells))
    title = f"{_where(cells[0])}: {_measures([cells[0]['metric']])}"
    header = ["method", *conditions]
    return _section(title, header, cells, lambda row: _grid_row(row, conditions))


def _grid_row(cells: list[Record], conditions: Sequence[str]) -> list[str]:
    by_condition = {cell["condition"]: cell for cell in cells}
    found = [by_condition.get(condition) for condition in conditions]
    return [cells[0]["method"], *(NOTHING if cell is None else _ours(cell) for cell in found)]


def _section(
    title: str,
    header: list[str],
    cells: list[Record],
    build: Callable[[list[Record]], list[str]],
) -> Section:
    """Say the number of seeds once in the title, or, where it differs, in every row."""
    counts = {cell["n"] for cell in cells if cell["status"] == "ok"}
    rows = _grouped(cells, "method")
    if len(counts) <= 1:
        title += "".join(f", n = {n}" for n in counts)
        return Section(
            title=title, header=tuple(header), rows=tuple(tuple(build(row)) for row in rows)
        )
    return Section(
        title=title,
        header=(*header, "n"),
        rows=tuple((*build(row), _counts(row)) for row in rows),
    )


def _where(cell: Record) -> str:
    place = f"{cell['dataset']}, {cell['model']}"
    return f"{place} ({cell['stand_in']} in their place)" if cell.get("stand_in") else place


def _counts(cells: Iterable[Record]) -> str:
    return ", ".join(str(n) for n in sorted({cell["n"] for cell in cells}))


def title(records: Iterable[Record]) -> str:
    """Name the table and the scale that it was run at.

    Args:
        records: The records of a campaign.

    Returns:
        A title such as "alps/table-2 at scale small".
    """
    head = _head(records)
    return f"{head['table']} at scale {head['scale']}"


def notes(records: Iterable[Record]) -> list[str]:
    """List what a reader must know beside the numbers.

    Args:
        records: The records of a campaign.

    Returns:
        Sentences: what stood in for what, the attacks' budgets, what is missing, what failed.
    """
    return [str(note) for note in _head(records)["notes"]]


def facts(records: Iterable[Record]) -> list[tuple[str, str]]:
    """List how the numbers came about.

    Args:
        records: The records of a campaign.

    Returns:
        Pairs of a word and its value: command, date, hardware, threads, versions, seeds.
    """
    head = _head(records)
    versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    return [
        ("command", str(head["command"])),
        ("date", str(head["date"])),
        ("hardware", str(head["hardware"])),
        ("threads per process", str(head["threads"])),
        ("versions", versions),
        ("seeds", ", ".join(str(seed) for seed in head["seeds"])),
    ]


def _head(records: Iterable[Record]) -> Record:
    return next(record for record in records if record.get("kind") == "table")


def rich_tables(records: Iterable[Record]) -> list[Table]:
    """Build the sections as tables for the terminal.

    Args:
        records: The records of a campaign.

    Returns:
        One table per section.
    """
    return [rich_table(section) for section in sections(records)]


def rich_table(section: Section) -> Table:
    """Build one section as a table for the terminal.

    Args:
        section: The section.

    Returns:
        The table; its columns move together where that makes them fit into 80 characters.
    """
    table = Table(
        title=section.title,
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        padding=(0, _padding(section)),
    )
    first, *others = section.header
    table.add_column(escape(first), justify="left", no_wrap=True)
    for word in others:  # one word a line: a wide table must fit into 80 columns
        table.add_column(escape(word.replace(" ", "\n")), justify="right", no_wrap=True)
    for row in section.rows:
        table.add_row(*map(escape, row))
    return table


def _padding(section: Section) -> int:
    heads = [[word] for word in section.header[:1]] + [w.split(" ") for w in section.header[1:]]
    columns = zip(heads, *section.rows, strict=True) if section.rows else []
    wide = sum(max(map(len, [*head, *words])) for head, *words in columns)
    return 1 if wide + 2 * (len(heads) - 1) <= _COLUMNS else 0


def markdown(records: Sequence[Record]) -> str:
    """Write the table, its notes and its facts as Markdown.

    Args:
        records: The records of a campaign.

    Returns:
        The document.
    """
    lines = [f"# {title(records)}", ""]
    for section in sections(records):
        lines += [f"## {section.title}", "", *markdown_section(section), ""]
    lines += [f"- {note}" for note in notes(records)]
    lines += ["", "| | |", "|---|---|"]
    lines += [f"| {word} | {_cell(value)} |" for word, value in facts(records)]
    return "\n".join(lines) + "\n"


def markdown_section(section: Section) -> list[str]:
    """Write one section as the lines of a Markdown table.

    Args:
        section: The section.

    Returns:
        Its lines, title left out.

    Example:
        >>> markdown_section(Section(title="t", header=("a", "b"), rows=(("x", "1"),)))
        ['| a | b |', '| --- | ---: |', '| x | 1 |']
    """
    rule = ["---"] + ["---:"] * (len(section.header) - 1)
    rows = [section.header, tuple(rule), *section.rows]
    return [f"| {' | '.join(_cell(word) for word in row)} |" for row in rows]


def _cell(word: str) -> str:
    return word.replace("|", "\\|").replace("\n", " ")
