"""Linear classifiers in float64, images near their borders, and margins in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vicinal.gradients import clean_logits
from vicinal.maths import losses

__all__ = ["PIXELS", "batch_of", "flat", "linear_model", "margins_of"]

PIXELS = 12
Array = NDArray[Any]


def linear_model(classes: int, seed: int = 0) -> tuple[nn.Module, Array, Array]:
    g = torch.Generator().manual_seed(seed)
    layer = nn.Linear(PIXELS, classes).double()
    with torch.no_grad():
        layer.weight.normal_(generator=g)
        layer.weight[:, 3] = 0.0  # a pixel that nothing depends on
        layer.bias.copy_(-layer.weight.sum(dim=1) / 2)  # grey is near every border
    weight, bias = (v.detach().numpy() for v in (layer.weight, layer.bias))
    return nn.Sequential(nn.Flatten(), layer), weight, bias


def batch_of(model: nn.Module, n: int, *, inner: bool = False) -> tuple[Tensor, Tensor]:
    """Images with the classes that the model gives them; some pixels lie on 0 and 1."""
    g = torch.Generator().manual_seed(5)
    x = torch.rand(n, 3, 2, 2, generator=g, dtype=torch.float64)
    if inner:
        x = 0.3 + 0.4 * x
    else:
        x[: n // 4] = (2 * x[: n // 4] - 0.5).clamp(0, 1)
    return x, clean_logits(model, x).argmax(dim=1)


def flat(x: Tensor) -> Array:
    return np.asarray(x.flatten(1).numpy())


def margins_of(model: nn.Module, x: Tensor, y: Tensor) -> Array:
    return np.asarray(losses.margin(clean_logits(model, x), y).numpy())
