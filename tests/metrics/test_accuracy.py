"""How often a classifier is right, counted by loops and by scikit-learn."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from vicinal._checks import InputError
from vicinal.metrics import accuracy, top_k_error


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
