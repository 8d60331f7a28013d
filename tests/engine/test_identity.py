"""Words of an older version mean today's object where its newer fields are at their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from vicinal.engine import SGD, Adam, Cyclic, Step
from vicinal.engine.identity import describe, is_described


@dataclass(frozen=True, kw_only=True)
class Inner:
    eps: float = 0.2
    at: str = "neighbour"


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner = Inner()
    many: tuple[float, ...] = (0.5, 0.75)


@pytest.mark.parametrize("thing", [SGD(), Adam(), Cyclic(), Step(), Outer(), Inner, len])
def test_everything_is_described_by_its_own_words(thing: Any) -> None:
    assert is_described(thing, describe(thing))


@pytest.mark.parametrize(
    ("thing", "words", "same"),
    [
        (Outer(), "Outer(inner=Inner(eps=0.2), many=(0.5, 0.75))", True),
        (Outer(), "Outer(inner=Inner(eps=0.2))", True),
        (Outer(inner=Inner(at="clean")), "Outer(inner=Inner(eps=0.2), many=(0.5, 0.75))", False),
        (Outer(inner=Inner(eps=0.3)), "Outer(inner=Inner(eps=0.2), many=(0.5, 0.75))", False),
        (Outer(many=(0.5,)), "Outer(inner=Inner(eps=0.2), many=(0.5, 0.75))", False),
        (Outer(), "Other(inner=Inner(eps=0.2))", False),
        (Outer(), "Outer(inner=Keep())", False),
        (Outer(), "Outer(lost=1)", False),
        (Inner(), "Outer()", False),
        (SGD(), "SGD(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0001)", True),
        (SGD(decay="weights"), "SGD(lr=0.1, momentum=0.9, weight_decay=0.0001)", False),
        (SGD(), "<function loss>", False),
        (SGD(), None, False),
    ],
)
def test_only_fields_at_their_defaults_may_be_unsaid(thing: Any, words: Any, same: bool) -> None:
    assert is_described(thing, words) == same
