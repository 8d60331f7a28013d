"""What a model and its gradients are like, on figures alone."""

from __future__ import annotations

import pytest

from vicinal.evaluation import symptoms
from vicinal.evaluation.check import Check


@pytest.mark.parametrize(
    ("check", "status"),
    [
        (symptoms.zero_gradients("margin", 0.01, n=1000), "PASS"),
        (symptoms.zero_gradients("margin", 0.1, n=1000), "WARN"),
        (symptoms.zero_gradients("margin", 0.11, n=1000), "FAIL"),
        (symptoms.not_finite(0.0, n=1000), "PASS"),
        (symptoms.not_finite(0.005, n=1000), "WARN"),
        (symptoms.not_finite(0.02, n=1000), "FAIL"),
        (symptoms.unstable(0.25), "PASS"),
        (symptoms.unstable(0.5), "WARN"),
        (symptoms.unstable(1.5), "FAIL"),
        (symptoms.slope(0.6, n=9), "PASS"),
        (symptoms.slope(1.6, n=9), "PASS"),
        (symptoms.slope(0.4, n=9), "WARN"),
        (symptoms.slope(2.5, n=9), "WARN"),
        (symptoms.slope(0.05, n=9), "FAIL"),
        (symptoms.slope(20.0, n=9), "FAIL"),
        (symptoms.slope(-1.0, n=9), "FAIL"),
        (symptoms.slope(-1.0, n=4), "WARN"),
        (symptoms.random(1e-6, 0, n=9, passes=5), "PASS"),
        (symptoms.random(5e-5, 0, n=9, passes=5), "WARN"),
        (symptoms.random(2e-4, 0, n=9, passes=5), "FAIL"),
        (symptoms.random(5e-5, 1, n=9, passes=5), "FAIL"),
        (symptoms.batches(1e-4), "PASS"),
        (symptoms.batches(5e-3), "WARN"),
        (symptoms.batches(5e-2), "FAIL"),
        (symptoms.with_gradient(0.01), "PASS"),
        (symptoms.with_gradient(0.05), "WARN"),
        (symptoms.with_gradient(0.2), "FAIL"),
        (symptoms.few_right(19, n=80), "WARN"),
        (symptoms.few_right(20, n=80), "PASS"),
        (symptoms.softmax(False), "PASS"),
        (symptoms.softmax(True), "FAIL"),
        (symptoms.undifferentiable(False), "PASS"),
        (symptoms.undifferentiable(True), "FAIL"),
        (symptoms.gradients_inside(False), "PASS"),
        (symptoms.gradients_inside(True), "WARN"),
        (symptoms.few_classes(4), "PASS"),
        (symptoms.few_classes(3), "PASS"),
        (symptoms.few_classes(2), "PASS"),
        (symptoms.zero_gradients("margin", 1 / 5, n=5), "WARN"),
        (symptoms.not_finite(1 / 20, n=20), "WARN"),
        (symptoms.not_finite(5 / 20, n=20), "FAIL"),
    ],
)
def test_figures_become_a_status_and_a_sentence(check: Check, status: str) -> None:
    assert check.status == status
    assert check.sentence.endswith(".")
    assert check.figures


def test_a_random_model_is_told_what_to_do() -> None:
    assert "eot=20" in symptoms.random(0.1, 3, n=9, passes=5).sentence
    assert "eot" not in symptoms.random(0.0, 0, n=9, passes=5).sentence
    assert "3 of 9 images change class" in symptoms.random(0.1, 3, n=9, passes=5).sentence


def test_few_classes_are_told_all_the_same() -> None:
    assert "plain margins" in symptoms.few_classes(2).sentence
    assert "margins" not in symptoms.few_classes(4).sentence
