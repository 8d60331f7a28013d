"""MixUp as an objective: the authors' two-term loss, on the same draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import laws
import nets
from oracles import losses
from oracles import mixing as oracle
from vicinal import inputs
from vicinal._checks import InputError
from vicinal.objectives import MixUp


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("alpha", [0.4, 1.0])
def test_eq11_is_lam_ce_of_own_plus_rest_ce_of_partner(alpha: float, per_sample: bool) -> None:
    """lam CE(f(x~), y_a) + (1 - lam) CE(f(x~), y_b), example after example."""
    x, y = torch.rand(8, 3, 4, 4, dtype=torch.float64), torch.arange(8) % 5
    model = nets.smooth_net()
    mix = inputs.MixUp(alpha=alpha, per_sample=per_sample).draw(x, rng=generator())
    partner, weight = mix.partner.tolist(), mix.weight.tolist()
    z = model(torch.tensor(oracle.mixed(x.numpy(), partner, weight))).detach().numpy()
    one_hot = np.eye(5)
    total = 0.0
    for i, (j, lam) in enumerate(zip(partner, weight, strict=True)):
        own = losses.cross_entropy(z[[i]], one_hot[[int(y[i])]])[0]
        other = losses.cross_entropy(z[[i]], one_hot[[int(y[j])]])[0]
        total += lam * own + (1 - lam) * other
    loss = MixUp(alpha=alpha, per_sample=per_sample)(model, x, y, rng=generator())
    assert loss.item() == pytest.approx(total / 8, rel=1e-12)


def test_the_partners_label_counts() -> None:
    """The same images and draw, other labels for the partners: MixUp notices (ALPS does not)."""
    x, model = torch.rand(2, 3, 4, 4, dtype=torch.float64), nets.smooth_net()
    first, other = (
        MixUp(alpha=1.0)(model, x, torch.tensor(y), rng=generator()) for y in ([0, 1], [0, 2])
    )
    assert not torch.equal(first, other)


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        MixUp()(nets.smooth_net(), torch.rand(1, 3, 4, 4).double(), torch.tensor([0]))
    laws.assert_one_line(caught.value, "MixUp", "at least 2", "got 1", "drop_last=True")
