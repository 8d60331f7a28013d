"""VGG16 against a functional transcription of configuration D, and its rule for odd sizes."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from norms import shake_norms
from vicinal.models.vgg import vgg16

# Simonyan and Zisserman 2015, table 1, column D: multiples of the width, "M" is a max pool.
COLUMN_D = [1, 1, "M", 2, 2, "M", 4, 4, 4, "M", 8, 8, 8, "M", 8, 8, 8, "M"]


def usual_vgg16(x: Tensor, model: nn.Module) -> Tensor:
    """The usual network, with pools that round down, from the model's weights in their order."""
    convolutions = (m.weight for m in model.modules() if isinstance(m, nn.Conv2d))
    norms = (m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    h = (x - 0.5) / 0.25
    for entry in COLUMN_D:
        if entry == "M":
            h = F.max_pool2d(h, 2)
            continue
        norm = next(norms)
        h = F.conv2d(h, next(convolutions), padding=1)
        h = F.batch_norm(h, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        h = h.relu()
    assert next(norms, None) is None
    [linear] = [m for m in model.modules() if isinstance(m, nn.Linear)]
    return F.linear(h.mean(dim=(2, 3)), linear.weight, linear.bias)


@pytest.mark.parametrize("size", [32, 64])
def test_at_even_sizes_it_is_the_usual_network(size: int) -> None:
    torch.manual_seed(0)
    model = vgg16(width=4, num_classes=7).double().eval()
    shake_norms(model)
    x = torch.rand(2, 3, size, size, dtype=torch.float64)
    torch.testing.assert_close(model(x), usual_vgg16(x, model), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("size", "after"),
    [
        (8, [4, 2, 1, 1, 1]),
        (28, [14, 7, 4, 2, 1]),
        (32, [16, 8, 4, 2, 1]),
        (224, [112, 56, 28, 14, 7]),
    ],
)
def test_pools_round_odd_sizes_up(size: int, after: list[int]) -> None:
    x = torch.rand(2, 1, size, size)
    sizes = []
    for stage in vgg16(width=1, in_channels=1).features.children():
        x = stage(x)
        sizes.append(x.shape[-1])
    assert sizes == after


@pytest.mark.parametrize("width", [1, 16, 64])
@pytest.mark.parametrize(("classes", "channels"), [(10, 3), (200, 1)])
def test_number_of_parameters(width: int, classes: int, channels: int) -> None:
    multiples = [entry for entry in COLUMN_D if isinstance(entry, int)]
    widths = [channels, *(width * multiple for multiple in multiples)]
    convolutions = sum(9 * a * b for a, b in pairwise(widths))
    expected = convolutions + 2 * sum(widths[1:]) + widths[-1] * classes + classes
    with torch.device("meta"):
        model = vgg16(num_classes=classes, in_channels=channels, width=width)
    assert sum(weight.numel() for weight in model.parameters()) == expected
