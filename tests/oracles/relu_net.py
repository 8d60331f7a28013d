"""The worst point of a box for a two-layer ReLU net, exactly: a mixed-integer program by SciPy.

With a = W x + b, a hidden unit h = max(a, 0) is the feasible set of

    h >= 0,  h >= a,  h <= a - low (1 - s),  h <= high s,  s in {0, 1}

where low <= a <= high over the box (Tjeng et al. 2019). One image at a time, pixels flat, float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import nn

__all__ = ["ReluNet", "highest_margin", "twins"]

Vector = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ReluNet:
    """The weights of z = V max(W x + b, 0) + c."""

    w: Vector
    b: Vector
    v: Vector
    c: Vector

    def logits(self, x: Vector) -> Vector:
        """Return the logits of one flat image."""
        return np.asarray(self.v @ np.maximum(self.w @ x + self.b, 0) + self.c)


def twins(*, seed: int, units: int, classes: int, shift: float) -> tuple[nn.Module, ReluNet]:
    """Draw a net of 12 pixels, its biases around `shift`, and give its weights twice."""
    r = np.random.default_rng(seed)
    net = ReluNet(
        w=2 * r.normal(size=(units, 12)),
        b=r.normal(size=units) + shift,
        v=r.normal(size=(classes, units)),
        c=r.normal(size=classes),
    )
    inner, outer = nn.Linear(12, units).double(), nn.Linear(units, classes).double()
    for layer, w, b in ((inner, net.w, net.b), (outer, net.v, net.c)):
        layer.weight.data, layer.bias.data = torch.from_numpy(w), torch.from_numpy(b)
    return nn.Sequential(nn.Flatten(), inner, nn.ReLU(), outer), net


def highest_margin(net: ReluNet, x: Vector, y: int, eps: float) -> tuple[float, Vector]:
    """Maximise max_k z_k - z_y over the pixels within eps of x and [0, 1]; also where."""
    low, high = np.clip(x - eps, 0, 1), np.clip(x + eps, 0, 1)
    best, where = -np.inf, x
    for k in range(len(net.c)):
        if k != y:
            found = _highest(net, net.v[k] - net.v[y], low, high)
            value = float(net.logits(found)[k] - net.logits(found)[y])
            if value > best:
                best, where = value, found
    return best, where


def _highest(net: ReluNet, rise: Vector, low: Vector, high: Vector) -> Vector:
    """Variables x, h, s in a row."""
    units, pixels = net.w.shape
    least = net.w.clip(min=0) @ low + net.w.clip(max=0) @ high + net.b
    most = net.w.clip(min=0) @ high + net.w.clip(max=0) @ low + net.b
    least, most = least.clip(max=0), most.clip(min=0)
    one, none = np.eye(units), np.zeros((units, pixels))
    rows = np.block([
        [-net.w, one, 0 * one],
        [-net.w, one, -np.diag(least)],
        [none, one, -np.diag(most)],
    ])
    free = np.full(units, np.inf)
    solved = milp(
        np.concatenate([np.zeros(pixels), -rise, np.zeros(units)]),
        constraints=LinearConstraint(
            rows,
            np.concatenate([net.b, -free, -free]),
            np.concatenate([free, net.b - least, np.zeros(units)]),
        ),
        integrality=np.repeat([0, 0, 1], [pixels, units, units]),
        bounds=Bounds(
            np.concatenate([low, np.zeros(2 * units)]),
            np.concatenate([high, most, np.ones(units)]),
        ),
        options={"mip_rel_gap": 0.0},
    )
    assert solved.status == 0, solved.message
    return np.asarray(np.clip(solved.x[:pixels], low, high))
