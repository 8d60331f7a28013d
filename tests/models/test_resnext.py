"""ResNeXt50 against an oracle in NumPy, a formula for its parameters, and torchvision itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from norms import shake_norms
from oracles import resnet as oracle
from oracles import torchvision_nets
from vicinal.models.resnet import load_torchvision
from vicinal.models.resnext import resnext50

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def groups_of(net: nn.Module) -> set[int]:
    return {
        part.groups
        for part in net.modules()
        if isinstance(part, nn.Conv2d) and part.kernel_size == (3, 3)
    }


@pytest.mark.parametrize(
    ("width", "groups"), [(64, 32), (32, 16), (16, 8), (4, 2), (2, 1), (6, 3), (3, 3), (1, 1)]
)
def test_parameters_have_torchvisions_names_shapes_and_order(width: int, groups: int) -> None:
    with torch.device("meta"):
        net = resnext50(width=width, num_classes=11, in_channels=1)
    assert groups_of(net) == {groups}
    expected = oracle.shapes(
        (3, 4, 6, 3), width=width, inner=2 * width, groups=groups, classes=11, channels=1
    )
    found = [(name, tuple(weight.shape)) for name, weight in net.named_parameters()]
    assert found == list(expected.items())


@pytest.mark.parametrize(("width", "in_group"), [(64, 4), (16, 4), (2, 4), (5, 2), (1, 2)])
def test_groups_of_the_first_stage_have_four_channels_and_twice_as_many_in_each_other(
    width: int, in_group: int
) -> None:
    with torch.device("meta"):
        net = resnext50(width=width)
    for i, stage in enumerate((net.layer1, net.layer2, net.layer3, net.layer4)):
        convolutions = [part for part in stage.modules() if isinstance(part, nn.Conv2d)]
        grouped = [conv for conv in convolutions if conv.kernel_size == (3, 3)]
        assert {conv.in_channels // conv.groups for conv in grouped} == {in_group * 2**i}


def test_number_of_parameters_at_1000_classes() -> None:
    with torch.device("meta"):
        net = resnext50(num_classes=1000)
    assert sum(weight.numel() for weight in net.parameters()) == 25_028_904


@pytest.mark.parametrize("width", [3, 4])
def test_net_matches_the_oracle(width: int) -> None:
    net = resnext50(width=width, num_classes=5, mean=MEAN, std=STD).double().eval()
    shake_norms(net)
    x = torch.rand(1, 3, 32, 32, dtype=torch.float64)
    state = {name: value.numpy() for name, value in net.state_dict().items()}
    normalised = (x.numpy() - state["normalize.mean"]) / state["normalize.std"]
    [groups] = groups_of(net)
    expected = oracle.logits(normalised, state, groups=groups)
    np.testing.assert_allclose(net(x).detach().numpy(), expected, rtol=1e-8)


def test_it_is_torchvisions_network() -> None:
    theirs = torchvision_nets.build("resnext50_32x4d", num_classes=7)
    torch.manual_seed(0)
    ours = resnext50(num_classes=7)
    for name, weight in theirs.named_parameters():
        assert torch.equal(ours.get_parameter(name), weight), name  # from the same seed
    shake_norms(theirs)
    load_torchvision(ours, theirs.state_dict())
    x = torch.rand(2, 3, 65, 64)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    with torch.no_grad():
        found, expected = ours.eval()(x), theirs.eval()((x - mean) / std)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
