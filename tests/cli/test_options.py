"""The options that every subcommand has."""

from __future__ import annotations

import argparse

import pytest
import torch

from vicinal._checks import InputError
from vicinal.cli.options import add_common, check_common


def _parsed(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_common(parser)
    return parser.parse_args(argv)


def test_defaults() -> None:
    args = _parsed()
    assert (args.device, args.seed, args.threads, args.json) == ("auto", None, None, False)


def test_threads_are_set() -> None:
    before = torch.get_num_threads()
    try:
        check_common(_parsed("--threads", "1"))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("option", "value"), [("--seed", "-1"), ("--seed", str(2**64)), ("--threads", "0")]
)
def test_a_number_out_of_range_is_one_sentence(option: str, value: str) -> None:
    with pytest.raises(InputError, match=f"`{option[2:]}` must be an integer"):
        check_common(_parsed(option, value))


def test_a_device_is_one_of_four(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parsed("--device", "tpu")
    assert "auto" in capsys.readouterr().err
