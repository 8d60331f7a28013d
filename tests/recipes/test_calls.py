"""Attacks as text: what is read, what is refused, and that reading runs nothing."""

from __future__ import annotations

import keyword
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal._checks import InputError
from vicinal.recipes.calls import Call, Value, read_call, write_call


def test_arguments_are_numbers_fractions_words_and_lists() -> None:
    text = (
        "pgd(eps=4/255, a=-0.5, b=inf, c=-inf, loss=margin, target='random', d=True, e=None, "
        "f=[1/2, 1])"
    )
    expected: dict[str, Value] = {
        "eps": 4 / 255,
        "a": -0.5,
        "b": math.inf,
        "c": -math.inf,
        "loss": "margin",
        "target": "random",
        "d": True,
        "e": None,
        "f": [0.5, 1],
    }
    assert read_call(text) == Call(name="pgd", arguments=expected)


def test_a_call_may_stand_inside_a_call() -> None:
    call = read_call("transfer(source='runs/a b', attack=pgd(eps=inf))")
    assert call.arguments["attack"] == Call(name="pgd", arguments={"eps": math.inf})
    assert call.arguments["source"] == "runs/a b"


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "pgd(eps=__import__('os').getcwd())",
        "pgd(0.1)",
        "pgd(*[1])",
        "pgd(**{'eps': 1})",
        "pgd(eps=1)(2)",
        "a.b(eps=1)",
        "pgd(eps=a.b)",
        "pgd(eps=1 if True else 2)",
        "pgd(eps=[x for x in (1, 2)])",
        "pgd(eps=lambda: 1)",
        "pgd(eps=2**9)",
        "pgd(eps=1+1)",
        "pgd(eps='a'*9)",
        "pgd(eps=1j)",
        "pgd(eps=b'1')",
        "pgd(eps=f'{1}')",
        "pgd(eps=[[1]])",
        "pgd(eps=['a'])",
        "pgd(eps=-True)",
        "pgd(eps=1, eps=2)",
        "pgd(eps={'a': 1})",
        "pgd(eps=1); pgd",
        "pgd(eps=(y := 1))",
        "",
        "4",
        "pgd(",
        "\x00",
        "pgd(eps=" + "-" * 5000 + "1)",
        "pgd(eps=" + "9" * 400 + "/255)",
    ],
)
def test_everything_else_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        read_call(text)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


def test_reading_runs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "touched"
    with pytest.raises(InputError):
        read_call(f"pgd(eps=open({str(file)!r}, 'w'))")
    assert not file.exists()


def test_division_by_zero_says_so() -> None:
    with pytest.raises(InputError, match="divides by zero"):
        read_call("pgd(eps=8/0)")


_names = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True).filter(
    lambda word: word != "inf" and not keyword.iskeyword(word)
)
_floats = st.floats(allow_nan=False)
_plain = st.none() | st.booleans() | st.integers(-300, 300) | _floats | st.text(max_size=12)
_values = _plain | st.lists(_floats, max_size=3)


@given(_names, st.dictionaries(_names, _values, max_size=4))
def test_what_is_written_reads_back(name: str, arguments: dict[str, Value]) -> None:
    call = Call(name=name, arguments={**arguments, "attack": Call(name="fgsm")})
    again = read_call(write_call(call))
    # A nested call without arguments is a word: the reader of `attack` knows what it means.
    assert again == Call(name=name, arguments={**arguments, "attack": "fgsm"})
