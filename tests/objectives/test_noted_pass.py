"""A pass that is given again: the same logits, the same gradient, no model."""

from __future__ import annotations

import torch

import laws
import nets
from vicinal.gradients import frozen, input_gradient
from vicinal.maths.losses import cross_entropy
from vicinal.objectives.noted_pass import NotedPass


def test_a_repeated_pass_gives_logits_and_gradient_to_the_bit() -> None:
    model, noted = nets.smooth_net(), NotedPass()
    x = torch.rand(4, nets.CHANNELS, nets.SIDE, nets.SIDE, dtype=torch.float64)

    class First(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z: torch.Tensor = model(noted.listen(x))
            noted.z = z.detach()
            return z

    class Again(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return noted.repeat(x)

    def height(z: torch.Tensor) -> torch.Tensor:
        return cross_entropy(z, torch.arange(4))

    with frozen(model):
        plain = input_gradient(model, x, height)
        first = input_gradient(First(), x, height)
    again = input_gradient(Again(), x, height)
    for one, other in zip(plain, first, strict=True):
        laws.assert_same_bits(one, other)
    for one, other in zip(plain, again, strict=True):
        laws.assert_same_bits(one, other)


def test_a_pass_without_gradients_is_given_again_without() -> None:
    model, noted = nets.smooth_net(), NotedPass()
    x = torch.rand(4, nets.CHANNELS, nets.SIDE, nets.SIDE, dtype=torch.float64)
    with torch.no_grad():
        noted.z = model(noted.listen(x))
        again = noted.repeat(x)
    assert noted.gradient is None
    assert not again.requires_grad
    laws.assert_same_bits(again, noted.z)
    again += 1
    assert not torch.equal(again, noted.z), "the note is a copy"
