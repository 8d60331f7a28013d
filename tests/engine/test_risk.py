from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vicinal import objectives
from vicinal._checks import NotFinite
from vicinal.engine.risk import Risk

X, Y = torch.rand(4, 1, 2, 2), torch.tensor([0, 1, 2, 0])


class Net(nn.Module):
    """A linear net that spoils the first logit of a batch as often as asked."""

    def __init__(self, spoilt: float | None = None) -> None:
        super().__init__()
        self.linear, self.spoilt = nn.Linear(4, 3), spoilt

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.linear(x.flatten(1))
        if self.spoilt is not None:
            z = torch.cat([z[:1] * self.spoilt, z[1:]])
        return z


@pytest.mark.parametrize("guarded", [False, True])
def test_a_risk_is_the_objective_of_its_model(guarded: bool) -> None:
    net, objective = Net(), objectives.MixUp()
    risk = Risk(net, objective, guarded=guarded)
    draws = [torch.Generator().manual_seed(1) for _ in range(2)]
    assert torch.equal(risk(X, Y, draws[0]), objective(net, X, Y, rng=draws[1]))
    assert list(risk.parameters()) == list(net.parameters())


@pytest.mark.parametrize("spoilt", [float("nan"), float("inf")])
def test_guarded_broken_logits_make_the_loss_and_all_gradients_nan(spoilt: float) -> None:
    net = Net(spoilt)
    loss = Risk(net, objectives.ERM(), guarded=True)(X, Y)
    assert loss.isnan()
    loss.backward()
    assert all(w.grad is not None and w.grad.isnan().all() for w in net.parameters())
    net.spoilt = None  # the next batch is judged by itself
    assert Risk(net, objectives.ERM(), guarded=True)(X, Y).isfinite()


def test_guarded_broken_weights_are_said() -> None:
    net = Net()
    with torch.no_grad():
        net.linear.bias[0] = torch.nan
    with pytest.raises(NotFinite, match="weights"):
        Risk(net, objectives.ERM(), guarded=True)(X, Y)


def test_unguarded_the_objective_says_it() -> None:
    with pytest.raises(NotFinite, match="finite logits"):
        Risk(Net(float("nan")), objectives.ERM())(X, Y)
