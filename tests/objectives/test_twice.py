"""The two calls of one objective: what is noted, what is shifted, what stays."""

from __future__ import annotations

import torch

import laws
import nets
from vicinal.gradients import clean_logits, frozen
from vicinal.objectives.twice import FirstCall, SecondCall

X = torch.linspace(0, 1, 6 * nets.CHANNELS * nets.SIDE**2).view(
    6, nets.CHANNELS, nets.SIDE, nets.SIDE
)


def test_frozen_passes_are_made_once_and_given_in_order() -> None:
    counting = laws.Counting(nets.stateful_net())
    first = FirstCall(counting)
    one, other = clean_logits(first, X), clean_logits(first, X.flip(0))
    second = SecondCall(counting, first, shift={})
    laws.assert_same_bits(clean_logits(second, X), one)
    laws.assert_same_bits(clean_logits(second, X.flip(0)), other)
    assert counting.passes(6) == (2, 0)


def test_a_pass_that_was_not_noted_is_made() -> None:
    counting = laws.Counting(nets.stateful_net())
    second = SecondCall(counting, FirstCall(counting), shift={})
    laws.assert_same_bits(clean_logits(second, X), clean_logits(counting, X))
    assert counting.passes(6) == (2, 0)


def test_training_passes_of_the_first_call_move_no_statistics() -> None:
    model = nets.stateful_net()
    first = FirstCall(model)
    with laws.assert_model_unchanged(model):
        first(X)
    assert first.noted == []


def test_training_passes_of_the_second_call_are_shifted_and_leave_the_weights() -> None:
    model = nets.smooth_net(dtype=torch.float32)
    weight = list(model.parameters())[2]
    shift = torch.ones_like(weight)
    second = SecondCall(model, FirstCall(model), shift={"3.weight": shift})
    with laws.assert_model_unchanged(model):
        z = second(X)
    hidden = model[:3](X)
    torch.testing.assert_close(z, model(X) + hidden.sum(dim=1, keepdim=True))
    (slope,) = torch.autograd.grad(z.sum(), weight)
    torch.testing.assert_close(slope, hidden.sum(dim=0).expand(5, 16))


def test_modes_of_submodules_are_those_of_the_model() -> None:
    model = nets.stateful_net()
    for call in (first := FirstCall(model), SecondCall(model, first, shift={})):
        with laws.assert_model_unchanged(model), frozen(call):
            assert not any(module.training for module in call.modules())
        assert call.training == model.training
