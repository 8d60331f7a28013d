"""MixUp and ALPS's interpolation: the draw replayed with loops, and its distribution.

The statistical tests draw from fixed seeds; with another seed each would fail by chance with
probability 1e-6 at most.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

import laws
from oracles import mixing as oracle
from vicinal._checks import InputError
from vicinal.inputs import Interpolate, MixUp

LEVEL = 1e-6
NO_MODEL = nn.Identity()


def images(n: int = 8) -> Tensor:
    return torch.rand(n, 3, 4, 4, dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "move", [MixUp(alpha=1.0), MixUp(alpha=0.4, per_sample=True), Interpolate(mode=0.9)]
)
def test_eq9_the_images_are_the_mixtures_of_the_draw(move: MixUp | Interpolate) -> None:
    x = images()
    moved, mix = move(NO_MODEL, x, torch.arange(8), rng=generator())
    assert mix is not None
    expected = oracle.mixed(x.numpy(), mix.partner.tolist(), mix.weight.tolist())
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-15)
    replayed = move.draw(x, rng=generator())
    laws.assert_same_bits(replayed.partner, mix.partner)
    laws.assert_same_bits(replayed.weight, mix.weight)


def test_mixup_draws_one_weight_for_the_batch_or_one_for_each() -> None:
    x = images(500)
    assert len(set(MixUp(alpha=1.0).draw(x).weight.tolist())) == 1
    assert len(set(MixUp(alpha=1.0, per_sample=True).draw(x).weight.tolist())) == 500
    assert len(set(Interpolate().draw(x).weight.tolist())) == 500


@pytest.mark.parametrize("alpha", [0.4, 1.0, 8.0])
def test_mixups_weights_are_beta_alpha_alpha(alpha: float) -> None:
    """Per sample and, over many batches, per batch."""
    x = torch.zeros(10_000, 1, 1, 1)
    each = MixUp(alpha=alpha, per_sample=True).draw(x, rng=generator()).weight.numpy()
    assert stats.kstest(each, stats.beta(alpha, alpha).cdf).pvalue > LEVEL
    rng = generator()
    once = [float(MixUp(alpha=alpha).draw(x[:2], rng=rng).weight[0]) for _ in range(2_000)]
    assert stats.kstest(once, stats.beta(alpha, alpha).cdf).pvalue > LEVEL


@pytest.mark.parametrize(
    ("mode", "concentration"), [(0.9, 12.0), (0.76, 6.0), (0.99, 200.0), (0.0, 5.0), (1.0, 5.0)]
)
def test_eq12_weights_have_the_stated_mode_mean_and_distribution(
    mode: float, concentration: float
) -> None:
    x = torch.zeros(50_000, 1, 1, 1)
    drawn = Interpolate(mode=mode, concentration=concentration).draw(x, rng=generator())
    weight = drawn.weight.numpy()
    law = oracle.beta_with_mode(mode, concentration)
    assert oracle.mode_by_search(law) == pytest.approx(mode, abs=1e-4)
    assert stats.kstest(weight, law.cdf).pvalue > LEVEL
    mean = (1 + mode * (concentration - 2)) / concentration
    five_sigma = 5 * law.std() / math.sqrt(len(weight))
    assert weight.mean() == pytest.approx(mean, abs=five_sigma)
    counts, edges = np.histogram(weight, bins=20, range=(0, 1))
    fullest = int(counts.argmax())
    assert edges[fullest] - 0.06 <= mode <= edges[fullest + 1] + 0.06


def test_the_papers_defaults_are_beta_10_2() -> None:
    """Mode 0.9 at a + b = 12: a mean weight of 10/12."""
    weight = Interpolate().draw(torch.zeros(50_000, 1, 1, 1), rng=generator()).weight
    assert stats.kstest(weight.numpy(), stats.beta(10, 2).cdf).pvalue > LEVEL


@pytest.mark.parametrize("mode", [0.0, 0.8, 1.0])
def test_at_infinite_concentration_every_weight_is_the_mode(mode: float) -> None:
    drawn = Interpolate(mode=mode, concentration=math.inf).draw(images())
    assert drawn.weight.tolist() == [mode] * 8
    assert drawn.partner.sort().values.tolist() == list(range(8))


def test_partners_are_a_uniform_permutation() -> None:
    rng, x = generator(), torch.zeros(3, 1, 1, 1)
    moves = (MixUp(), Interpolate())
    drawn = [tuple(move.draw(x, rng=rng).partner.tolist()) for _ in range(1_500) for move in moves]
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > LEVEL


def test_mixups_weight_goes_to_0_or_1_with_alpha() -> None:
    """Towards alpha = 0 the batch is itself or its permutation, never half of each."""
    weight = MixUp(alpha=1e-6, per_sample=True).draw(torch.zeros(1_000, 1, 1, 1)).weight
    assert float(torch.minimum(weight, 1 - weight).max()) < 1e-6


@pytest.mark.parametrize("move", [MixUp(), MixUp(alpha=0.0), Interpolate(), Interpolate(mode=1.0)])
def test_an_image_alone_has_no_partner(move: MixUp | Interpolate) -> None:
    with pytest.raises(InputError) as caught:
        move(NO_MODEL, images(1), torch.tensor([0]))
    laws.assert_one_line(caught.value, "at least 2", "got 1", "drop_last")


@pytest.mark.parametrize("alpha", [-1.0, math.nan, math.inf])
def test_mixups_alpha_is_finite_and_not_negative(alpha: float) -> None:
    with pytest.raises(InputError) as caught:
        MixUp(alpha=alpha)
    laws.assert_one_line(caught.value, "`alpha`", "0 <= alpha < inf", str(alpha).split(".")[0])


@pytest.mark.parametrize(
    ("mode", "concentration", "phrase"),
    [
        (-0.1, 12.0, "0 <= mode <= 1"),
        (1.1, 12.0, "0 <= mode <= 1"),
        (math.nan, 12.0, "0 <= mode <= 1"),
        (0.9, 2.0, "2 < concentration"),
        (0.9, math.nan, "2 < concentration"),
    ],
)
def test_mode_and_concentration_have_bounds(mode: float, concentration: float, phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        Interpolate(mode=mode, concentration=concentration)
    laws.assert_one_line(caught.value, phrase)
