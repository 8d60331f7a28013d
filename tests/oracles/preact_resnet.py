"""PreActResNet in eval mode, in NumPy float64, written from He et al. 2016 (eq. 1-3, fig. 4e).

Knows nothing of torch or of the library. A network is given as plain arrays by role.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class BatchNorm:
    """Learned scale and shift, and the running statistics, each (C,)."""

    scale: Array
    shift: Array
    mean: Array
    variance: Array


@dataclass(frozen=True, kw_only=True)
class Block:
    """A pre-activation block; `shortcut` is None where the skip is the identity."""

    norm1: BatchNorm
    conv1: Array
    norm2: BatchNorm
    conv2: Array
    shortcut: Array | None
    stride: int


@dataclass(frozen=True, kw_only=True)
class Net:
    """Everything from pixels to logits."""

    mean: Array
    std: Array
    stem: Array
    blocks: Sequence[Block]
    norm: BatchNorm
    weight: Array
    bias: Array


def convolve(x: Array, kernel: Array, *, stride: int = 1) -> Array:
    """Cross-correlate x (N, C, H, W) with kernels (O, C, k, k), zero padding (k - 1) / 2."""
    size = kernel.shape[-1]
    pad = (size - 1) // 2
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows = range(0, x.shape[2], stride)
    columns = range(0, x.shape[3], stride)
    out = np.zeros((x.shape[0], kernel.shape[0], len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            patch = padded[:, :, row : row + size, column : column + size]
            out[:, :, i, j] = np.tensordot(patch, kernel, axes=([1, 2, 3], [1, 2, 3]))
    return out


def normalize(x: Array, norm: BatchNorm) -> Array:
    """Batch normalisation with running statistics (Ioffe and Szegedy 2015, algorithm 2)."""
    out = np.empty_like(x)
    for c in range(x.shape[1]):
        centred = x[:, c] - norm.mean[c]
        out[:, c] = norm.scale[c] * centred / np.sqrt(norm.variance[c] + 1e-5) + norm.shift[c]
    return out


def activate(x: Array, norm: BatchNorm) -> Array:
    """Full pre-activation: normalise, then rectify."""
    return np.maximum(normalize(x, norm), 0.0)


def block(x: Array, b: Block) -> Array:
    """x + F(x); where the shape changes, a projection of the activated input + F(x)."""
    first = activate(x, b.norm1)
    skip = x if b.shortcut is None else convolve(first, b.shortcut, stride=b.stride)
    residual = convolve(first, b.conv1, stride=b.stride)
    return skip + convolve(activate(residual, b.norm2), b.conv2)


def net(x: Array, n: Net) -> Array:
    """Pixels (N, C, H, W) to logits (N, K)."""
    h = convolve((x - n.mean[:, None, None]) / n.std[:, None, None], n.stem)
    for b in n.blocks:
        h = block(h, b)
    pooled: Array = activate(h, n.norm).mean(axis=(2, 3))
    return pooled @ n.weight.T + n.bias
