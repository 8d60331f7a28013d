"""Small pictures for the tests of corruptions: smooth, with an edge, flat parts and every level."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def batch(n: int, *, size: tuple[int, int] = (32, 32), channels: int = 3, seed: int = 0) -> Tensor:
    """Make pictures of 8 bits, shape (n, channels, *size), float32 in [0, 1]."""
    rng = torch.Generator().manual_seed(seed)
    height, width = size
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    waves = torch.rand(n, channels, 3, 1, 1, generator=rng) * 12
    smooth = 0.5 + 0.5 * torch.sin(waves[:, :, 0] * x + waves[:, :, 1] * y + waves[:, :, 2])
    grain = torch.rand(n, channels, height, width, generator=rng)
    picture = 0.8 * smooth + 0.2 * grain
    picture[:, :, height // 2 :, : width // 3] = 0.0
    picture[:, :, height // 2 :, width // 3 : width // 2] = 1.0
    return (picture * 255).round() / 255


def array(image: Tensor) -> NDArray[np.float64]:
    """Turn (C, H, W) to (H, W, C), double precision."""
    return image.double().permute(1, 2, 0).numpy()


def levels(x: Tensor) -> NDArray[Any]:
    """Read grey levels off images that hold k / 255, as (N, H, W, C) integers; fail elsewhere."""
    scaled = x.double() * 255
    assert float((scaled - scaled.round()).abs().max()) < 1e-3
    return scaled.round().int().permute(0, 2, 3, 1).numpy()
