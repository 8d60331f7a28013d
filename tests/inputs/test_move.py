"""The input move that does nothing, and what counts as an input move."""

from __future__ import annotations

import torch
from torch import nn

import laws
from vicinal import attacks, labels
from vicinal.inputs import FGSM, PGD, GaussianNoise, InputMove, Keep, LookingMove, MixUp


def test_keep_returns_the_images() -> None:
    x = torch.rand(3, 1, 2, 2)
    moved, mix = Keep()(nn.Identity(), x, torch.arange(3))
    laws.assert_same_bits(moved, x)
    assert mix is None


def test_label_moves_and_attacks_are_no_input_moves() -> None:
    assert isinstance(Keep(), InputMove)
    assert not isinstance(labels.Keep(), InputMove)
    assert not isinstance(attacks.FGSM(eps=0.1), InputMove)


def test_moves_that_search_take_clean_logits_and_the_others_need_not_know_of_them() -> None:
    for move in (FGSM(eps=0.1), PGD(eps=0.1, step_size=0.1)):
        assert isinstance(move, LookingMove)
    for still in (Keep(), MixUp(), GaussianNoise()):
        assert not isinstance(still, LookingMove)
