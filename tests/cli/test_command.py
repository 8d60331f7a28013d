"""The command as a whole: help at once, one line per mistake, exit codes."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from vicinal._checks import InputError
from vicinal._version import __version__
from vicinal.cli import command, main


def test_help_tells_a_newcomer_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    for word in ("train", "evaluate", "reproduce", "list", "first steps"):
        assert word in shown


@pytest.mark.parametrize("subcommand", ["train", "evaluate", "reproduce", "list"])
def test_every_subcommand_has_help_with_examples_and_the_common_options(
    subcommand: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([subcommand, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    for word in ("--device", "--seed", "--threads", "--json", f"  vicinal {subcommand}"):
        assert word in shown


def test_help_imports_neither_torch_nor_rich() -> None:
    script = (
        "import sys\n"
        "from vicinal.cli import main\n"
        "try:\n"
        "    main(['train', '--help'])\n"
        "except SystemExit:\n"
        "    heavy = {'torch', 'rich', 'numpy', 'pydantic', 'yaml'} & set(sys.modules)\n"
        "    sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_the_module_is_the_command() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "vicinal.cli", "--version"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.strip() == f"vicinal {__version__}"


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["list", "--frobnicate"])
    assert end.value.code == 2
    assert "--frobnicate" in capsys.readouterr().err


def _ending(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(args: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr("vicinal.cli.list.run", run)


def test_a_mistake_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _ending(monkeypatch, InputError("`eps` must be smaller."))
    assert command.main(["list"]) == 2
    shown = capsys.readouterr()
    assert shown.err == "vicinal: `eps` must be smaller.\n"
    assert not shown.out


@pytest.mark.parametrize("hint", ["", "go on with: vicinal train --resume runs/a"])
def test_an_interruption_is_one_line_and_exit_code_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hint: str
) -> None:
    _ending(monkeypatch, KeyboardInterrupt(hint))
    assert command.main(["list"]) == 130
    shown = capsys.readouterr().err
    assert shown.strip().startswith("vicinal: interrupted")
    assert hint in shown


def test_any_other_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    _ending(monkeypatch, RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        command.main(["list"])


def test_a_reader_that_goes_away_is_no_error() -> None:
    script = f"{sys.executable} -m vicinal.cli list recipes --json | {sys.executable} -c 'pass'"
    ended = subprocess.run(["sh", "-c", script], check=False, capture_output=True, text=True)
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr
