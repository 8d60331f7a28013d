"""Intervals and tests of shares against SciPy, and against the laws they are made for."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from vicinal._checks import InputError
from vicinal.metrics import fisher_exact, mcnemar, wilson


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(
    ("correct", "n"), [(0, 1), (1, 1), (0, 50), (7, 50), (300, 300), (1, 9999)]
)
def test_wilson_is_scipys(correct: int, n: int, confidence: float) -> None:
    exact: Any = stats.binomtest(correct, n).proportion_ci(confidence, method="wilson")
    low, high = wilson(correct, n, confidence)
    assert low == pytest.approx(exact.low, abs=1e-12)
    assert high == pytest.approx(exact.high, abs=1e-12)


@given(st.integers(1, 400), st.data())
def test_wilson_solves_the_score_equation_and_holds_the_share(n: int, data: Any) -> None:
    """Its ends are the shares from which the observed one is z standard errors away."""
    correct = data.draw(st.integers(0, n))
    low, high = wilson(correct, n)
    share, z = correct / n, stats.norm.ppf(0.975)
    assert 0.0 <= low <= share <= high <= 1.0
    for end in (low, high):
        if 0 < end < 1:
            assert abs(share - end) == pytest.approx(z * math.sqrt(end * (1 - end) / n), abs=1e-9)
    assert (low == 0.0) == (correct == 0)
    assert (high == 1.0) == (correct == n)


def test_wilson_is_95_percent_unless_told_otherwise() -> None:
    assert wilson(5, 9) == wilson(5, 9, 0.95)
    assert wilson(5, 9, 0.9).low > wilson(5, 9).low


def _verdicts(both: int, first: int, second: int, none: int) -> tuple[Tensor, Tensor]:
    one = torch.tensor([True] * (both + first) + [False] * (second + none))
    other = torch.tensor([True] * both + [False] * first + [True] * second + [False] * none)
    return one, other


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (1, 0), (5, 5), (3, 12), (40, 21), (0, 2000)]
)
def test_mcnemar_is_the_sign_test_of_the_discordant(first: int, second: int) -> None:
    found = mcnemar(*_verdicts(7, first, second, 4))
    exact = stats.binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
    assert found == pytest.approx(exact, rel=1e-9)
    assert found == mcnemar(*_verdicts(70, first, second, 0))  # images on which both agree
    assert found == mcnemar(*_verdicts(7, second, first, 4))


@given(st.integers(1, 40), st.integers(1, 60), st.data())
def test_fisher_is_scipys(n: int, other_n: int, data: Any) -> None:
    correct, other = data.draw(st.integers(0, n)), data.draw(st.integers(0, other_n))
    exact: Any = stats.fisher_exact([[correct, n - correct], [other, other_n - other]])
    assert fisher_exact(correct, n, other, other_n) == pytest.approx(exact.pvalue, rel=1e-6)


def test_fisher_is_scipys_for_many_images() -> None:
    exact: Any = stats.fisher_exact([[4100, 5900], [3950, 6050]])
    assert fisher_exact(4100, 10_000, 3950, 10_000) == pytest.approx(exact.pvalue, rel=1e-6)


@pytest.mark.parametrize("pair", [(3, 2), (-1, 5), (0, 0)])
def test_impossible_counts_are_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"`correct`|`n`"):
        wilson(*pair)
    with pytest.raises(InputError, match=r"`correct`|`n`"):
        fisher_exact(*pair, 1, 2)


def test_verdicts_on_different_images_are_refused() -> None:
    with pytest.raises(InputError, match=r"shapes \(3,\) and \(2,\)\. .*fisher_exact"):
        mcnemar(torch.ones(3).bool(), torch.ones(2).bool())
    with pytest.raises(InputError, match="`confidence`"):
        wilson(1, 2, 1.0)


def test_mcnemar_of_a_whole_imagenet_is_a_matter_of_a_moment() -> None:
    """Coefficient by coefficient afresh, these 50,000 images take a quarter of an hour."""
    first, second = 24_800, 25_200
    exact = stats.binomtest(first, first + second, 0.5).pvalue
    assert mcnemar(*_verdicts(0, first, second, 0)) == pytest.approx(exact, rel=1e-9)
