"""One forward pass with hidden states mixed: no hook outlives it, and none is passed over."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

import laws
import nets
from vicinal._checks import InputError
from vicinal.maths.mixing import Mix
from vicinal.objectives.hidden import forward_mixed

MIX = Mix(partner=torch.tensor([1, 2, 0]), weight=torch.full((3,), 0.75, dtype=torch.float64))
HOOKS = ("_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called")


def images(n: int = 3) -> Tensor:
    return torch.rand(n, nets.CHANNELS, nets.SIDE, nets.SIDE, dtype=torch.float64)


def hooks(model: nn.Module) -> list[int]:
    return [len(getattr(module, hook)) for module in model.modules() for hook in HOOKS]


@contextmanager
def hooks_removed(model: nn.Module) -> Generator[None]:
    before = hooks(model)
    try:
        yield
    finally:
        assert hooks(model) == before


class Twice(nn.Module):
    """Calls one layer twice, and another never."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten, self.shared, self.idle = nn.Flatten(), nn.Tanh(), nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.shared(3 * self.shared(self.flatten(x)))
        return z


class Pair(nn.Module):
    """Returns something else than one tensor."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def test_without_a_layer_the_images_are_mixed() -> None:
    model, x = nets.smooth_net(), images()
    laws.assert_same_bits(forward_mixed(model, x, MIX, after=None), model(MIX(x)))


@pytest.mark.parametrize("k", range(4))
def test_the_rest_of_the_model_sees_the_mixture(k: int) -> None:
    model, x = nets.smooth_net(), images()
    with hooks_removed(model), laws.assert_inputs_not_modified(x):
        z = forward_mixed(model, x, MIX, after=model[k])
    laws.assert_same_bits(z, model[k + 1 :](MIX(model[: k + 1](x))))


def test_hooks_of_the_users_stay() -> None:
    model, seen = nets.smooth_net(), []
    model[1].register_forward_hook(lambda *_: seen.append("after"))
    model.register_forward_pre_hook(lambda *_: seen.append("before"))
    forward_mixed(model, images(), MIX, after=model[1])
    assert seen == ["before", "after"]
    assert sum(hooks(model)) == 1


def test_a_layer_that_is_called_twice_is_mixed_once_and_at_first() -> None:
    model, x = Twice(), images()
    z = forward_mixed(model, x, MIX, after=model.shared)
    laws.assert_same_bits(z, (3 * MIX(x.flatten(1).tanh())).tanh())


def test_a_layer_that_is_never_called_is_refused() -> None:
    model = Twice()
    with hooks_removed(model), pytest.raises(InputError) as caught:
        forward_mixed(model, images(), MIX, after=model.idle)
    laws.assert_one_line(caught.value, "`layers`", "calls", "Tanh")


@pytest.mark.parametrize("layer", [Pair(), nn.Flatten(0), nn.Flatten(0, 1)])
def test_a_layer_returns_one_row_per_image(layer: nn.Module) -> None:
    with hooks_removed(layer), pytest.raises(InputError) as caught:
        forward_mixed(layer, images(), MIX, after=layer)
    laws.assert_one_line(caught.value, "`layers`", "N = 3", type(layer).__name__)


@pytest.mark.parametrize("k", range(4))
def test_hooks_are_removed_after_an_exception_inside_the_model(k: int) -> None:
    net = nets.smooth_net()
    broken = nn.Linear(1, 1, dtype=torch.float64)
    for model in (nn.Sequential(*net, broken), nn.Sequential(broken, *net)):
        layer = net[k]
        with hooks_removed(model), pytest.raises(RuntimeError, match="shapes"):
            forward_mixed(model, images(), MIX, after=layer)


@pytest.mark.parametrize("part", ["the model", "in place", "a part"])
def test_a_compiled_model_sees_the_hook_before_and_after_it_has_been_compiled(part: str) -> None:
    torch._dynamo.reset()
    net, x = nets.smooth_net(), images()
    expected, plain = forward_mixed(net, x, MIX, after=net[1]), net(x)
    model: nn.Module = net
    if part == "in place":
        net.compile(backend="eager")
    else:
        compiled = torch.compile(net, backend="eager")
        assert isinstance(compiled, nn.Module)
        model = compiled if part == "the model" else nn.Sequential(compiled)
    for _ in range(2):
        laws.assert_same_bits(forward_mixed(model, x, MIX, after=net[1]), expected)
        torch.testing.assert_close(model(x), plain)
