"""The digits' network: its size, its two normalisations, and that it learns."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from vicinal._checks import InputError
from vicinal.models.digits_net import digits_net


@pytest.mark.parametrize("norm_layer", ["batch", "group"])
@pytest.mark.parametrize(("width", "classes", "channels"), [(32, 10, 1), (5, 3, 2)])
def test_number_of_parameters(
    norm_layer: Literal["batch", "group"], width: int, classes: int, channels: int
) -> None:
    net = digits_net(num_classes=classes, in_channels=channels, width=width, norm_layer=norm_layer)
    convolutions = 9 * (channels * width + width * width + 2 * width * width)
    norms = 2 * (width + width + 2 * width)
    expected = convolutions + norms + 2 * width * classes + classes
    assert sum(weight.numel() for weight in net.parameters()) == expected


@pytest.mark.parametrize(("width", "groups"), [(32, [8, 8, 8]), (6, [2, 2, 4]), (1, [1, 1, 2])])
def test_groups_divide_the_channels(width: int, groups: list[int]) -> None:
    net = digits_net(width=width, norm_layer="group")
    layers = [layer for layer in net.modules() if isinstance(layer, nn.GroupNorm)]
    assert [layer.num_groups for layer in layers] == groups
    assert not [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert net(torch.rand(2, 1, 8, 8)).shape == (2, 10)


def test_an_image_does_not_see_its_batch_in_train_mode_under_group_norm() -> None:
    torch.manual_seed(0)
    net = digits_net(norm_layer="group").double().train()
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(net(x), torch.cat([net(image[None]) for image in x]))


def test_an_image_does_see_its_batch_in_train_mode_under_batch_norm() -> None:
    torch.manual_seed(0)
    net = digits_net(norm_layer="batch").double().train()
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    assert not torch.allclose(net(x)[:2], net(x[:2]), atol=1e-3)


@pytest.mark.parametrize("norm_layer", ["batch", "group"])
def test_it_learns_the_digits(norm_layer: Literal["batch", "group"]) -> None:
    torch.manual_seed(0)
    digits = load_digits()
    x = torch.as_tensor(digits.images, dtype=torch.float32)[:, None] / 16
    y = torch.as_tensor(digits.target)
    held_out = torch.arange(len(x)) % 4 == 0
    train = (~held_out).nonzero().flatten()
    net = digits_net(norm_layer=norm_layer, mean=(0.31,), std=(0.38,))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=8 * 22)
    for _ in range(8):
        for batch in torch.split(train[torch.randperm(len(train))], 64):
            optimizer.zero_grad()
            torch.autograd.backward(F.cross_entropy(net(x[batch]), y[batch]))
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        accuracy = (net.eval()(x[held_out]).argmax(dim=1) == y[held_out]).float().mean()
    assert accuracy > 0.95


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"norm_layer": "grp"}, r"`norm_layer` must be batch \| group; got 'grp'\. Did you mean"),
        ({"norm_layer": None}, r"`norm_layer` must be batch \| group; got None\."),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        digits_net(**arguments)
