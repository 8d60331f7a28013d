"""A comparison laid out: shares with intervals, a star where they differ, notes below."""

from __future__ import annotations

from typing import Any

from vicinal import report


def _cell(accuracy: float, p: float | None = None, **more: Any) -> dict[str, Any]:
    found = {"accuracy": accuracy, "interval": [accuracy - 0.1, accuracy + 0.1], "n": 20}
    return {**found, "p": p, "test": "" if p is None else "McNemar", "unlike": "", **more}


def test_every_cell_has_its_place_and_what_is_unlike_is_said() -> None:
    rows = [
        {"attack": "clean", "cells": [_cell(0.9), _cell(0.5, 1e-5), None]},
        {"attack": "pgd", "cells": [_cell(0.5), _cell(0.4, 0.25), _cell(0.3, unlike="why")]},
        {"attack": "fgsm", "cells": [_cell(0.5), _cell(0.4, 0.25, caveat="so and so"), None]},
    ]
    record = {"names": ["a", "b", "c"], "level": 0.05, "rows": rows}
    section, notes = report.comparison(record)
    assert section.header == ("attack", "images", "a", "b", "p", "c", "p")
    assert section.rows[0] == (
        "clean",
        "20",
        "90.00 [80.0, 100.0]",
        "50.00 [40.0, 60.0] *",
        "<0.0001",
        "-",
        "-",
    )
    assert section.rows[1][3:] == ("40.00 [30.0, 50.0]", "0.25", "30.00 [20.0, 40.0]", "unlike")
    assert notes[0] == "pgd, c: why; not compared."
    assert notes[1] == "fgsm, b: so and so."
    assert "from a, by McNemar's exact test" in notes[2]
    assert notes[3] == "One net each: p-values are about these weights, not about the methods."


def test_where_nothing_was_tested_no_test_is_named() -> None:
    other = _cell(0.5, unlike="500 images, not 1000")
    rows = [{"attack": name, "cells": [_cell(0.9), other, other]} for name in ("pgd", "clean")]
    record = {"names": ["a", "b", "c"], "level": 0.05, "rows": rows}
    section, notes = report.comparison(record)
    assert section.rows[0][3:] == ("50.00 [40.0, 60.0]", "unlike") * 2
    assert notes[0] == "clean, b: 500 images, not 1000; not compared."
    assert notes[-2:] == [
        "Nothing here can be compared with a: clean, pgd: 500 images, not 1000. "
        "In brackets Wilson's 95 % interval.",
        "One net each: shares are about these weights, not about the methods.",
    ]
    apart = [{"attack": "pgd", "cells": [None, _cell(0.5), _cell(0.4)]}]
    _, notes = report.comparison({**record, "rows": apart})
    assert "compared with a: none of its attacks was run on another model." in notes[0]
