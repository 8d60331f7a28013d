"""CutMix as an objective: the authors' two-term loss, on the same draw, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import laws
import nets
from oracles import cutmix as oracle
from oracles import losses
from vicinal import inputs
from vicinal._checks import InputError
from vicinal.objectives import CutMix


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("alpha", [0.4, 1.0])
def test_eq1_is_kept_ce_of_own_plus_rest_ce_of_partner(
    alpha: float, per_sample: bool, seed: int
) -> None:
    """kept CE(f(x~), y_a) + (1 - kept) CE(f(x~), y_b), example after example."""
    x, y = torch.rand(8, 3, 4, 4, dtype=torch.float64), torch.arange(8) % 5
    model = nets.smooth_net()
    cut = inputs.CutMix(alpha=alpha, per_sample=per_sample).draw(x, rng=generator(seed))
    boxes = [(a, b, c, d) for a, b, c, d in cut.box.tolist()]
    partner = cut.partner.tolist()
    z = model(torch.tensor(oracle.pasted(x.numpy(), partner, boxes))).detach().numpy()
    one_hot = np.eye(5)
    total = 0.0
    for i, j in enumerate(partner):
        kept = oracle.kept(4, 4, boxes[i])
        own = losses.cross_entropy(z[[i]], one_hot[[int(y[i])]])[0]
        other = losses.cross_entropy(z[[i]], one_hot[[int(y[j])]])[0]
        total += kept * own + (1 - kept) * other
    loss = CutMix(alpha=alpha, per_sample=per_sample)(model, x, y, rng=generator(seed))
    assert loss.item() == pytest.approx(total / 8, rel=1e-12)


def test_the_partners_label_counts() -> None:
    """The same images and draw, another label for one of them: both its own loss and its
    partner's change."""
    x, model = torch.rand(2, 3, 4, 4, dtype=torch.float64), nets.smooth_net()
    seed = next(
        s
        for s in range(50)
        if (cut := inputs.CutMix().draw(x, rng=generator(s))).partner.tolist() == [1, 0]
        and cut.weight[0] < 1
    )
    weight = float(inputs.CutMix().draw(x, rng=generator(seed)).weight[0])
    first, other = (
        float(CutMix()(model, x, torch.tensor(y), rng=generator(seed)).detach())
        for y in ([0, 1], [0, 2])
    )
    z = model(inputs.CutMix()(model, x, torch.tensor([0, 1]), rng=generator(seed)).x)
    logs = z.log_softmax(dim=1).detach().numpy()
    gain = -(weight * (logs[1, 2] - logs[1, 1]) + (1 - weight) * (logs[0, 2] - logs[0, 1])) / 2
    assert other - first == pytest.approx(gain, rel=1e-9)


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        CutMix()(nets.smooth_net(), torch.rand(1, 3, 4, 4).double(), torch.tensor([0]))
    laws.assert_one_line(caught.value, "CutMix", "at least 2", "got 1", "drop_last=True")


@pytest.mark.parametrize("alpha", [-0.5, math.nan, math.inf])
def test_alpha_is_finite_and_not_negative(alpha: float) -> None:
    with pytest.raises(InputError) as caught:
        CutMix(alpha=alpha)
    laws.assert_one_line(caught.value, "`alpha`", "0 <= alpha < inf")
