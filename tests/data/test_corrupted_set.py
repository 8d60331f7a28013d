from __future__ import annotations

import pytest
import torch

from vicinal._checks import InputError
from vicinal.data.corrupted_set import CorruptedSet
from vicinal.data.image_set import Split


def made_up(corruption: str, severity: int) -> Split:
    level = severity if corruption == "fog" else 10 * severity
    x = torch.full((2, 3, 4, 4), level, dtype=torch.uint8)
    return Split(x=x, y=torch.arange(2))


FOUND = CorruptedSet(
    name="toy-c", corruptions=("fog", "snow"), severities=(1, 3), num_classes=2, read=made_up
)


def test_a_part_is_that_of_its_corruption_and_severity() -> None:
    parts = [FOUND.part(name, severity) for name in ("fog", "snow") for severity in (1, 3)]
    assert [int(part.x[0, 0, 0, 0]) for part in parts if isinstance(part, Split)] == [1, 3, 10, 30]


def test_what_it_does_not_hold_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"fog \| snow; got 'frost'"):
        FOUND.part("frost", 1)
    with pytest.raises(InputError, match=r"those of toy-c, 1, 3; got 2\."):
        FOUND.part("fog", 2)
    for severity in (2.0, True, "1"):
        with pytest.raises(InputError, match="`severity` must be an integer >= 0"):
            FOUND.part("fog", severity)  # type: ignore[arg-type]
