"""The label move that does nothing, and what counts as a label move."""

from __future__ import annotations

import torch

import laws
from vicinal.inputs import PGD
from vicinal.labels import Keep, LabelMove, one_hot


def test_keep_returns_the_label() -> None:
    q = torch.rand(3, 4).softmax(dim=1)
    laws.assert_same_bits(Keep()(q, torch.randn(3, 4)), q)
    assert Keep().at is None


def test_functions_and_input_moves_are_no_label_moves() -> None:
    assert isinstance(Keep(), LabelMove)
    assert not isinstance(one_hot, LabelMove)
    assert not isinstance(PGD(eps=0.1, step_size=0.1), LabelMove)
