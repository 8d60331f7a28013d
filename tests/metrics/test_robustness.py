"""The share of its accuracy that a classifier keeps."""

from __future__ import annotations

import math

import pytest

from vicinal.metrics import robustness_score


@pytest.mark.parametrize(
    ("perturbed", "clean", "score"),
    [(0.45, 0.9, 0.5), (0.0, 0.7, 0.0), (0.7, 0.7, 1.0), (0.8, 0.4, 2.0)],
)
def test_the_ratio(perturbed: float, clean: float, score: float) -> None:
    assert robustness_score(perturbed, clean) == pytest.approx(score)


def test_without_accuracy_there_is_no_ratio() -> None:
    assert math.isnan(robustness_score(0.0, 0.0))
