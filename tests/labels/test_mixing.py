"""The label's half of MixUp, against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import laws
from oracles import mixing as oracle
from vicinal._checks import InputError
from vicinal.labels import Mixing
from vicinal.maths.mixing import Mix


def test_eq11_labels_mix_as_their_images_did() -> None:
    q = torch.rand(4, 6, dtype=torch.float64).softmax(dim=1)
    mix = Mix(
        partner=torch.tensor([3, 3, 0, 1]), weight=torch.tensor([0.9, 0.0, 1.0, 0.4]).double()
    )
    expected = oracle.mixed(q.numpy(), mix.partner.tolist(), mix.weight.tolist())
    np.testing.assert_allclose(Mixing()(q, torch.zeros(4, 6), mix=mix), expected, atol=1e-15)


def test_without_a_mixture_there_is_nothing_to_follow() -> None:
    with pytest.raises(InputError) as caught:
        Mixing()(torch.eye(3), torch.zeros(3, 3))
    laws.assert_one_line(caught.value, "labels.Mixing", "inputs.MixUp")
