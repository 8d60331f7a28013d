"""A two-layer net as a model and as an oracle takes it, and images that it classifies well."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from linear_models import PIXELS
from oracles.madry_pgd import Net
from vicinal.gradients import clean_logits

__all__ = ["batch", "twins"]


def twins(classes: int = 4, *, seed: int = 0) -> tuple[nn.Module, Net]:
    """The same weights twice."""
    r = np.random.default_rng(seed)
    net = Net(
        w=3 * r.normal(size=(9, PIXELS)),
        b=r.normal(size=9),
        v=r.normal(size=(classes, 9)),
        c=r.normal(size=classes),
    )
    inner, outer = nn.Linear(PIXELS, 9).double(), nn.Linear(9, classes).double()
    for layer, w, b in ((inner, net.w, net.b), (outer, net.v, net.c)):
        layer.weight.data, layer.bias.data = torch.from_numpy(w), torch.from_numpy(b)
    return nn.Sequential(nn.Flatten(), inner, nn.Tanh(), outer), net


def batch(model: nn.Module, n: int, *, wrong: int = 0) -> tuple[Tensor, Tensor]:
    """Images with pixels on 0 and 1 and their classes, those of the last few turned."""
    g = torch.Generator().manual_seed(5)
    x = (torch.rand(n, 3, 2, 2, generator=g, dtype=torch.float64) * 1.2 - 0.1).clamp(0, 1)
    z = clean_logits(model, x)
    y = z.argmax(dim=1)
    y[n - wrong :] = (y[n - wrong :] + 1) % z.shape[1]
    return x, y
