"""Label smoothing as an objective, in both conventions, against loops and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import laws
import nets
from oracles import losses, smoothing
from vicinal._checks import InputError
from vicinal.objectives import LabelSmoothing

Y = [0, 1, 2, 3, 4, 0]


def batch() -> tuple[Tensor, Tensor]:
    return torch.rand(6, 3, 4, 4, dtype=torch.float64), torch.tensor(Y)


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.5, 1.0])
def test_eq8_matches_loops_in_both_conventions(eps: float) -> None:
    (x, y), model = batch(), nets.smooth_net()
    z = model(x).detach().numpy()
    for convention, write in (
        ("others", smoothing.smoothed),
        ("uniform", smoothing.smoothed_uniform),
    ):
        loss = LabelSmoothing(eps=eps, convention=convention)(model, x, y).detach()
        expected = losses.cross_entropy(z, write(Y, 5, eps)).mean()
        np.testing.assert_allclose(loss, expected, rtol=1e-12)


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.5, 1.0])
def test_lemma1_the_objective_is_a_vicinal_risk(eps: float) -> None:
    """Under the vicinal distribution of eq. 7, labels drawn from pi_k of eq. 6, enumerated."""
    (x, y), model = batch(), nets.smooth_net()
    risk = smoothing.vicinal_risk(model(x).detach().numpy(), Y, eps)
    assert LabelSmoothing(eps=eps)(model, x, y).item() == pytest.approx(risk, rel=1e-12)


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.5, 1.0])
def test_uniform_is_torchs_label_smoothing(eps: float) -> None:
    (x, y), model = batch(), nets.smooth_net()
    ours = LabelSmoothing(eps=eps, convention="uniform")(model, x, y)
    theirs = functional.cross_entropy(model(x), y, label_smoothing=eps)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_a_misspelt_convention_names_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        LabelSmoothing(convention="other")
    laws.assert_one_line(caught.value, "`convention`", "others | uniform", "Did you mean others?")


@pytest.mark.parametrize("eps", [-0.1, 1.5])
def test_eps_lies_between_0_and_1(eps: float) -> None:
    with pytest.raises(InputError) as caught:
        LabelSmoothing(eps=eps)
    laws.assert_one_line(caught.value, "0 <= eps <= 1")
