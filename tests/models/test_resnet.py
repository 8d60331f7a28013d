"""ResNets against an oracle in NumPy, formulas for their parameters, and torchvision itself."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from norms import shake_norms
from oracles import resnet as oracle
from oracles import torchvision_nets
from vicinal._checks import InputError
from vicinal.models.digits_net import digits_net
from vicinal.models.normalize import normalized
from vicinal.models.resnet import (
    Bottleneck,
    ResNet,
    load_torchvision,
    resnet50,
    resnet101,
    resnet152,
)

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
DEPTHS = {resnet50: (3, 4, 6, 3), resnet101: (3, 4, 23, 3), resnet152: (3, 8, 36, 3)}

every_depth = pytest.mark.parametrize("build", list(DEPTHS))


def tiny(**arguments: Any) -> ResNet:
    """Every kind of block at least once: with and without projection, of stride 1 and 2."""
    chosen = {"width": 2, "width_inner": 4, "num_classes": 5, "in_channels": 3, **IMAGENET}
    return ResNet((2, 1, 2, 1), **{**chosen, **arguments})


def as_arrays(net: nn.Module, prefix: str = "") -> oracle.State:
    return {f"{prefix}{name}": value.numpy() for name, value in net.state_dict().items()}


def of_torchvision(net: nn.Module) -> dict[str, Tensor]:
    """What torchvision's network of the same form would save."""
    state = copy.deepcopy(net.state_dict())
    return {name: value for name, value in state.items() if not name.startswith("normalize.")}


