"""The subcommand: what it prints, writes and returns."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from vicinal import campaigns
from vicinal._checks import InputError
from vicinal.cli import reproduce as command


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(["reproduce", *words])


@pytest.fixture
def tiny_campaign(monkeypatch: pytest.MonkeyPatch) -> None:
    """The campaign of the command, at one epoch on 100 digits."""
    original = campaigns.reproduce
    few = {"epochs": 1, "train_subset": 100, "evaluation.attack_subset": 10}

    def small(table: str, **arguments: Any) -> campaigns.TableResult:
        return original(table, **{**arguments, "overrides": few | arguments["overrides"]})

    monkeypatch.setattr(campaigns, "reproduce", small)


def words(out: Path) -> list[str]:
    return ["alps/table-2", "--scale", "smoke", "--seeds", "1", "--only", "erm", "--out", str(out)]


@pytest.mark.usefixtures("tiny_campaign")
def test_it_prints_the_table_and_where_everything_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = parse(*words(tmp_path))
    assert args.run(args) == 0
    shown = capsys.readouterr()
    for text in ("6.13±0.212", "difference", "digits in place of CIFAR-10"):
        assert text in shown.out
    assert "not run" not in shown.out
    assert "2 tasks to do" in shown.err
    assert f"table: {tmp_path / 'alps-table-2-smoke.md'}" in shown.out.splitlines()
    assert f"page: {tmp_path / 'alps-table-2-smoke.html'}" in shown.out.splitlines()
    for name in ("alps-table-2-smoke.jsonl", "alps-table-2-smoke.md", "alps-table-2-smoke.html"):
        assert (tmp_path / name).is_file()
        assert str(tmp_path / name) in shown.out
    assert str(tmp_path / "digits-digits_net-smoke") in shown.out
    for ending in (".md", ".html"):
        page = (tmp_path / f"alps-table-2-smoke{ending}").read_text(encoding="utf-8")
        assert "6.13±0.212" in page
        assert "not run" in page


@pytest.mark.usefixtures("tiny_campaign")
def test_n_is_how_many_images_are_corrupted_and_all_columns_are_of_one_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["family/corruptions", *words(tmp_path)[1:], "--n", "7"]
    args = parse(*named)
    assert args.run(args) == 0
    shown = capsys.readouterr().out
    assert "the first 7 test images" in shown
    assert "…" not in shown
    file = tmp_path / "family-corruptions-smoke.jsonl"
    found = [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()]
    cells = [one for one in found if one["kind"] == "cell" and one["key"] == "erm"]
    assert {(one["images"], one["status"]) for one in cells} == {(7, "ok")}
    assert len(cells) == 22
    assert {one["attack"] for one in cells} == {"corrupted(by=all, textures=procedural)"}


@pytest.mark.usefixtures("tiny_campaign")
def test_rows_not_asked_for_are_kept_in_the_files_and_off_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows(only: str, *more: str) -> tuple[set[str], set[str], str]:
        """Give the keys of all cells in the file, of those with a number, and what was shown."""
        options = ["--scale", "smoke", "--seeds", "1", "--out", str(tmp_path)]
        args = parse("alps/table-2", *options, "--only", only, *more)
        assert args.run(args) == 0
        text = (tmp_path / "alps-table-2-smoke.jsonl").read_text(encoding="utf-8")
        cells = [one for one in map(json.loads, text.splitlines()) if one["kind"] == "cell"]
        known = {cell["key"] for cell in cells if cell["status"] == "ok"}
        return {cell["key"] for cell in cells}, known, capsys.readouterr().out

    every, known, shown = rows("erm,mixup", "--n", "10")
    assert known == {"erm", "mixup"}
    assert "ERM" in shown
    assert "MixUp" in shown
    same, known, shown = rows("erm", "--n", "10")
    assert same == every
    assert known == {"erm", "mixup"}
    assert "MixUp" not in shown
    assert "MixUp" in (tmp_path / "alps-table-2-smoke.md").read_text(encoding="utf-8")


def test_a_row_and_a_net_that_never_meet_print_no_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--only", "cited", "--models", "resnet-101", "--out", str(tmp_path)]
    args = parse("bat/table-9", "--scale", "smoke", *named)
    assert args.run(args) == 0
    shown = capsys.readouterr().out
    assert "difference" not in shown
    assert f"table: {tmp_path / 'bat-table-9-smoke.md'}" in shown.splitlines()


@pytest.mark.usefixtures("tiny_campaign")
def test_of_the_nets_only_those_asked_for_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = parse(*words(tmp_path), "--models", "vgg16")
    assert args.run(args) == 0
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("CIFAR-10, ")]
    assert len(heads) == 1
    assert "VGG16" in heads[0]


@pytest.mark.usefixtures("tiny_campaign")
def test_json_lines_are_the_records_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = parse(*words(tmp_path), "--json")
    assert args.run(args) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["kind"] for record in found] == ["table"] + ["cell"] * 10


@pytest.mark.usefixtures("tiny_campaign")
def test_a_failed_cell_is_told_and_the_exit_code_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(task: Any) -> None:
        raise InputError(f"the disk is full ({task.method}).")

    monkeypatch.setattr("vicinal.campaigns.cells.train", fail)
    args = parse(*words(tmp_path))
    assert args.run(args) == 1
    shown = capsys.readouterr()
    assert "failed: train digits-digits_net-smoke erm-seed0: the disk is full (erm)." in shown.err
    assert "failed" in shown.out


def test_an_interruption_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(campaigns, "reproduce", interrupt)
    args = parse(*words(tmp_path))
    with pytest.raises(KeyboardInterrupt, match="goes on where it stopped"):
        args.run(args)


def test_an_unknown_table_names_the_nearest(tmp_path: Path) -> None:
    args = parse("alps/table-22", "--out", str(tmp_path))
    with pytest.raises(InputError, match="Did you mean alps/table-2"):
        args.run(args)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (["--only", "foo"], "`only`"),
        (["--models", "foo"], "`models`"),
        (["--seeds", "0"], "`seeds`"),
        (["--jobs", "0"], "`jobs`"),
        (["--n", "0"], "`n`"),
        (["--data-dir", "no/such/folder"], "`data_dir`"),
    ],
)
def test_a_wrong_argument_leaves_nothing_behind(
    wrong: list[str], text: str, tmp_path: Path
) -> None:
    args = parse(*words(tmp_path / "out"), *wrong)
    with pytest.raises(InputError, match=text):
        args.run(args)
    assert list(tmp_path.iterdir()) == []


def test_rows_without_data_are_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    out = str(tmp_path / "out")
    args = parse("alps/table-2", "--scale", "small", "--data-dir", str(data), "--out", out)
    assert args.run(args) == 0
    assert "no data" in capsys.readouterr().out


def test_the_help_has_commands_to_copy(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    shown = capsys.readouterr().out
    for text in ("vicinal reproduce alps/demo --scale smoke", "Ctrl-C", "--data-dir", "no data"):
        assert text in shown


def test_help_says_how_many_threads_a_job_has(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert "--threads N CPU threads (default: 1 a job)" in shown
