"""PreActResNet18 against an oracle in NumPy and against a formula for its size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from norms import as_norm, shake_norms
from oracles import preact_resnet as oracle
from vicinal.models.preact_resnet import PreActBlock, preactresnet18

MEAN = (0.49, 0.48, 0.45)
STD = (0.25, 0.24, 0.26)


def as_block(state: dict[str, Tensor], name: str, *, stride: int) -> oracle.Block:
    shortcut = state.get(f"{name}.shortcut.weight")
    return oracle.Block(
        norm1=as_norm(state, f"{name}.norm1"),
        conv1=state[f"{name}.conv1.weight"].numpy(),
        norm2=as_norm(state, f"{name}.norm2"),
        conv2=state[f"{name}.conv2.weight"].numpy(),
        shortcut=None if shortcut is None else shortcut.numpy(),
        stride=stride,
    )


def as_net(state: dict[str, Tensor]) -> oracle.Net:
    return oracle.Net(
        mean=state["normalize.mean"].flatten().numpy(),
        std=state["normalize.std"].flatten().numpy(),
        stem=state["features.stem.weight"].numpy(),
        blocks=[
            as_block(state, f"features.stage{i}.{j}", stride=2 if i > 1 and j == 0 else 1)
            for i in (1, 2, 3, 4)
            for j in (0, 1)
        ],
        norm=as_norm(state, "features.norm"),
        weight=state["head.linear.weight"].numpy(),
        bias=state["head.linear.bias"].numpy(),
    )


@pytest.mark.parametrize(
    ("channels_in", "channels_out", "stride"), [(3, 3, 1), (3, 5, 1), (3, 3, 2), (3, 6, 2)]
)
@pytest.mark.parametrize("size", [6, 7])
def test_block_eq1_matches_the_oracle(
    channels_in: int, channels_out: int, stride: int, size: int
) -> None:
    torch.manual_seed(0)
    block = PreActBlock(channels_in=channels_in, channels_out=channels_out, stride=stride)
    block.double().eval()
    shake_norms(block)
    x = torch.randn(2, channels_in, size, size, dtype=torch.float64)
    state = {f"b.{name}": value for name, value in block.state_dict().items()}
    expected = oracle.block(x.numpy(), as_block(state, "b", stride=stride))
    np.testing.assert_allclose(block(x).detach().numpy(), expected, rtol=1e-10, atol=1e-10)


def test_the_skip_is_the_identity_where_the_residual_is_zero() -> None:
    block = PreActBlock(channels_in=3, channels_out=3)
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("size", [8, 15])
def test_net_matches_the_oracle(size: int) -> None:
    torch.manual_seed(0)
    net = preactresnet18(num_classes=7, width=3, dropout=0.5, mean=MEAN, std=STD).double().eval()
    shake_norms(net)
    x = torch.rand(2, 3, size, size, dtype=torch.float64)
    expected = oracle.net(x.numpy(), as_net(net.state_dict()))
    np.testing.assert_allclose(net(x).detach().numpy(), expected, rtol=1e-9, atol=1e-9)


def expected_parameters(*, width: int, classes: int, channels: int) -> int:
    # Each block: two 3x3 convolutions, a BatchNorm (2 numbers per channel) before each, and a
    # 1x1 projection in the first block of the stages that change the shape.
    total = channels * width * 9
    before = width
    for after in (width, 2 * width, 4 * width, 8 * width):
        total += 9 * before * after + 9 * after * after + 2 * before + 2 * after
        total += before * after if before != after else 0
        total += 18 * after * after + 4 * after
        before = after
    return total + 2 * before + before * classes + classes


@pytest.mark.parametrize("width", [1, 16, 64])
@pytest.mark.parametrize(("classes", "channels"), [(10, 3), (200, 1)])
def test_number_of_parameters(width: int, classes: int, channels: int) -> None:
    with torch.device("meta"):
        net = preactresnet18(num_classes=classes, in_channels=channels, width=width)
    found = sum(weight.numel() for weight in net.parameters())
    assert found == expected_parameters(width=width, classes=classes, channels=channels)


@pytest.mark.parametrize(("width", "millions"), [(16, 0.70), (64, 11.17)])
def test_the_two_sizes_that_recipes_name(width: int, millions: float) -> None:
    assert round(expected_parameters(width=width, classes=10, channels=3) / 1e6, 2) == millions


def test_resolution_halves_in_all_stages_but_the_first() -> None:
    net = preactresnet18(width=2)
    features, sizes = net.features, []
    x = torch.rand(2, 3, 32, 32)
    for name, part in features.named_children():
        x = part(x)
        if name.startswith("st"):
            sizes.append((name, x.shape[1], x.shape[2]))
    assert sizes == [
        ("stem", 2, 32),
        ("stage1", 2, 32),
        ("stage2", 4, 16),
        ("stage3", 8, 8),
        ("stage4", 16, 4),
    ]
