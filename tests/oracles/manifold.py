"""Manifold MixUp by loops (Verma et al. 2019, eq. 1): run, mix the hidden states, run on."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Layer = tuple[Array, Array] | str
"""Weight and bias of a linear layer, or the name of one without weights."""


def _run(layer: Layer, h: Array) -> Array:
    if layer == "flatten":
        return h.reshape(len(h), -1)
    if layer == "tanh":
        return np.array([[math.tanh(value) for value in row] for row in h])
    assert not isinstance(layer, str)
    weight, bias = layer
    out = np.empty((len(h), len(weight)))
    for i, row in enumerate(h):
        for unit in range(len(weight)):
            products = [w * value for w, value in zip(weight[unit], row, strict=True)]
            out[i, unit] = math.fsum(products) + bias[unit]
    return out


def _mixed(h: Array, partner: list[int], weight: list[float]) -> Array:
    out = np.empty_like(h)
    for i, j in enumerate(partner):
        out[i] = weight[i] * h[i] + (1 - weight[i]) * h[j]
    return out


def logits(
    layers: list[Layer], x: Array, *, after: int, partner: list[int], weight: list[float]
) -> Array:
    """f_k(Mix(g_k(x), g_k(x'))): g_k the layers up to and with `after`, -1 for the input."""
    h = x if after >= 0 else _mixed(x, partner, weight)
    for k, layer in enumerate(layers):
        h = _run(layer, h)
        if k == after:
            h = _mixed(h, partner, weight)
    return h
