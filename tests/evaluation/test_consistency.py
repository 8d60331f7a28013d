"""What a model does with the same images again, counted and seen through."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import cheats
from counting import Counted
from laws import assert_model_unchanged
from nets import CHANNELS, CLASSES, SIDE, Returning, smooth_net, stateful_net
from vicinal._checks import InputError
from vicinal.evaluation import consistency
from vicinal.evaluation.consistency import Consistency


def _data(n: int = 12) -> tuple[Tensor, Tensor]:
    return torch.rand(n, CHANNELS, SIDE, SIDE), torch.zeros(n, dtype=torch.long)


def _net() -> nn.Module:
    return smooth_net(dtype=torch.float32)


def _asked(model: nn.Module) -> Consistency:
    return consistency(model, _data())


def test_an_honest_net_gives_no_sign() -> None:
    found = _asked(_net())
    assert (found.n, found.num_classes, found.passes) == (12, CLASSES, 5)
    assert found.difference == 0.0
    assert found.in_halves < 1e-6
    assert (found.changed, found.probabilities, found.gradients_inside) == (0, False, False)
    assert not found.undifferentiable


def test_each_trick_shows_where_it_is_looked_for() -> None:
    net = _net()
    assert _asked(cheats.Noisy(net)).difference > 1e-3
    assert _asked(cheats.Softmaxed(net)).probabilities
    assert _asked(cheats.Batchwise(net)).in_halves > 1e-3
    assert _asked(cheats.Batchwise(net)).difference == 0.0
    assert _asked(cheats.Optimising(net)).gradients_inside
    assert _asked(cheats.Typed(net)).undifferentiable


class _Alternating(nn.Module):
    """Every third pass differs, by an angle that is given."""

    def __init__(self, angle: float) -> None:
        super().__init__()
        self.angle, self.seen = torch.tensor(angle), 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        turned = self.angle * (self.seen % 3 == 0)
        row = torch.stack([torch.cos(turned), torch.sin(turned)])
        return 100 * row.expand(len(x), 2) + 0 * x.flatten(1)[:, :1]


def test_the_difference_is_that_of_unit_vectors() -> None:
    found = _asked(_Alternating(0.5))
    assert found.difference == pytest.approx(torch.tensor(0.5).sin().item(), abs=1e-6)
    assert found.changed == 0
    assert _asked(_Alternating(1.0)).changed == 12


def test_log_probabilities_and_single_rows_on_the_simplex_are_logits() -> None:
    assert not _asked(nn.Sequential(_net(), nn.LogSoftmax(dim=1))).probabilities
    for row, found in (([1.0, 1.0], False), ([1.5, -0.5], False), ([0.5, 0.5], True)):
        assert _asked(Returning(torch.tensor([row]))).probabilities is found


def test_its_passes_are_those_it_tells() -> None:
    model = Counted(_net())
    consistency(model, _data(8), passes=3)
    assert (model.forward_images, model.backward_images) == (8 * (3 + 2), 0)


def test_batches_are_put_together() -> None:
    x, y = _data(10)
    found = consistency(_Alternating(1.0), [(x[:4], y[:4]), (x[4:], y[4:])])
    assert (found.n, found.changed) == (10, 10)


def test_the_model_is_left_as_it_was_and_bad_calls_are_refused() -> None:
    net = stateful_net()
    with assert_model_unchanged(net):
        _asked(net)
    with pytest.raises(InputError, match="`passes` must be an integer >= 2"):
        consistency(net, _data(), passes=1)
