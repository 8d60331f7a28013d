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
from vicinal.evaluation import consistency, symptoms
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


class _Rounded(nn.Module):
    """Gives what another module gives, in a precision of its own."""

    def __init__(self, *parts: nn.Module, to: torch.dtype = torch.bfloat16) -> None:
        super().__init__()
        self.net, self.to_ = nn.Sequential(*parts), to

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x).to(self.to_)
        return z.float()


@pytest.mark.parametrize("num_classes", [5, 10, 1000])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rounded_probabilities_are_probabilities(num_classes: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(CHANNELS * SIDE * SIDE, num_classes)
    net = _Rounded(nn.Flatten(), linear, nn.Softmax(dim=1), to=dtype)
    x, y = _data(40)
    assert consistency(net, [(x[:37], y[:37]), (x[37:], y[37:])]).probabilities
    assert not consistency(net.net[:2], (x, y)).probabilities


def test_one_batch_of_logits_is_enough() -> None:
    x, y = torch.full((10, CHANNELS, SIDE, SIDE), 0.5), torch.zeros(10).long()
    net = _Scaled()
    assert consistency(net, (x, y)).probabilities
    assert not consistency(net, [(x, y), (2 * x, y)]).probabilities
    assert not consistency(net, [(2 * x, y), (x, y)]).probabilities


class _Scaled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :2]


def test_a_few_logits_that_happen_to_sum_to_one_are_none() -> None:
    nearly = Returning(torch.tensor([[0.498, 0.498]]))
    assert [consistency(nearly, _data(n)).probabilities for n in (1, 7, 8)] == [False, False, True]
    assert not _asked(Returning(torch.tensor([[0.48, 0.5]]))).probabilities
    assert not _asked(Returning(torch.tensor([[1.001, -0.001]]))).probabilities


class _Graded(nn.Module):
    """Adds to the logits where a gradient is asked for, in one of two ways."""

    def __init__(self, net: nn.Module, *, by: float, mode: bool) -> None:
        super().__init__()
        self.net, self.by, self.mode = net, by, mode

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x) + 100
        asked = torch.is_grad_enabled() if self.mode else x.requires_grad
        return z + self.by * torch.eye(z.shape[1])[0] if asked else z


@pytest.mark.parametrize("mode", [True, False])
def test_another_function_for_gradients_shows_whatever_is_added_to_all_logits(mode: bool) -> None:
    net, (x, _) = _net(), _data()
    z = net(x).detach()
    spread = (z - z.mean(dim=1, keepdim=True)).norm(dim=1).mean()
    for by in (0.0, 0.5, -3.0):
        found = consistency(_Graded(net, by=by, mode=mode), (x, torch.zeros(12).long()))
        assert found.with_gradient == pytest.approx(abs(by) / float(spread), abs=1e-3)


def test_what_rounds_otherwise_is_not_another_function() -> None:
    """Bfloat16, autocast, and a transformer, which has kernels of its own for inference."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    formed = [nn.Flatten(2), nn.Linear(SIDE * SIDE, 16), nn.TransformerEncoder(layer, 2)]
    net = nn.Sequential(*formed, nn.Flatten(), nn.Linear(16 * CHANNELS, CLASSES))
    found = [_asked(net), _asked(_Rounded(net)), _asked(_Cast(net)), _asked(_Cast(_net()))]
    assert max(one.with_gradient for one in found) < symptoms.CLIMBED_WARN


class _Cast(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z: Tensor = self.net(x)
        return z.float()


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
