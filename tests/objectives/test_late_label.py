"""Labels that wait for the number of classes."""

from __future__ import annotations

import pytest
import torch

import laws
import nets
from vicinal._checks import InputError
from vicinal.objectives.late_label import label_of, risk_at


def test_classes_and_distributions_become_distributions_in_the_dtype_of_the_logits() -> None:
    z = torch.zeros(2, 3, dtype=torch.float64)
    hard = label_of(torch.tensor([2, 0], dtype=torch.uint8))(z)
    laws.assert_same_bits(hard, torch.eye(3, dtype=torch.float64)[[2, 0]])
    soft = label_of(torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]))(z)
    assert soft.dtype == torch.float64


def test_a_class_that_the_logits_lack_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        label_of(torch.tensor([0, 3]))(torch.zeros(2, 3))
    laws.assert_one_line(caught.value, "0..2", "got 3")


def test_the_risk_is_the_mean_cross_entropy() -> None:
    model = nets.smooth_net()
    x, y = torch.rand(4, nets.CHANNELS, nets.SIDE, nets.SIDE).double(), torch.arange(4)
    expected = torch.nn.functional.cross_entropy(model(x), y)
    torch.testing.assert_close(risk_at(model, x, label_of(y)), expected)