@pytest.mark.parametrize(
    ("channels_in", "channels_out", "stride"), [(4, 4, 1), (4, 6, 1), (4, 4, 2), (4, 6, 2)]
)
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("size", [6, 7])
def test_block_matches_the_oracle(
    channels_in: int, channels_out: int, stride: int, groups: int, size: int
) -> None:
    block = Bottleneck(
        channels_in=channels_in,
        channels_inner=6,
        channels_out=channels_out,
        stride=stride,
        groups=groups,
    )
    block.double().eval()
    shake_norms(block)
    x = torch.randn(2, channels_in, size, size, dtype=torch.float64)
    expected = oracle.bottleneck(
        x.numpy(), as_arrays(block, "b."), "b", stride=stride, groups=groups
    )
    np.testing.assert_allclose(block(x).detach().numpy(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("size", [33, 48])
def test_net_matches_the_oracle(groups: int, size: int) -> None:
    net = tiny(groups=groups, dropout=0.5).double().eval()
    shake_norms(net)
    x = torch.rand(2, 3, size, size, dtype=torch.float64)
    state = as_arrays(net)
    normalised = (x.numpy() - state["normalize.mean"]) / state["normalize.std"]
    expected = oracle.logits(normalised, state, groups=groups)
    np.testing.assert_allclose(net(x).detach().numpy(), expected, rtol=1e-9, atol=1e-9)


@every_depth
@pytest.mark.parametrize(("width", "classes", "channels"), [(64, 1000, 3), (3, 10, 1)])
def test_parameters_have_torchvisions_names_shapes_and_order(
    build: Callable[..., ResNet], width: int, classes: int, channels: int
) -> None:
    with torch.device("meta"):
        net = build(width=width, num_classes=classes, in_channels=channels)
    expected = oracle.shapes(
        DEPTHS[build], width=width, inner=width, groups=1, classes=classes, channels=channels
    )
    found = [(name, tuple(weight.shape)) for name, weight in net.named_parameters()]
    assert found == list(expected.items())
    counters = {
        f"{name}.num_batches_tracked" for name, part in net.named_modules() if is_norm(part)
    }
    running = {
        f"{name}.running_{s}" for name, p in net.named_modules() if is_norm(p) for s in STATS
    }
    statistics = {"normalize.mean", "normalize.std"}
    assert {name for name, _ in net.named_buffers()} == counters | running | statistics


STATS = ("mean", "var")


def is_norm(part: nn.Module) -> bool:
    return isinstance(part, nn.BatchNorm2d)


@pytest.mark.parametrize(
    ("build", "number"),
    [(resnet50, 25_557_032), (resnet101, 44_549_160), (resnet152, 60_192_808)],
)
def test_number_of_parameters_at_1000_classes(build: Callable[..., ResNet], number: int) -> None:
    with torch.device("meta"):
        net = build(num_classes=1000)
    assert sum(weight.numel() for weight in net.parameters()) == number


@pytest.mark.parametrize(
    ("size", "after"), [(224, [56, 28, 14, 7]), (64, [16, 8, 4, 2]), (28, [7, 4, 2, 1])]
)
def test_the_stem_quarters_and_three_stages_halve_the_resolution(
    size: int, after: list[int]
) -> None:
    net, sizes = tiny(), []
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        stage.register_forward_hook(lambda module, args, out: sizes.append(tuple(out.shape[1:])))
    net(torch.rand(2, 3, size, size))
    assert sizes == [(8 * 2**i, rows, rows) for i, rows in enumerate(after)]


def test_weights_start_as_torchvisions_do() -> None:
    net = tiny(width=16, width_inner=16)
    draws = []
    for part in net.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.out_channels * part.kernel_size[0] ** 2
            draws.append((part.weight / math.sqrt(2 / fan_out)).flatten().double())
        if isinstance(part, nn.BatchNorm2d):
            assert torch.equal(part.weight, torch.ones_like(part.weight))
            assert torch.equal(part.bias, torch.zeros_like(part.bias))
    every = torch.cat(draws).detach()
    error = 4 / math.sqrt(every.numel())  # four standard errors, as in test_classifier
    assert abs(every.mean().item()) < error
    assert abs(every.var().item() - 1) < math.sqrt(2) * error
    assert abs((every**4).mean().item() - 3) < math.sqrt(96) * error
    assert net.fc.weight.abs().max() <= 1 / math.sqrt(512)


@every_depth
def test_only_the_statistics_are_missing_from_torchvisions_weights(
    build: Callable[..., ResNet],
) -> None:
    state = of_torchvision(build(width=1))
    report = build(width=1).load_state_dict(state, strict=False)
    assert report.missing_keys == ["normalize.mean", "normalize.std"]
    assert report.unexpected_keys == []


def test_loading_makes_the_network_of_the_normalised_images() -> None:
    source = tiny(mean=(0.0,), std=(1.0,)).double().eval()
    shake_norms(source)
    model = tiny(mean=(0.1,), std=(0.7,)).double().eval()
    assert load_torchvision(model, of_torchvision(source)) is None  # type: ignore[func-returns-value]
    x = torch.rand(2, 3, 40, 40, dtype=torch.float64)
    mean, std = (torch.tensor(IMAGENET[name]).view(3, 1, 1).double() for name in ("mean", "std"))
    torch.testing.assert_close(model(x), source((x - mean) / std))


def test_statistics_of_other_weights_are_given() -> None:
    model = tiny()
    load_torchvision(model, of_torchvision(tiny()), mean=(0.0,), std=(1.0,))
    assert torch.equal(model.normalize.mean, torch.zeros(3, 1, 1))
    assert torch.equal(model.normalize.std, torch.ones(3, 1, 1))


def test_old_files_without_counters_load() -> None:
    source, model = tiny(), tiny()
    source.train()(torch.rand(2, 3, 32, 32))
    state = of_torchvision(source)
    old = {name: value for name, value in state.items() if "num_batches_tracked" not in name}
    assert len(old) < len(state)
    load_torchvision(model, old)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in old.items())
    assert int(model.bn1.num_batches_tracked or 0) == 0


def without(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key != name}


def refused(change: str) -> Any:
    """A state_dict that does not fit `tiny()`."""
    net = tiny()
    state = of_torchvision(net)
    return {
        "a name is missing": without(state, "layer3.1.bn2.running_var"),
        "a name too many": {**state, "layer1.2.conv1.weight": torch.zeros(1)},
        "a prefix": {f"module.{name}": value for name, value in state.items()},
        "a checkpoint around it": {"state_dict": state},
        "a file of ours": net.state_dict(),
        "1000 classes": of_torchvision(tiny(num_classes=1000)),
        "one channel": of_torchvision(tiny(in_channels=1, mean=(0.5,), std=(0.5,))),
        "grouped": of_torchvision(tiny(groups=2)),
        "the module": net,
        "a file's name": "resnet50.pth",
    }[change]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("a name is missing", r"by their names; 1 are missing \(such as layer3\.1\.bn2\.running_v"),
        ("a name too many", r"by their names; 1 are unknown \(such as layer1\.2\.conv1\.weight\)"),
        ("a prefix", r"\d+ are missing \(.*\) and \d+ are unknown \(.*under a prefix\?"),
        ("a checkpoint around it", r"1 are unknown \(such as state_dict\)\. Are they"),
        ("a file of ours", r"2 are unknown \(such as normalize\.mean\)"),
        ("1000 classes", r"fc\.weight has shape \(1000, 64\) there and \(5, 64\).*classes=1000,"),
        ("one channel", r"conv1\.weight has shape \(2, 1, 7, 7\) there.*in_channels=1, width=2\?"),
        ("grouped", r"layer1\.0\.conv2\.weight has shape.*Weights of another network, or a model"),
        ("the module", r"must be a state_dict; got ResNet\. Did you mean net\.state_dict\(\)"),
        ("a file's name", r"must be a state_dict; got str\..*or torch\.load\(path\)\?"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence_and_changes_nothing(
    change: str, sentence: str
) -> None:
    torch.manual_seed(1)
    model = tiny(mean=(0.1,), std=(0.7,))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(InputError, match=f"`state` .*{sentence}") as caught:
        load_torchvision(model, refused(change))
    assert "\n" not in str(caught.value)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_statistics_that_do_not_fit_change_nothing() -> None:
    model = tiny(mean=(0.1,), std=(0.7,))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(InputError, match=r"2 in mean and 3 in std and 3 channels"):
        load_torchvision(model, of_torchvision(tiny()), mean=(0.5, 0.5))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("model", [digits_net(width=1), normalized(tiny(), (0.5,), (0.5,))])
def test_other_networks_are_refused(model: Any) -> None:
    with pytest.raises(InputError, match=r"`model` must be a resnet50, .* got (Class|Seq)"):
        load_torchvision(model, of_torchvision(tiny()))


@every_depth
def test_it_is_torchvisions_network(build: Callable[..., ResNet]) -> None:
    theirs = torchvision_nets.build(build.__name__, num_classes=7)
    torch.manual_seed(0)
    ours = build(num_classes=7, **IMAGENET)
    assert of_torchvision(ours).keys() == theirs.state_dict().keys()
    for name, weight in theirs.named_parameters():
        assert torch.equal(ours.get_parameter(name), weight), name  # from the same seed
    shake_norms(theirs)
    load_torchvision(ours, theirs.state_dict())
    x = torch.rand(2, 3, 65, 64)
    mean, std = (torch.tensor(IMAGENET[name]).view(3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        found, expected = ours.eval()(x), theirs.eval()((x - mean) / std)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
