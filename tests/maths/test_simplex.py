"""Distributions over classes: written, recognised, and read back."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import laws
from vicinal._checks import InputError
from vicinal.maths.simplex import (
    as_distribution,
    is_on_simplex,
    least_likely,
    one_hot,
    true_class,
)


def test_one_hot_puts_everything_on_the_class() -> None:
    q = one_hot(torch.tensor([2, 0, 1]), num_classes=4)
    assert q.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert q.dtype == torch.get_default_dtype()
    laws.assert_on_simplex(q)


@pytest.mark.parametrize("y", [[0, 1, 3], [-1, 0, 1]])
def test_one_hot_refuses_classes_outside_the_range(y: list[int]) -> None:
    with pytest.raises(InputError) as caught:
        one_hot(torch.tensor(y), num_classes=3)
    laws.assert_one_line(caught.value, "`y`", "0..2")


@pytest.mark.parametrize(("y", "got"), [(torch.eye(3), "(3, 3)"), ([0, 1], "list")])
def test_one_hot_refuses_what_is_no_list_of_classes(y: Any, got: str) -> None:
    with pytest.raises(InputError) as caught:
        one_hot(y, num_classes=3)
    laws.assert_one_line(caught.value, "`y`", "(N,)", got)


def test_labels_become_distributions_of_the_logits_dtype() -> None:
    z = torch.zeros(3, 4, dtype=torch.float64)
    hard = as_distribution(torch.tensor([1, 3, 0]), like=z)
    assert hard.dtype == torch.float64
    assert hard.tolist() == one_hot(torch.tensor([1, 3, 0]), num_classes=4).tolist()
    soft = torch.full((3, 4), 0.25)
    assert as_distribution(soft, like=z).dtype == torch.float64


def test_the_class_of_a_label_is_itself_or_the_most_probable() -> None:
    q = torch.tensor([[0.2, 0.5, 0.3], [0.9, 0.0, 0.1]])
    assert true_class(q).tolist() == [1, 0]
    assert true_class(torch.tensor([2, 0], dtype=torch.uint8)).tolist() == [2, 0]
    assert true_class(torch.tensor([2, 0], dtype=torch.uint8)).dtype == torch.int64


def test_the_least_likely_class_has_the_least_logit() -> None:
    z = torch.randn(50, 7)
    assert least_likely(z).tolist() == [row.index(min(row)) for row in z.tolist()]


def test_the_first_of_tied_classes_is_the_least_likely() -> None:
    assert least_likely(torch.tensor([[1.0, 0.0, 0.0], [2.0, 2.0, 2.0]])).tolist() == [1, 0]


def test_what_is_on_the_simplex() -> None:
    q = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.6, 0.6], [1.5, -0.5], [0.0, 0.0]])
    assert is_on_simplex(q).tolist() == [True, True, False, False, False]
    assert is_on_simplex(torch.tensor([[0.5, 0.501]]), tolerance=0.01).tolist() == [True]
    assert is_on_simplex(torch.tensor([[torch.nan, 1.0]])).tolist() == [False]
