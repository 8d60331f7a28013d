"""A cut as a value: its draw replayed with loops over pixels, and its distribution.

The statistical tests draw from fixed seeds; with another seed each would fail by chance with
probability 1e-6 at most.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import laws
from oracles import cutmix as oracle
from oracles import mixing
from vicinal.maths.cutmix import Cut, draw_cut
from vicinal.maths.mixing import Mix
from vicinal.maths.randomness import beta, integers, permutation

LEVEL = 1e-6


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int, height: int, width: int) -> Tensor:
    return torch.rand(n, 3, height, width, dtype=torch.float64)


def boxes(cut: Cut) -> list[oracle.Box]:
    return [(a, b, c, d) for a, b, c, d in cut.box.tolist()]


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 5), (32, 32), (1, 9)])
def test_eq2_a_loop_replays_the_draw(
    height: int, width: int, alpha: float, per_sample: bool
) -> None:
    x, n = images(20, height, width), 20 if per_sample else 1
    for seed in range(10):
        cut = draw_cut(x, alpha=alpha, per_sample=per_sample, rng=generator(seed))
        rng = generator(seed)
        laws.assert_same_bits(cut.partner, permutation(20, x, rng))
        lam = beta(n, a=alpha, b=alpha, like=x, rng=rng).tolist()
        row, column = (integers(n, high=s, like=x, rng=rng).tolist() for s in (height, width))
        expected = [
            oracle.box(height, width, lam=lam[i], row=row[i], column=column[i]) for i in range(n)
        ]
        assert boxes(cut) == (expected if per_sample else expected * 20)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 5), (32, 32)])
def test_eq1_the_weight_is_the_share_of_pixels_that_is_kept(height: int, width: int) -> None:
    cut = draw_cut(images(200, height, width), alpha=1.0, per_sample=True, rng=generator())
    counted = [oracle.kept(height, width, box) for box in boxes(cut)]
    assert cut.weight.tolist() == counted
    # Boxes at the border and empty ones are among them: the share is not the lambda drawn.
    assert any(box[0] == 0 or box[3] == width for box in boxes(cut))
    assert min(counted) < 0.5 < max(counted)


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_eq1_boxes_come_from_the_partner_and_the_rest_stays(
    dtype: torch.dtype, per_sample: bool
) -> None:
    x = images(12, 6, 9).to(dtype)
    cut = draw_cut(x, alpha=1.0, per_sample=per_sample, rng=generator(2))
    with laws.assert_inputs_not_modified(x):
        moved = cut.paste(x)
    assert moved.dtype == dtype
    expected = oracle.pasted(x.double().numpy(), cut.partner.tolist(), boxes(cut))
    assert np.array_equal(moved.double().numpy(), expected)
    assert not torch.equal(moved, x)


def test_pixels_really_taken_agree_with_the_weight() -> None:
    """Images of one colour each: what is left of the own colour is the weight, measured."""
    x = torch.arange(30.0, dtype=torch.float64).view(30, 1, 1, 1).expand(30, 1, 16, 16)
    cut = draw_cut(x, alpha=1.0, per_sample=True, rng=generator())
    own = (cut.paste(x) == x).double().mean(dim=(1, 2, 3))
    other = cut.partner != torch.arange(30)
    laws.assert_same_bits(own[other], cut.weight[other])


def test_labels_follow_as_they_follow_any_mixture() -> None:
    q = torch.rand(10, 4, dtype=torch.float64).softmax(dim=1)
    cut = draw_cut(images(10, 8, 8), alpha=1.0, per_sample=True, rng=generator())
    assert isinstance(cut, Mix)
    expected = mixing.mixed(q.numpy(), cut.partner.tolist(), cut.weight.tolist())
    np.testing.assert_allclose(cut(q), expected, rtol=0, atol=1e-15)


def test_one_box_for_the_batch_or_one_for_each() -> None:
    x = images(100, 32, 32)
    once = draw_cut(x, alpha=1.0, per_sample=False, rng=generator())
    assert len(set(boxes(once))) == len(set(once.weight.tolist())) == 1
    assert len(set(boxes(draw_cut(x, alpha=1.0, per_sample=True, rng=generator())))) > 90


@pytest.mark.parametrize("per_sample", [False, True])
def test_at_alpha_0_nothing_is_taken(per_sample: bool) -> None:
    x = images(20, 8, 8)
    cut = draw_cut(x, alpha=0.0, per_sample=per_sample, rng=generator())
    assert cut.weight.tolist() == [1.0] * 20
    laws.assert_same_bits(cut.paste(x), x)


def test_centres_are_uniform_over_the_pixels() -> None:
    """At lambda = 1/2 the boxes of 16x16 images reach 5 pixels to each side of their centre."""
    x = torch.zeros(30_000, 1, 16, 16)
    box = draw_cut(x, alpha=1e9, per_sample=True, rng=generator()).box
    first, last = box[:, ::2], box[:, 1::2]
    centre = torch.where(first > 0, first + 5, last - 5)
    counts = torch.bincount(centre[:, 0] * 16 + centre[:, 1], minlength=256).numpy()
    assert len(counts) == 256
    assert stats.chisquare(counts).pvalue > LEVEL


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_the_mean_share_kept_is_that_of_beta_alpha_alpha(alpha: float) -> None:
    """Against every centre, and lambda at 2000 midpoints of its distribution."""
    lam = stats.beta(alpha, alpha).ppf((np.arange(2_000) + 0.5) / 2_000)
    expected = oracle.mean_kept(6, 7, lam.tolist())
    x = torch.zeros(40_000, 1, 6, 7)
    weight = draw_cut(x, alpha=alpha, per_sample=True, rng=generator()).weight
    five_sigma = 5 * float(weight.std()) / 200
    assert float(weight.mean()) == pytest.approx(expected, abs=five_sigma + 1e-3)


def test_a_cut_is_frozen() -> None:
    cut = draw_cut(images(2, 4, 4), alpha=1.0, per_sample=False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        cut.box = cut.box + 1  # type: ignore[misc]


def test_nothing_reads_a_value() -> None:
    """On torch's meta device there is no value that could be waited for."""
    x = torch.zeros(4, 3, 8, 8, device="meta")
    cut = Cut(
        partner=torch.zeros(4, dtype=torch.int64, device="meta"),
        weight=torch.zeros(4, device="meta"),
        box=torch.zeros(4, 4, dtype=torch.int64, device="meta"),
    )
    assert cut.paste(x).shape == x.shape
    assert draw_cut(x, alpha=0.0, per_sample=True).weight.shape == (4,)
