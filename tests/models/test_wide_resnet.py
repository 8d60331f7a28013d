"""Wide ResNets, usual and padded, against oracles in NumPy and formulas for their size."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from norms import as_norm, shake_norms
from oracles import padded_resnet, preact_resnet
from vicinal._checks import InputError
from vicinal.models.wide_resnet import PaddedBlock, wide_resnet

MEAN = (0.49, 0.48, 0.45)
STD = (0.25, 0.24, 0.26)

both = pytest.mark.parametrize("shortcut", ["conv", "pad"])


def names_of_blocks(depth: int) -> list[tuple[str, int]]:
    """Each block's name and stride."""
    return [
        (f"features.stage{stage}.{block}", 2 if stage > 1 and block == 0 else 1)
        for stage in (1, 2, 3)
        for block in range((depth - 4) // 6)
    ]


def usual_block(state: dict[str, Tensor], name: str, stride: int) -> preact_resnet.Block:
    shortcut = state.get(f"{name}.shortcut.weight")
    return preact_resnet.Block(
        norm1=as_norm(state, f"{name}.norm1"),
        conv1=state[f"{name}.conv1.weight"].numpy(),
        norm2=as_norm(state, f"{name}.norm2"),
        conv2=state[f"{name}.conv2.weight"].numpy(),
        shortcut=None if shortcut is None else shortcut.numpy(),
        stride=stride,
    )


def padded_block(
    state: dict[str, Tensor], name: str, *, stride: int, shared: bool
) -> padded_resnet.Block:
    return padded_resnet.Block(
        norm1=as_norm(state, f"{name}.norm1"),
        conv1=state[f"{name}.conv1.weight"].numpy(),
        norm2=as_norm(state, f"{name}.norm2"),
        conv2=state[f"{name}.conv2.weight"].numpy(),
        stride=stride,
        shared=shared,
    )


@pytest.mark.parametrize(("depth", "width", "size"), [(10, 1, 8), (16, 1, 8), (10, 2, 7)])
def test_the_usual_net_matches_the_oracle(depth: int, width: int, size: int) -> None:
    net = wide_resnet(depth, width, num_classes=7, dropout=0.5, mean=MEAN, std=STD)
    net.double().eval()
    shake_norms(net)
    state = net.state_dict()
    arrays = preact_resnet.Net(
        mean=state["normalize.mean"].flatten().numpy(),
        std=state["normalize.std"].flatten().numpy(),
        stem=state["features.stem.weight"].numpy(),
        blocks=[usual_block(state, name, stride) for name, stride in names_of_blocks(depth)],
        norm=as_norm(state, "features.norm"),
        weight=state["head.linear.weight"].numpy(),
        bias=state["head.linear.bias"].numpy(),
    )
    x = torch.rand(2, 3, size, size, dtype=torch.float64)
    expected = preact_resnet.net(x.numpy(), arrays)
    np.testing.assert_allclose(net(x).detach().numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("channels_in", "channels_out", "stride"), [(3, 3, 1), (2, 6, 1), (3, 6, 2), (2, 7, 3)]
)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("size", [6, 7])
def test_padded_block_matches_the_oracle(
    channels_in: int, channels_out: int, stride: int, shared: bool, size: int
) -> None:
    block = PaddedBlock(
        channels_in=channels_in, channels_out=channels_out, stride=stride, shared=shared
    )
    block.double().eval()
    shake_norms(block)
    x = torch.randn(2, channels_in, size, size, dtype=torch.float64)
    state = {f"b.{name}": value for name, value in block.state_dict().items()}
    arrays = padded_block(state, "b", stride=stride, shared=shared)
    expected = padded_resnet.block(x.numpy(), arrays)
    np.testing.assert_allclose(block(x).detach().numpy(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("depth", "width", "size"), [(10, 1, 8), (16, 2, 8), (10, 3, 7)])
def test_the_padded_net_matches_the_oracle(depth: int, width: int, size: int) -> None:
    net = wide_resnet(depth, width, shortcut="pad", num_classes=7, mean=MEAN, std=STD)
    net.double().eval()
    shake_norms(net)
    state = net.state_dict()
    arrays = padded_resnet.Net(
        stem=state["features.stem.weight"].numpy(),
        blocks=[
            padded_block(state, name, stride=stride, shared=i == 0)
            for i, (name, stride) in enumerate(names_of_blocks(depth))
        ],
        norm=as_norm(state, "features.norm"),
        weight=state["head.linear.weight"].numpy(),
        bias=state["head.linear.bias"].numpy(),
    )
    x = torch.rand(2, 3, size, size, dtype=torch.float64)
    normalised = (x - state["normalize.mean"]) / state["normalize.std"]
    expected = padded_resnet.logits(normalised.numpy(), arrays)
    np.testing.assert_allclose(net(x).detach().numpy(), expected, rtol=1e-9, atol=1e-9)


def expected_parameters(depth: int, width: int, *, projections: bool, classes: int = 10) -> int:
    # Each block: two 3x3 convolutions and a BatchNorm (2 numbers per channel) before each.
    total, before = 3 * 16 * 9, 16
    for after in (16 * width, 32 * width, 64 * width):
        blocks = (depth - 4) // 6
        total += 9 * before * after + 9 * after * after + 2 * before + 2 * after
        total += before * after if projections and before != after else 0
        total += (blocks - 1) * (18 * after * after + 4 * after)
        before = after
    return total + 2 * before + before * classes + classes


@both
@pytest.mark.parametrize(
    ("depth", "width"), [(28, 10), (34, 10), (16, 8), (28, 1), (10, 1), (40, 4)]
)
def test_number_of_parameters(shortcut: Literal["conv", "pad"], depth: int, width: int) -> None:
    with torch.device("meta"):
        net = wide_resnet(depth, width, shortcut=shortcut)
    found = sum(weight.numel() for weight in net.parameters())
    assert found == expected_parameters(depth, width, projections=shortcut == "conv")


@pytest.mark.parametrize(
    ("depth", "width", "number"),
    [(28, 10, 36_479_194), (34, 10, 46_160_474), (16, 8, 10_961_370), (28, 1, 369_498)],
)
def test_the_usual_sizes(depth: int, width: int, number: int) -> None:
    # The papers round WRN-28-10 to 36.5 M, WRN-34-10 to 46.2 M and WRN-16-8 to 11.0 M.
    assert expected_parameters(depth, width, projections=True) == number


def test_the_usual_size_is_the_default() -> None:
    with torch.device("meta"):
        usual, named = wide_resnet(), wide_resnet(depth=28, width=10)
    assert repr(usual) == repr(named)
    assert sum(weight.numel() for weight in usual.parameters()) == 36_479_194


@pytest.mark.parametrize("depth", [10, 16, 28, 34])
def test_depth_counts_the_convolutions_with_the_projections(depth: int) -> None:
    with torch.device("meta"):
        usual, padded = wide_resnet(depth, 2), wide_resnet(depth, 2, shortcut="pad")
    for net, number in ((usual, depth), (padded, depth - 3)):
        assert len([part for part in net.modules() if isinstance(part, nn.Conv2d)]) == number


def test_the_net_of_bat_and_avmixup() -> None:
    with torch.device("meta"):
        net = wide_resnet(34, 10, shortcut="pad")
    stages = [net.get_submodule(f"features.stage{i}") for i in (1, 2, 3)]
    assert [len(list(stage.children())) for stage in stages] == [5, 5, 5]
    last = [stage.get_submodule("4.conv2") for stage in stages]
    assert [part.out_channels for part in last if isinstance(part, nn.Conv2d)] == [160, 320, 640]
    assert not [p for p in net.modules() if isinstance(p, nn.Conv2d) and p.kernel_size == (1, 1)]
    norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.1, 1e-3)}


@both
def test_resolution_halves_in_the_last_two_stages(shortcut: Literal["conv", "pad"]) -> None:
    x, sizes = torch.rand(2, 3, 33, 32), []
    for name, part in wide_resnet(10, 2, shortcut=shortcut).features.named_children():
        x = part(x)
        sizes.append((name, *x.shape[1:]))
    assert sizes == [
        ("stem", 16, 33, 32),
        ("stage1", 32, 33, 32),
        ("stage2", 64, 17, 16),
        ("stage3", 128, 9, 8),
        ("norm", 128, 9, 8),
        ("relu", 128, 9, 8),
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"depth": 30}, r"`depth` must be 6 n \+ 4 .*; got 30\. Did you mean 28 or 34\?"),
        ({"depth": 33}, r"`depth` must be 6 n \+ 4 .*; got 33\. Did you mean 28 or 34\?"),
        ({"depth": 4}, r"`depth` must be an integer >= 10; got 4\."),
        ({"depth": 28.0}, r"`depth` must be an integer >= 10; got 28\.0\."),
        ({"shortcut": "padd"}, r"`shortcut` must be conv \| pad; got 'padd'\. Did you mean pad\?"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        wide_resnet(**arguments)
