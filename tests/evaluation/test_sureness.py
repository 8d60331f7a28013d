"""Calibration counted batch by batch is that of all logits at once, and of a loop over bins."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vicinal.evaluation.sureness import Sureness, confidence
from vicinal.metrics import expected_calibration_error


def _drawn(n: int, seed: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    z = 3 * torch.randn(n, 7, generator=rng)
    return z, torch.where(torch.rand(n, generator=rng) < 0.6, z.argmax(dim=1), 0)


def _by_loops(z: Tensor, y: Tensor) -> float:
    total = 0.0
    for m in range(15):
        rows = []
        for k in range(len(z)):
            odds = [math.exp(float(one)) for one in z[k]]
            sure = max(odds) / sum(odds)
            if m / 15 < sure <= (m + 1) / 15:
                rows.append((sure, float(int(z[k].argmax()) == int(y[k]))))
        total += abs(sum(sure for sure, _ in rows) - sum(right for _, right in rows))
    return total / len(z)


@pytest.mark.parametrize("size", [1, 9, 100])
def test_batches_give_the_error_of_all_logits(size: int) -> None:
    held = Sureness()
    for what, seed in (("fog", 0), ("snow", 1)):
        for z, y in zip(*(torch.split(one, size) for one in _drawn(100, seed)), strict=True):
            held.add((what, 3), confidence(z), z.argmax(dim=1) == y)
    for what, seed in (("fog", 0), ("snow", 1)):
        z, y = _drawn(100, seed)
        assert held.error((what, 3)) == pytest.approx(expected_calibration_error(z, y), rel=1e-12)
        assert held.error((what, 3)) == pytest.approx(_by_loops(z, y), rel=1e-4)


def test_a_bound_belongs_to_the_bin_below_it() -> None:
    """Apart, their gaps add up; in one bin they would nearly make up for each other."""
    held, sure = Sureness(), torch.tensor([9 / 15, 9 / 15 + 1e-9], dtype=torch.float64)
    held.add(0, sure, torch.tensor([True, False]))
    assert held.error(0) == pytest.approx((0.4 + 0.6) / 2)


def test_where_there_is_no_image_there_is_no_error() -> None:
    assert math.isnan(Sureness().error(None))
