"""A comparison of models as a Markdown document: tables, notes, and how the numbers came about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vicinal.report.beside import beside_tables
from vicinal.report.comparison import comparison
from vicinal.report.many import MANY, many_tables, turned
from vicinal.report.tables import NOTHING, Section, markdown_section

__all__ = ["comparison_markdown", "comparison_tables", "many_origins", "origins"]

Record = Mapping[str, Any]


def comparison_tables(record: dict[str, Any]) -> tuple[list[Section], list[str]]:
    """Lay out a comparison, attacks first, then verdicts and corruptions.

    Args:
        record: A record of kind "comparison", with what `beside` collected where there is any.

    Returns:
        The tables, and the notes below them. Up to `MANY` models are the columns of the tables;
        more are their rows.
    """
    if _too_many(record):
        return many_tables(record)
    attacks, notes = comparison(record)
    if "verdicts" not in record:
        return [attacks], notes
    tables, more = beside_tables(record)
    return [attacks, *tables], [*notes, *more]


def comparison_markdown(
    record: dict[str, Any], found: Mapping[str, Sequence[Record]], *, command: str
) -> str:
    """Write a comparison as a document that can stand beside others.

    Args:
        record: A record of kind "comparison".
        found: The records of each model, by its name: they say how its numbers came about.
        command: The command of the comparison.

    Returns:
        The document, in Markdown.
    """
    tables, notes = comparison_tables(record)
    names, facts = record["names"], origins(found)
    many = _too_many(record)
    lines = [f"# {len(names)} models" if many else f"# {' beside '.join(names)}", ""]
    for table in tables:
        lines += [f"## {table.title}", "", *markdown_section(table), ""]
    lines += [*(f"- {note}" for note in notes), "", "## how the numbers came about", ""]
    for table in many_origins(facts) if many else [facts]:
        lines += [*markdown_section(table), ""]
    return "\n".join([*lines, "Compared by:", "", f"    {command}"]) + "\n"


def _too_many(record: dict[str, Any]) -> bool:
    return len(record["names"]) > MANY


def origins(found: Mapping[str, Sequence[Record]]) -> Section:
    """List of each model what was judged, by which commands, when and where.

    Args:
        found: The records of each model, by its name.

    Returns:
        One row per fact that any of them holds, one column per model.

    Example:
        >>> origins({"a": [{"date": "2026-01-02", "seed": 0, "train_seed": 3}]}).rows
        (('seed of training', '3'), ('seed', '0'), ('date', '2026-01-02'))
    """
    columns = {
        name: {word: _several(map(take, records)) for word, take in _FACTS.items()}
        for name, records in found.items()
    }
    rows = [(word, *(facts[word] for facts in columns.values())) for word in _FACTS]
    told = tuple(row for row in rows if any(word != NOTHING for word in row[1:]))
    return Section(title="how the numbers came about", header=("", *found), rows=told)


def many_origins(facts: Section) -> list[Section]:
    """Say once how the numbers of all models came about, and of each what differs.

    Args:
        facts: One row per fact, one column per model.

    Returns:
        A table of what all share, and one with a row for each model; each where there is any.

    Example:
        >>> told = Section(title="", header=("", "a", "b"), rows=(("seed", "0", "0"),))
        >>> [table.rows for table in many_origins(told)]
        [(('seed', '0'),)]
    """
    _, *models = facts.header
    columns = {name: words for name, *words in facts.rows}
    if not {NOTHING, "custom"} & set(columns.get("method", (NOTHING,))):
        # Recipe and method say it already, in a tenth of the room.
        columns.pop("objective", None)
    shared = {name: words[0] for name, words in columns.items() if len(set(words)) == 1}
    own = {name: words for name, words in columns.items() if name not in shared}
    pattern, differing = _pattern(own.get("command", ()))
    if differing:
        shared["command"] = pattern
        del own["command"]
        own |= differing
    sections = []
    if shared:
        rows = tuple(shared.items())
        sections.append(Section(title=facts.title, header=("", "all models"), rows=rows))
    return [*sections, turned(facts.title, models, own)] if own else sections


_MARKS = 4
"""Up to this many differing words a command is told as a pattern."""


def _pattern(commands: Sequence[str]) -> tuple[str, dict[str, list[str]]]:
    """Find what commands share, and the few words in which they differ, by their mark."""
    split = [command.split(" ") for command in commands]
    if len({len(words) for words in split}) != 1:
        return "", {}
    said: list[str] = []
    differing: dict[str, list[str]] = {}
    for words in zip(*split, strict=True):
        alike = len(set(words)) == 1
        mark = next((one for one, known in differing.items() if known == list(words)), None)
        mark = mark or f"{{{len(differing) + 1}}}"
        said.append(words[0] if alike else mark)
        if not alike:
            differing[mark] = list(words)
    return " ".join(said), differing if len(differing) <= _MARKS else {}


def _several(values: Any) -> str:  # ruff: ignore[any-type] — an iterable of words or None
    words = list(dict.fromkeys(str(value) for value in values if value is not None))
    return "; ".join(words) or NOTHING


def _field(name: str) -> Callable[[Record], Any]:
    return lambda record: record.get(name)


def _where(name: str) -> Callable[[Record], Any]:
    """Look among the circumstances, or where campaigns have a fact."""
    return lambda record: record.get("circumstances", record).get(name)


def _hardware(record: Record) -> str | None:
    where = record.get("circumstances")
    if where is None:
        return record.get("hardware")
    name = where.get("accelerator") or where.get("processor")
    return None if name is None else f"{name}, {where.get('cores')} cores"


def _versions(record: Record) -> str | None:
    found = record.get("circumstances") or record.get("versions") or {}
    names = ("vicinal", "torch", "python")
    return ", ".join(f"{name} {found[name]}" for name in names if name in found) or None


def _day(record: Record) -> str | None:
    date = _where("date")(record)
    return None if date is None else str(date)[:10]


_FACTS: dict[str, Callable[[Record], Any]] = {
    "recipe": _field("recipe"),
    "method": _field("method"),
    "objective": _field("objective"),
    "scale": _field("scale"),
    "model": _field("model"),
    "data set": _field("dataset"),
    "seed of training": _field("train_seed"),
    "seed": _field("seed"),
    "weights": _field("weights"),
    "command": _field("command"),
    "date": _day,
    "hardware": _hardware,
    "threads": _where("threads"),
    "versions": _versions,
}
"""What is told of each model, and where its records hold it."""
