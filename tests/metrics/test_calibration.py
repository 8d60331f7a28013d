"""Calibration against loops over exact fractions, and against scikit-learn's log loss."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor

from oracles import calibration as oracle
from vicinal._checks import InputError
from vicinal.metrics import (
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
)


def draw(n: int = 80, k: int = 4, *, scale: float = 2.0) -> tuple[Tensor, Tensor]:
    return scale * torch.randn(n, k, dtype=torch.float64), torch.randint(k, (n,))


@pytest.mark.parametrize(("k", "scale"), [(2, 1.0), (4, 3.0), (7, 10.0)])
@pytest.mark.parametrize("bins", [1, 2, 15, 40])
def test_guo_eq3_is_that_of_loops(bins: int, k: int, scale: float) -> None:
    z, y = draw(k=k, scale=scale)
    exact = oracle.calibration_error(z.tolist(), y.tolist(), bins)
    assert expected_calibration_error(z, y, bins=bins) == pytest.approx(float(exact), abs=1e-12)
    for found, (n, confidence, accuracy) in zip(
        reliability(z, y, bins=bins),
        oracle.reliability(z.tolist(), y.tolist(), bins),
        strict=True,
    ):
        assert found.n == n
        if confidence is None or accuracy is None:
            assert math.isnan(found.confidence)
            assert math.isnan(found.accuracy)
        else:
            assert found.confidence == pytest.approx(float(confidence), abs=1e-12)
            assert found.accuracy == pytest.approx(float(accuracy), abs=1e-12)


def test_there_are_15_bins_unless_told_otherwise() -> None:
    z, y = draw()
    assert len(reliability(z, y)) == 15
    assert expected_calibration_error(z, y) == expected_calibration_error(z, y, bins=15)
    assert expected_calibration_error(z, y) != expected_calibration_error(z, y, bins=14)


def test_a_bound_belongs_to_the_bin_below_it() -> None:
    """Probabilities 1/2 and 1/4 lie on bounds of four bins, certainty on the last."""
    two, four = torch.zeros(1, 2), torch.zeros(1, 4)
    y = torch.tensor([0])
    assert [b.n for b in reliability(two, y, bins=4)] == [0, 1, 0, 0]
    assert [b.n for b in reliability(four, y, bins=4)] == [1, 0, 0, 0]
    assert [b.n for b in reliability(torch.tensor([[99.0, -99.0]]), y, bins=4)] == [0, 0, 0, 1]


def test_a_classifier_that_is_right_as_often_as_it_says_has_no_error() -> None:
    z = torch.tensor([[math.log(0.75), math.log(0.25)]]).repeat(4, 1).double()
    assert expected_calibration_error(z, torch.tensor([0, 0, 0, 1])) == pytest.approx(0, abs=1e-7)
    assert expected_calibration_error(z, torch.tensor([0, 0, 0, 0])) == pytest.approx(0.25)
    assert expected_calibration_error(z, torch.tensor([1, 1, 1, 1])) == pytest.approx(0.75)


def test_errors_of_opposite_sign_in_two_bins_do_not_cancel() -> None:
    shy, bold = [math.log(0.55), math.log(0.45)], [math.log(0.95), math.log(0.05)]
    z, y = torch.tensor([shy, bold]), torch.tensor([0, 1])
    assert expected_calibration_error(z, y) == pytest.approx((0.45 + 0.95) / 2, abs=1e-6)
    assert expected_calibration_error(z, y, bins=1) == pytest.approx(0.25, abs=1e-6)


def test_images_of_a_batch_may_come_in_any_order_and_on_any_scale_of_logits() -> None:
    z, y = draw()
    order = torch.randperm(len(y))
    for figure in (expected_calibration_error, negative_log_likelihood, brier_score):
        assert figure(z[order], y[order]) == pytest.approx(figure(z, y), abs=1e-12)
        assert figure(z + 7, y) == pytest.approx(figure(z, y), abs=1e-12)


@pytest.mark.parametrize("k", [2, 5])
def test_scores_equal_scikit_learn_and_loops(k: int) -> None:
    z, y = draw(k=k)
    p = [[float(value) for value in oracle.probabilities(row)] for row in z.tolist()]
    expected = log_loss(y, p, labels=range(k))
    assert negative_log_likelihood(z, y) == pytest.approx(expected, abs=1e-12)
    assert brier_score(z, y) == pytest.approx(float(oracle.brier(z.tolist(), y.tolist())))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_half_precision_is_widened_before_anything_is_computed(dtype: torch.dtype) -> None:
    z, y = draw()
    z = z.to(dtype)
    for figure in (expected_calibration_error, negative_log_likelihood, brier_score):
        assert figure(z, y) == figure(z.double(), y)


def test_a_confident_error_costs_much_and_stays_finite() -> None:
    z, y = torch.tensor([[2000.0, 0.0]]), torch.tensor([1])
    assert negative_log_likelihood(z, y) == pytest.approx(2000)
    assert brier_score(z, y) == pytest.approx(2)


@pytest.mark.parametrize(
    ("z", "y", "sentence"),
    [
        (torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), "at least one image"),
        (torch.zeros(2, 3), torch.tensor([0, 3]), r"0\.\.2"),
        (torch.zeros(2, 3), torch.tensor([0]), "`y`"),
        (torch.full((2, 3), math.nan), torch.tensor([0, 1]), "finite"),
        (torch.zeros(2), torch.tensor([0, 1]), r"\(2, K\)"),
    ],
)
def test_what_is_no_prediction_is_refused(z: Tensor, y: Tensor, sentence: str) -> None:
    for figure in (expected_calibration_error, negative_log_likelihood, brier_score):
        with pytest.raises(InputError, match=sentence):
            figure(z, y)


def test_bins_are_counted() -> None:
    with pytest.raises(InputError, match="`bins`"):
        expected_calibration_error(*draw(), bins=0)
