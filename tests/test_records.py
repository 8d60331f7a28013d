"""Records: lines that survive a kill, files that appear whole, sentences where neither can be."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import laws
from vicinal import records
from vicinal._checks import InputError


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_records_come_back_in_order_with_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for i in range(3):
        records.append(path, {"kind": "eval", "i": i, "name": "±"})
    expected = [{"schema": records.SCHEMA, "kind": "eval", "i": i, "name": "±"} for i in range(3)]
    assert records.read(path) == lines(path) == expected
    assert records.read(path, keep=lambda r: r["i"] != 1) == [expected[0], expected[2]]


def test_a_missing_file_has_no_records(tmp_path: Path) -> None:
    assert records.read(tmp_path / "none.jsonl") == []


def test_numbers_that_json_lacks_become_null_and_numpys_become_plain(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    given = {
        "nan": math.nan,
        "deep": {"list": [1, math.inf, (2.5, -math.inf)]},
        "numpy": [np.float32(0.5), np.int64(7), np.float64(math.nan), np.float32(math.inf)],
        "kept": [True, None, "text", 0, 1e300],
        3: "a number as key",
    }
    records.append(path, given)  # type: ignore[arg-type]
    (found,) = lines(path)
    assert found == {
        "schema": records.SCHEMA,
        "nan": None,
        "deep": {"list": [1, None, [2.5, None]]},
        "numpy": [0.5, 7, None, None],
        "kept": [True, None, "text", 0, 1e300],
        "3": "a number as key",
    }
    assert "NaN" not in path.read_text()
    assert found["kept"][0] is True


@pytest.mark.parametrize("cut", [1, 5, -1])
def test_a_line_that_a_kill_cut_short_is_left_out_then_dropped(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "r.jsonl"
    records.append(path, {"i": 0})
    whole = path.read_bytes()
    records.append(path, {"i": 1})
    path.write_bytes(whole + path.read_bytes()[len(whole) :][:cut])
    assert [r["i"] for r in records.read(path)] == [0]
    records.append(path, {"i": 2})
    assert [r["i"] for r in records.read(path)] == [0, 2]


def test_a_first_line_cut_short_is_dropped_too(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"schema": 1, "i"')
    assert records.read(path) == []
    records.append(path, {"i": 2})
    assert [r["i"] for r in records.read(path)] == [2]


@pytest.mark.parametrize(
    ("line", "phrases"),
    [
        (b"not json", ("line 2", "not JSON")),
        (b"[1, 2]", ("line 2", "JSON object", "[1, 2]")),
        (b'{"schema": 99}', ("line 2", "schema 99", "Upgrade vicinal?")),
        (b'{"schema": "new"}', ("line 2", "schema 'new'")),
        (b"\xff\xfe\x00 binary", ("line 2", "not JSON")),
    ],
    ids=["text", "list", "newer schema", "odd schema", "binary"],
)
def test_a_spoilt_line_is_named(tmp_path: Path, line: bytes, phrases: tuple[str, ...]) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"schema": 1}\n' + line + b"\n")
    with pytest.raises(InputError) as caught:
        records.read(path)
    laws.assert_one_line(caught.value, str(path), *phrases)


def test_empty_lines_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('\n{"i": 0}\n\n  \n{"i": 1}\n')
    assert [r["i"] for r in records.read(path)] == [0, 1]


def test_rewrite_replaces_everything_at_once(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    for i in range(4):
        records.append(path, {"i": i})
    records.rewrite(path, records.read(path, keep=lambda r: r["i"] % 2 == 0))
    assert [r["i"] for r in records.read(path)] == [0, 2]
    assert all(r["schema"] == records.SCHEMA for r in lines(path))
    records.rewrite(path, [])
    assert path.read_bytes() == b""


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    with records.atomic(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == tmp_path
    assert path.read_text() == "half"
    assert os.listdir(tmp_path) == ["file.txt"]


@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file cannot be replaced")
def test_who_reads_the_old_file_reads_it_to_the_end(tmp_path: Path) -> None:
    """Replaced, not written over: no reader ever sees half of the new one."""
    path = tmp_path / "file.txt"
    path.write_text("old")
    with path.open() as reader:
        records.write_text(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_after_an_exception_the_old_file_stands_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail() -> None:
        with records.atomic(path) as temporary:
            temporary.write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail() -> None:
        with records.atomic(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(InputError) as caught:
        fail()
    laws.assert_one_line(
        caught.value, str(path), "No space left on device", "unchanged", "free some space"
    )
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


WRITES: dict[str, Callable[[Path], None]] = {
    "write_text": lambda path: records.write_text(path, "text"),
    "append": lambda path: records.append(path, {"i": 0}),
    "rewrite": lambda path: records.rewrite(path, [{"i": 0}]),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_folder_that_is_missing_is_one_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / "none" / "file"
    with pytest.raises(InputError) as caught:
        WRITES[name](path)
    laws.assert_one_line(caught.value, str(path), "No such file or directory")


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_a_written_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    records.write_text(tmp_path / "ours", "text")
    (tmp_path / "theirs").write_text("text")
    ours, theirs = (stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("ours", "theirs"))
    assert ours == theirs


CRASH = """
import os, sys
from pathlib import Path
from vicinal import records

path = Path(sys.argv[1])
for i in range(100):
    records.append(path, {"i": i})
    if i == 57:
        with records.atomic(path.with_suffix(".txt")) as temporary:
            temporary.write_text("half")
            os._exit(9)
"""


def test_a_killed_process_leaves_its_records_and_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    done = subprocess.run([sys.executable, "-c", CRASH, str(path)], check=False)
    assert done.returncode == 9
    assert [r["i"] for r in records.read(path)] == list(range(58))
    assert not path.with_suffix(".txt").exists()
