"""`vicinal list`."""

from __future__ import annotations

import json

import pytest

from vicinal.cli import main
from vicinal.cli.list import _ROOMS


def test_everything_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for word in ("methods", "attacks", "models", "datasets", "recipes", "tables", "ALPS", "vgg16"):
        assert word in shown


@pytest.mark.parametrize(
    ("room", "known"),
    [
        ("methods", {"objective": "ALPS", "passes": "1+1"}),
        ("pairs", {"input": "PGD", "label": "Bilateral", "label looks at": "clean"}),
        ("attacks", {"attack": "pgd"}),
        ("suites", {"suite": "standard, full", "attack": "apgd-t"}),
        ("corruptions", {"corruption": "frost", "comparable": "with its textures"}),
        ("models", {"model": "preactresnet18"}),
        ("datasets", {"dataset": "digits"}),
        ("recipes", {"recipe": "alps/cifar100-vgg16"}),
        ("tables", {"table": "alps/table-2"}),
        ("tables", {"table": "m-tlat/table-3"}),
        ("failures", {"method": "IAT", "kind": "expected"}),
    ],
)
def test_json_lines_of_one_room(
    room: str, known: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", room, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(row["room"] == room for row in rows)
    assert any(known.items() <= row.items() for row in rows)


def test_an_unknown_word_is_answered_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["list", "suprise"])
    told = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "argument WHAT: invalid choice: 'suprise'" in told
    assert "room" not in told
    assert "methods" in told


def test_help_names_all_that_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["list", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    named = shown.partition("WHAT ")[2].partition(" (default: all)")[0]
    assert named.split(", ") == list(_ROOMS)
