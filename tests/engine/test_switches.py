from __future__ import annotations

from typing import Any

import pytest

from vicinal._checks import InputError
from vicinal.engine import Switches


def test_all_are_off_by_default_and_a_folder_of_before_them_agrees() -> None:
    assert Switches().words() == {"precision": "fp32"}
    assert Switches(channels_last=True).words() == {"precision": "fp32"}


@pytest.mark.parametrize(
    "given",
    [{"ema": 0.9}, {"accumulate": 2}, {"compile": "eager"}, {"select": "best"}],
)
def test_one_that_is_on_must_be_on_when_a_run_is_resumed(given: dict[str, Any]) -> None:
    assert Switches(**given).words() == {"precision": "fp32", **given}


@pytest.mark.parametrize(
    "given",
    [{"ema": 1.0}, {"ema": True}, {"accumulate": 0}, {"select": "first"}, {"precision": "fp16"}],
)
def test_a_value_out_of_range_is_one_sentence(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(InputError, match=f"^`{name}` must [^\n]*$"):
        Switches(**given)
