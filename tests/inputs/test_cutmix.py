"""CutMix's half of the image: the draw is a value, and the label move can follow it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import laws
from oracles import cutmix as oracle
from vicinal import labels
from vicinal._checks import InputError
from vicinal.inputs import Cut, CutMix

NO_MODEL = nn.Identity()


def images(n: int = 8) -> Tensor:
    return torch.rand(n, 3, 6, 6, dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("per_sample", [False, True])
def test_eq1_the_images_are_those_of_the_draw(per_sample: bool) -> None:
    x, move = images(), CutMix(alpha=1.0, per_sample=per_sample)
    moved, cut = move(NO_MODEL, x, torch.arange(8), rng=generator())
    assert isinstance(cut, Cut)
    boxes = [(a, b, c, d) for a, b, c, d in cut.box.tolist()]
    assert np.array_equal(moved.numpy(), oracle.pasted(x.numpy(), cut.partner.tolist(), boxes))
    assert cut.weight.tolist() == [oracle.kept(6, 6, box) for box in boxes]
    replayed = move.draw(x, rng=generator())
    for name in ("partner", "weight", "box"):
        laws.assert_same_bits(getattr(replayed, name), getattr(cut, name))


def test_eq1_the_label_move_follows_by_the_pixels_counted_in_the_image() -> None:
    """Images of one colour each show in their pixels what their labels must be."""
    x = torch.tensor([0.0, 1.0], dtype=torch.float64).view(2, 1, 1, 1).expand(2, 1, 12, 12)
    for seed in range(20):
        moved, cut = CutMix(alpha=1.0)(NO_MODEL, x, torch.arange(2), rng=generator(seed))
        q = labels.Mixing()(torch.eye(2, dtype=torch.float64), torch.zeros(2, 2), mix=cut)
        share_of_ones = moved.mean(dim=(1, 2, 3))
        torch.testing.assert_close(q[:, 1], share_of_ones, rtol=0, atol=1e-15)


def test_partner_and_box_differ_from_draw_to_draw() -> None:
    drawn = [CutMix().draw(images(), rng=generator(seed)) for seed in range(20)]
    assert len({tuple(cut.partner.tolist()) for cut in drawn}) > 15
    assert len({tuple(cut.box[0].tolist()) for cut in drawn}) > 10


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_an_image_alone_has_no_partner(alpha: float) -> None:
    with pytest.raises(InputError) as caught:
        CutMix(alpha=alpha)(NO_MODEL, images(1), torch.tensor([0]))
    laws.assert_one_line(caught.value, "CutMix", "at least 2", "got 1", "drop_last")


@pytest.mark.parametrize("alpha", [-1.0, math.nan, math.inf])
def test_alpha_is_finite_and_not_negative(alpha: float) -> None:
    with pytest.raises(InputError) as caught:
        CutMix(alpha=alpha)
    laws.assert_one_line(caught.value, "`alpha`", "0 <= alpha < inf")
