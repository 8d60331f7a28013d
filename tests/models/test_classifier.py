"""The frame of every network: normalise, features, head; and how its weights start."""

from __future__ import annotations

import math

import torch
from torch import nn

from vicinal.models.classifier import Classifier


def build(features: nn.Module, *, num_features: int, in_channels: int = 3) -> Classifier:
    return Classifier(
        features,
        num_features=num_features,
        num_classes=5,
        in_channels=in_channels,
        mean=(0.4,),
        std=(0.2,),
    )


def test_logits_are_the_head_of_the_features_of_the_normalised_pixels() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    model = build(net, num_features=8).double()
    x = torch.rand(2, 3, 9, 9, dtype=torch.float64)
    features = net((x - model.normalize.mean) / model.normalize.std).mean(dim=(2, 3))
    torch.testing.assert_close(model(x), model.head.linear(features))


def test_convolutions_start_kaiming_normal_in_fan_out_mode() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 64, 5)
    build(nn.Sequential(conv), num_features=64, in_channels=16)
    draws = (conv.weight / math.sqrt(2 / (64 * 25))).flatten().double().detach()
    # 25,600 draws; the standard errors of mean, variance and fourth moment of a normal are
    # 1, sqrt(2) and sqrt(96) over sqrt(25,600); four of each (false alarm 2e-4 in all).
    error = 4 / math.sqrt(draws.numel())
    assert abs(draws.mean().item()) < error
    assert abs(draws.var().item() - 1) < math.sqrt(2) * error
    assert abs((draws**4).mean().item() - 3) < math.sqrt(96) * error


def test_normalisation_layers_start_as_the_identity() -> None:
    norm = nn.BatchNorm2d(8)
    model = build(nn.Sequential(nn.Conv2d(3, 8, 3), norm), num_features=8)
    assert torch.equal(norm.weight, torch.ones(8))
    assert torch.equal(norm.bias, torch.zeros(8))
    assert model.head.linear.bias.abs().max() <= 1 / math.sqrt(8)
