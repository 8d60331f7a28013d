"""The map shows the records' own numbers; its picture is drawn without a window system."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from vicinal._errors import InputError
from vicinal.report.heat_map import HeatMap, heat_map, write_heat_map

ACCURACY = {
    ("fog", 1): 0.9,
    ("fog", 5): 0.3,
    ("frost", 1): 0.5,
    ("snow", 5): 0.125,
}


def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "kind": "corruption",
            "corruption": name,
            "severity": severity,
            "accuracy": accuracy,
            "comparable": name != "frost",
        }
        for (name, severity), accuracy in ACCURACY.items()
    ]
    found.append({"kind": "corruption", "corruption": "fog", "severity": None, "accuracy": 0.6})
    summary = {"kind": "corruptions", "method": "alps", "model": "vgg16", "dataset": "digits"}
    return [*found, {**summary, "clean_accuracy": 0.95, "accuracy": 0.6}, {"kind": "epoch"}]


def test_every_cell_is_its_record_and_a_gap_is_a_gap() -> None:
    found = heat_map(rows())
    assert found.corruptions == ("fog", "frost *", "snow")
    assert found.severities == (1, 5)
    assert found.cells == ((90.0, 30.0), (50.0, None), (None, 12.5))
    assert found.means == (60.0, 50.0, 12.5)
    assert found.title == "alps, vgg16, digits; clean 95.00 %, mean 60.00 %"


def test_the_last_of_two_evaluations_counts() -> None:
    again = {**rows()[0], "accuracy": 0.1}
    assert heat_map([*rows(), again]).cells[0] == (10.0, 30.0)


def test_no_record_is_one_sentence() -> None:
    with pytest.raises(InputError, match="needs records of corruptions"):
        heat_map([{"kind": "epoch"}])


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_picture_is_written_whole(form: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws the map")
    path = tmp_path / f"map.{form}"
    write_heat_map(path, heat_map(rows()))
    begins = {"png": b"\x89PNG", "svg": b"<?xml"}[form]
    assert path.read_bytes().startswith(begins)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = heat_map(rows())
    with pytest.raises(InputError, match=r"\.png, \.svg or \.pdf; got 'map\.gif'"):
        write_heat_map(tmp_path / "map.gif", found)

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(InputError, match="pip install matplotlib"):
        write_heat_map(tmp_path / "map.png", found)
    assert isinstance(found, HeatMap)
