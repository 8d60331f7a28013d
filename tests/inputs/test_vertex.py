"""The adversarial vertex: its ends, its middle, its clip, and the draw it hands on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

import laws
import nets
from vicinal._checks import InputError
from vicinal.inputs import FGSM, PGD, Keep, LookingMove, Vertex
from vicinal.labels import Mixing

N = 6
MOVE = PGD(eps=0.2, step_size=0.1, steps=2)
Y = torch.arange(N) % nets.CLASSES


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = N) -> Tensor:
    shape = (n, nets.CHANNELS, nets.SIDE, nets.SIDE)
    return torch.rand(shape, generator=generator(1), dtype=torch.float64)


@pytest.fixture
def alpha(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set every weight that is drawn."""

    def fix(value: float) -> None:
        def drawn(shape: Any, like: Tensor, rng: Any = None) -> Tensor:
            del rng
            return like.new_full(shape, value)

        monkeypatch.setattr("vicinal.inputs.vertex.uniform", drawn)

    return fix


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 7.0])
def test_eq12_and_13_at_alpha_0_a_half_and_1(alpha: Any, gamma: float) -> None:
    model, x = nets.smooth_net(), images()
    adversarial = MOVE(model, x, Y, rng=generator()).x
    vertex = torch.clamp(x + gamma * (adversarial - x), 0.0, 1.0)
    found = {}
    for weight in (0.0, 0.5, 1.0):
        alpha(weight)
        found[weight] = Vertex(move=MOVE, gamma=gamma)(model, x, Y, rng=generator()).x
    torch.testing.assert_close(found[0.0], vertex, rtol=0, atol=1e-15)
    torch.testing.assert_close(found[0.5], (x + vertex) / 2, rtol=0, atol=1e-15)
    laws.assert_same_bits(found[1.0], x)


def test_the_vertex_is_clipped_before_the_image_is_mixed_with_it(alpha: Any) -> None:
    """x + gamma delta = 1.25 is cut to 1, so the middle lies at 0.875 and not at 1."""
    x = torch.tensor([0.75, 0.25], dtype=torch.float64).view(1, 2, 1, 1)
    alpha(0.5)
    found = Vertex(move=FGSM(eps=0.25), gamma=2.0)(torch.nn.Flatten(), x, torch.tensor([1])).x
    torch.testing.assert_close(found.flatten(), torch.tensor([0.875, 0.125]).double())


def test_the_draw_is_handed_on_and_is_the_one_that_moved_the_image() -> None:
    model, x = nets.smooth_net(), images()
    moved, mix = Vertex(move=MOVE, gamma=2.0)(model, x, Y, rng=generator())
    assert mix is not None
    vertex = (x + 2 * (MOVE(model, x, Y, rng=generator()).x - x)).clamp(0, 1)
    own = mix.weight.view(-1, 1, 1, 1)
    torch.testing.assert_close(moved, own * x + (1 - own) * vertex, rtol=1e-12, atol=1e-14)
    assert len(set(mix.weight.tolist())) == N, "one weight for each image"


def test_no_other_image_has_a_part_in_it() -> None:
    """A label move that follows partners leaves the label as it is."""
    mix = Vertex(move=Keep())(nets.smooth_net(), images(), Y).mix
    assert mix is not None
    assert mix.partner.tolist() == list(range(N))
    q = torch.rand(N, 5, dtype=torch.float64).softmax(dim=1)
    laws.assert_same_bits(Mixing()(q, torch.zeros(N, 5), mix=mix), q)


def test_weights_are_uniform() -> None:
    """Kolmogorov-Smirnov at a false-alarm rate of 1e-6, and the seed is fixed."""
    x = torch.rand(4000, 1, 1, 1)
    mix = Vertex(move=Keep())(torch.nn.Identity(), x, torch.zeros(4000).long()).mix
    assert mix is not None
    assert stats.kstest(mix.weight.numpy(), "uniform").pvalue > 1e-6


def test_it_costs_and_looks_as_the_other_move_does() -> None:
    targeted = PGD(eps=0.1, step_size=0.1, steps=2, target="least_likely")
    for move in (Keep(), MOVE, targeted):
        vertex = Vertex(move=move)
        assert isinstance(vertex, LookingMove)
        assert vertex.passes == move.passes
        assert vertex.looks == (move is targeted)
    z = torch.randn(N, nets.CLASSES, dtype=torch.float64)
    net, x = nets.smooth_net(), images()
    inner = targeted(net, x, Y, rng=generator(), z=z).x
    found, mix = Vertex(move=targeted, gamma=1.0)(net, x, Y, rng=generator(), z=z)
    assert mix is not None
    own = mix.weight.view(-1, 1, 1, 1)
    torch.testing.assert_close(found, own * x + (1 - own) * inner, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"gamma": -0.1}, "`gamma`"),
        ({"gamma": float("inf")}, "`gamma`"),
        ({"move": PGD}, "`move` must be an input move"),
        ({"move": "PGD"}, "got 'PGD'"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        Vertex(**{"move": MOVE, **fields})
    laws.assert_one_line(caught.value, phrase)
