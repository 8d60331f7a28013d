"""Laws that every network of the room's table obeys."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vicinal import models
from vicinal._checks import InputError
from vicinal.models.digits_net import digits_net
from vicinal.models.wide_resnet import wide_resnet

BUILDERS: dict[str, Callable[..., nn.Module]] = {
    **models.MODELS,
    "wide_resnet": partial(wide_resnet, 10),
    "wide_resnet-pad": partial(wide_resnet, 16, shortcut="pad"),
    "digits_net-group": partial(digits_net, norm_layer="group"),
}
MEAN = (0.49, 0.48, 0.45)
STD = (0.25, 0.24, 0.26)

every_net = pytest.mark.parametrize("name", list(BUILDERS))


def build(name: str, **arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    chosen = {"num_classes": 5, "in_channels": 3, "width": 4, "mean": MEAN, "std": STD}
    return BUILDERS[name](**{**chosen, **arguments})


def images(n: int = 2, *, channels: int = 3, size: int = 32) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(1))


def test_the_table_holds_every_network_under_its_own_name() -> None:
    assert {name: builder.__name__ for name, builder in models.MODELS.items()} == {
        "preactresnet18": "preactresnet18",
        "vgg16": "vgg16",
        "wide_resnet": "wide_resnet",
        "resnet50": "resnet50",
        "resnet101": "resnet101",
        "resnet152": "resnet152",
        "resnext50": "resnext50",
        "digits_net": "digits_net",
    }
    assert set(models.MODELS) < set(models.__all__)
    assert all(hasattr(models, name) for name in models.__all__)


@pytest.mark.parametrize("name", list(models.MODELS))
def test_every_network_shares_its_arguments_all_keyword_only_with_defaults(name: str) -> None:
    parameters = inspect.signature(models.MODELS[name]).parameters
    # The field writes WRN-28-10, so depth and width of this one may be positional.
    named = {"depth", "width"} if name == "wide_resnet" else set()
    assert all(p.kind is p.KEYWORD_ONLY or p.name in named for p in parameters.values())
    shared = {"num_classes", "in_channels", "width", "dropout", "mean", "std"}
    assert shared <= set(parameters)
    defaults = {key: parameters[key].default for key in ("num_classes", "dropout", "mean", "std")}
    assert defaults == {"num_classes": 10, "dropout": 0.0, "mean": (0.5,), "std": (0.25,)}


@every_net
@pytest.mark.parametrize("size", [8, 28, 32, 64, 224])
def test_any_size_of_image_gives_logits(name: str, size: int) -> None:
    net = build(name, width=1, in_channels=1, mean=(0.5,), std=(0.25,)).eval()
    with torch.no_grad():
        z = net(images(channels=1, size=size))
    assert z.shape == (2, 5)
    assert torch.isfinite(z).all()


@every_net
def test_images_need_not_be_square(name: str) -> None:
    assert build(name).eval()(images()[:, :, :, :28]).shape == (2, 5)


@every_net
def test_a_training_step_works_at_the_least_size_and_reaches_every_weight(name: str) -> None:
    net = build(name).train()
    net(images(4, size=28)).square().sum().backward()
    for weight in net.parameters():
        assert weight.grad is not None
        assert torch.isfinite(weight.grad).all()


@every_net
def test_the_same_seed_gives_the_same_bits(name: str) -> None:
    one, two = build(name).state_dict(), build(name).state_dict()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)


@every_net
def test_another_seed_gives_other_weights(name: str) -> None:
    one = build(name)
    two = BUILDERS[name](num_classes=5, in_channels=3, width=4)
    for (key, first), second in zip(one.named_parameters(), two.parameters(), strict=True):
        if first.ndim > 1:
            assert not torch.equal(first, second), key


@every_net
def test_normalisation_is_the_first_step(name: str) -> None:
    net = build(name).eval()
    plain = build(name, mean=(0.0,), std=(1.0,)).eval()
    x = images()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    assert torch.equal(net(x), plain((x - mean) / std))


@every_net
def test_state_dict_holds_the_statistics_and_carries_the_whole_model(name: str) -> None:
    net = build(name).eval()
    state = net.state_dict()
    torch.testing.assert_close(state["normalize.mean"].flatten(), torch.tensor(MEAN))
    torch.testing.assert_close(state["normalize.std"].flatten(), torch.tensor(STD))
    other = BUILDERS[name](num_classes=5, in_channels=3, width=4).eval()
    assert not torch.equal(other(images()), net(images()))
    other.load_state_dict(state)
    assert torch.equal(other(images()), net(images()))


@every_net
def test_an_image_does_not_see_its_batch_in_eval_mode(name: str) -> None:
    net = build(name).double().eval()
    x = images(3).double()
    torch.testing.assert_close(net(x), torch.cat([net(image[None]) for image in x]))
    torch.testing.assert_close(net(x.flip(0)), net(x).flip(0))


@every_net
def test_eval_mode_leaves_the_buffers_alone(name: str) -> None:
    net = build(name).eval()
    before = copy.deepcopy(net.state_dict())
    net(images())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


@every_net
def test_dropout_acts_in_train_mode_only_and_only_before_the_last_layer(name: str) -> None:
    plain, dropping = build(name), build(name, dropout=0.5)
    x = images(8)
    assert torch.equal(dropping.eval()(x), plain.eval()(x))
    plain.train()
    dropping.train()
    seen: list[Tensor] = []
    for net in (plain, dropping):
        [pooled] = [part for part in net.modules() if isinstance(part, nn.Flatten)]
        pooled.register_forward_hook(lambda module, args, out: seen.append(out))
    assert not torch.equal(dropping(x), plain(x))
    assert torch.equal(seen[0], seen[1])
    layers = [part for part in dropping.modules() if isinstance(part, (nn.Dropout, nn.Linear))]
    assert [type(part) for part in layers] == [nn.Dropout, nn.Linear]


@every_net
def test_gradient_flows_to_every_image(name: str) -> None:
    x = images().requires_grad_()
    build(name).eval()(x).square().sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert (x.grad.abs().amax(dim=(1, 2, 3)) > 0).all()


@every_net
def test_input_gradient_matches_finite_differences(name: str) -> None:
    net = build(name, width=2).double().eval()
    x = images(1, size=8).double().requires_grad_()
    direction = torch.randn(x.shape, dtype=torch.float64)
    [gradient] = torch.autograd.grad(net(x)[0, 0], x)
    step = 1e-6 * direction
    with torch.no_grad():
        slope = (net(x + step)[0, 0] - net(x - step)[0, 0]) / 2e-6
    torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-4, atol=1e-7)


@every_net
def test_the_images_are_not_modified(name: str) -> None:
    x = images()
    before = x.clone()
    build(name).train()(x)
    assert torch.equal(x, before)


@every_net
def test_channels_last_gives_the_same_logits(name: str) -> None:
    net = build(name).double().eval()
    x = images().double()
    expected = net(x)
    last = copy.deepcopy(net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    found = last(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected)


@every_net
def test_bf16_autocast_with_channels_last_trains(name: str) -> None:
    net = build(name).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = images(4).to(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        near, z = net.eval()(x), net.train()(x)
    assert near.dtype == z.dtype == torch.bfloat16
    # In train mode a deep net's BatchNorm, over a pixel of four images, magnifies any rounding.
    exact = build(name).eval()(images(4))
    assert (near.float() - exact).abs().max() < 0.05 * exact.abs().max().clamp(min=1.0)
    z.float().square().sum().backward()
    assert all(weight.grad is not None for weight in net.parameters())
    assert x.grad is not None


@every_net
def test_symbolic_tracing_keeps_the_network(name: str) -> None:
    net = build(name).eval()
    assert torch.equal(torch.fx.symbolic_trace(net)(images()), net(images()))


@every_net
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"width": 0}, r"`width` must be an integer >= 1; got 0\."),
        ({"width": 1.5}, r"`width` must be an integer >= 1; got 1\.5\."),
        ({"in_channels": 0}, r"`in_channels` must be an integer >= 1; got 0\."),
        ({"num_classes": 1}, r"`num_classes` must be an integer >= 2; got 1\."),
        ({"dropout": 1.0}, r"`dropout` must satisfy 0 <= dropout < 1; got 1\."),
        ({"std": (0.0,)}, r"`std` must satisfy 0 < std.*; got 0\."),
        ({"mean": (0.5, 0.5)}, r"one number per channel.*2 in mean and 3 in std and 3 channels"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(
    name: str, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        build(name, **arguments)
    assert "\n" not in str(caught.value)


@every_net
def test_images_of_another_number_of_channels_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"`x` must be images \(N, 3, H, W\); got shape"):
        build(name)(images(channels=1))
