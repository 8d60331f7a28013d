"""Losses by loops over examples and classes, in float64, from their definitions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def softmax(z: Array) -> Array:
    """f_k(x) = exp(z_k) / sum_j exp(z_j), row by row."""
    p = np.empty_like(z, dtype=np.float64)
    for i, row in enumerate(z):
        top = max(row)
        weights = [math.exp(value - top) for value in row]
        for k, weight in enumerate(weights):
            p[i, k] = weight / math.fsum(weights)
    return p


def cross_entropy(z: Array, q: Array) -> Array:
    """l(p, q) = -sum_k q_k log p_k with p the softmax of z (ALPS, below eq. 1)."""
    losses = np.empty(len(z))
    for i, row in enumerate(z):
        top = max(row)
        log_total = top + math.log(math.fsum(math.exp(value - top) for value in row))
        losses[i] = math.fsum(
            -weight * (value - log_total) for weight, value in zip(q[i], row, strict=True)
        )
    return losses


def margin(z: Array, y: list[int]) -> Array:
    """max_{k != y} z_k - z_y (Carlini and Wagner)."""
    losses = np.empty(len(z))
    for i, row in enumerate(z):
        losses[i] = max(value for k, value in enumerate(row) if k != y[i]) - row[y[i]]
    return losses


def kl_divergence(z: Array, other: Array) -> Array:
    """KL(p || r) = sum_k p_k log(p_k / r_k), p and r the softmaxes of the two sets of logits."""
    p, r = softmax(z), softmax(other)
    return np.array([
        math.fsum(a * math.log(a / b) for a, b in zip(pi, ri, strict=True))
        for pi, ri in zip(p, r, strict=True)
    ])


def dlr(z: Array, y: list[int]) -> Array:
    """-(z_y - max_{k != y} z_k) / (z_(1) - z_(3)) (Croce and Hein 2020, eq. 6)."""
    over = margin(z, y)
    tops = [sorted(row, reverse=True) for row in z]
    return np.array([value / (top[0] - top[2]) for value, top in zip(over, tops, strict=True)])


def targeted_dlr(z: Array, y: list[int], t: list[int]) -> Array:
    """-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2) (Croce and Hein 2020, eq. 7)."""
    losses = np.empty(len(z))
    for i, row in enumerate(z):
        top = sorted(row, reverse=True)
        losses[i] = -(row[y[i]] - row[t[i]]) / (top[0] - (top[2] + top[3]) / 2)
    return losses
