"""The page: whole, self-contained, escaped, and the same numbers as the table."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from vicinal.report import page, sections

VOID = {"meta", "br", "hr", "img", "link"}
RECORDS: list[dict[str, Any]] = [
    {
        "kind": "table",
        "table": "alps/table-2",
        "scale": "smoke",
        "seeds": [0, 1],
        "command": "vicinal reproduce <script>alert(1)</script> & more",
        "date": "2026-01-01T00:00:00+00:00",
        "hardware": "a <processor>",
        "threads": "1",
        "versions": {"torch": "2.6.0"},
        "notes": ['digits in place of "CIFAR-10"'],
    },
    {
        "kind": "cell",
        "dataset": "CIFAR-10",
        "model": "PreActResNet18",
        "stand_in": "digits, digits_net",
        "method": "<b>ERM</b>",
        "key": "erm",
        "condition": "clean",
        "space": None,
        "metric": "top1_error",
        "status": "ok",
        "paper": 6.1,
        "paper_std": None,
        "decimals": 2,
        "decimals_std": 3,
        "mean": 7.0,
        "std": 0.5,
        "n": 2,
    },
]


class Reader(HTMLParser):
    """Collects words, tags and attributes, and checks that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read() -> Reader:
    reader = Reader()
    reader.feed(page(RECORDS))
    reader.close()
    return reader


def test_every_tag_closes_in_order() -> None:
    reader = read()
    assert not reader.open
    assert {"html", "head", "body", "table", "thead", "tbody", "style", "title"} <= set(reader.tags)


def test_words_from_outside_stay_words() -> None:
    reader = read()
    assert not {"script", "b", "processor"} & set(reader.tags)
    text = "".join(reader.words)
    for word in ("<b>ERM</b>", "<script>alert(1)</script> & more", "a <processor>"):
        assert word in text


def test_nothing_is_loaded_from_elsewhere() -> None:
    assert not {name for name, _ in read().attributes} & {"src", "href", "srcset", "action"}
    assert not re.search(r"url\(|@import|https?:", page(RECORDS))


def test_it_is_readable_in_light_and_dark() -> None:
    assert "color-scheme: light dark" in page(RECORDS)


def test_names_of_rows_and_columns_stay_on_one_line() -> None:
    style = page(RECORDS).partition("<style>")[2].partition("</style>")[0]
    rules = dict(re.findall(r"^([^{}\n]+) \{ ([^}]+) \}$", style, flags=re.MULTILINE))
    unbroken = {
        one for names, rule in rules.items() if "nowrap" in rule for one in names.split(", ")
    }
    assert {"th", "td:first-child"} <= unbroken


def test_it_shows_every_word_of_the_table_and_how_it_came_about() -> None:
    words = read().words
    for section in sections(RECORDS):
        for row in (section.header, *section.rows):
            assert set(row) <= set(words)
    text = " ".join(words)
    for fact in ("2026-01-01", "torch 2.6.0", 'digits in place of "CIFAR-10"', "0, 1"):
        assert fact in text
