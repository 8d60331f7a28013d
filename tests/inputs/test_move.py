"""The input move that does nothing, and what counts as an input move."""

from __future__ import annotations

import torch
from torch import nn

import laws
from vicinal import attacks, labels
from vicinal.inputs import InputMove, Keep


def test_keep_returns_the_images() -> None:
    x = torch.rand(3, 1, 2, 2)
    moved, mix = Keep()(nn.Identity(), x, torch.arange(3))
    laws.assert_same_bits(moved, x)
    assert mix is None


def test_label_moves_and_attacks_are_no_input_moves() -> None:
    assert isinstance(Keep(), InputMove)
    assert not isinstance(labels.Keep(), InputMove)
    assert not isinstance(attacks.FGSM(eps=0.1), InputMove)
