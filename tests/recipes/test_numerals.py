"""Numbers as papers write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal._checks import InputError
from vicinal.recipes.numerals import read_number, read_numbers, write_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8/255", 8 / 255),
        (" 8 / 255 ", 8 / 255),
        ("-1/4", -0.25),
        ("1.6/255", 1.6 / 255),
        ("1e-4", 1e-4),
        (".5", 0.5),
        ("3", 3),
        ("inf", math.inf),
        ("-inf", -math.inf),
    ],
)
def test_a_word_that_spells_a_number_becomes_it(text: str, number: float) -> None:
    found = read_number(text)
    assert found == number
    assert isinstance(found, type(number))


@pytest.mark.parametrize("text", ["cosine", "", "8/", "1/2/3", "nan", "0x10", "1_000", "8/x", "e5"])
def test_any_other_word_stays_a_word(text: str) -> None:
    assert read_number(text) == text


@pytest.mark.parametrize("text", ["8/0", "8/0.0"])
def test_division_by_zero_is_one_sentence(text: str) -> None:
    with pytest.raises(InputError, match="divides by zero"):
        read_number(text)


def test_numbers_are_read_wherever_they_stand() -> None:
    values = {"a": {"eps": "4/255"}, "b": ["1/2", "word", None, True], "c": 3}
    found = read_numbers(values)
    assert found == {"a": {"eps": 4 / 255}, "b": [0.5, "word", None, True], "c": 3}
    assert values["a"] == {"eps": "4/255"}


@given(st.floats(allow_nan=False) | st.integers(-1000, 1000).map(lambda n: n / 255))
def test_what_is_written_reads_back_to_the_same_bits(value: float) -> None:
    assert read_number(write_number(value)) == value


@pytest.mark.parametrize(
    ("value", "text"), [(4 / 255, "4/255"), (1.6 / 255, "1.6/255"), (0.2, "0.2"), (0.1, "0.1")]
)
def test_fractions_of_255_are_written_as_such_where_that_is_shorter(
    value: float, text: str
) -> None:
    assert write_number(value) == text
