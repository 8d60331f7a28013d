"""How often a classifier is right, counted by loops and by scikit-learn."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from oracles import calibration as oracle
from vicinal._checks import InputError
from vicinal.metrics import accuracy, in_top_k, per_class_accuracy, top_k_error


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_accuracy_equals_scikit_learn(n: int) -> None:
    guess, truth = torch.randint(3, (2, n)).unbind(0)
    assert accuracy(guess == truth) == pytest.approx(accuracy_score(truth, guess), abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_top_k_error_equals_scikit_learn(k: int) -> None:
    z, y = torch.randn(200, 5), torch.randint(5, (200,))
    exact = 1 - top_k_accuracy_score(y, z, k=k, labels=range(5))
    assert top_k_error(z, y, k=k) == pytest.approx(exact, abs=1e-12)


def test_every_class_among_all_is_found() -> None:
    assert top_k_error(torch.randn(10, 5), torch.randint(5, (10,)), k=5) == 0.0


@pytest.mark.parametrize("k", [0, -1, 6, 1.0])
def test_a_number_of_guesses_that_there_is_not_is_refused(k: int) -> None:
    with pytest.raises(InputError, match="`k`"):
        top_k_error(torch.randn(10, 5), torch.randint(5, (10,)), k=k)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_of_equal_logits_the_first_counts_as_larger(k: int) -> None:
    z, y = torch.randint(3, (300, 7)).float(), torch.randint(7, (300,))
    exact = oracle.top_k_error(z.tolist(), y.tolist(), k)
    assert top_k_error(z, y, k=k) == pytest.approx(float(exact), abs=1e-12)
    right = z.argmax(dim=1) == y
    assert torch.equal(in_top_k(z, y, k=1), right)
    assert bool((in_top_k(z, y, k=k) >= right).all())


def test_the_accuracy_of_each_class_is_that_of_a_loop() -> None:
    y, correct = torch.randint(9, (60,)), torch.rand(60) > 0.4
    y[y == 4] = 5
    found = per_class_accuracy(correct, y, num_classes=11)
    for one, (n, share) in zip(
        found, oracle.per_class(correct.tolist(), y.tolist(), 11), strict=True
    ):
        assert one.n == n
        assert math.isnan(one.accuracy) if share is None else one.accuracy == float(share)
    assert [one.n for one in found[9:]] == [0, 0]
    whole = sum(one.n * one.accuracy for one in found if one.n) / 60
    assert whole == pytest.approx(accuracy(correct))


@pytest.mark.parametrize("y", [[0, 1], [0, 1, 3], [0, 1, -1]])
def test_classes_that_do_not_fit_the_verdicts_are_refused(y: list[int]) -> None:
    with pytest.raises(InputError, match="`y`"):
        per_class_accuracy(torch.ones(3, dtype=torch.bool), torch.tensor(y), num_classes=3)
