"""The TensorFlow wide ResNet of Madry et al., BAT and AVmixup in eval mode, in NumPy float64.

Written from the description of its parts: leaky ReLU of slope 0.1, skips that average and pad with
zeros, the very first activation shared by the skip, BatchNorm's epsilon 1e-3. Knows nothing of
torch or of the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oracles.preact_resnet import Array, BatchNorm, convolve


@dataclass(frozen=True, kw_only=True)
class Block:
    """Two normalised and rectified convolutions; `shared` in the first block of the net."""

    norm1: BatchNorm
    conv1: Array
    norm2: BatchNorm
    conv2: Array
    stride: int
    shared: bool


@dataclass(frozen=True, kw_only=True)
class Net:
    """Everything from normalised images to logits."""

    stem: Array
    blocks: Sequence[Block]
    norm: BatchNorm
    weight: Array
    bias: Array


def activate(x: Array, norm: BatchNorm) -> Array:
    """Normalise by the running statistics, then keep a tenth of what is negative."""
    scale = norm.scale / np.sqrt(norm.variance + 1e-3)
    h = (x - norm.mean[:, None, None]) * scale[:, None, None] + norm.shift[:, None, None]
    out: Array = np.where(h < 0, 0.1 * h, h)
    return out


def shrink(x: Array, stride: int) -> Array:
    """Average over squares of stride x stride pixels; at an odd edge over what there is."""
    n, c, rows, columns = x.shape
    out = np.empty((n, c, -(-rows // stride), -(-columns // stride)))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            square = x[:, :, stride * i : stride * (i + 1), stride * j : stride * (j + 1)]
            out[:, :, i, j] = square.mean(axis=(2, 3))
    return out


def block(x: Array, b: Block) -> Array:
    """The padded average of the input, or of the activated input, plus the residual."""
    activated = activate(x, b.norm1)
    residual = convolve(activated, b.conv1, stride=b.stride)
    residual = convolve(activate(residual, b.norm2), b.conv2)
    small = shrink(activated if b.shared else x, b.stride)
    out = residual.copy()
    first = (residual.shape[1] - small.shape[1]) // 2
    out[:, first : first + small.shape[1]] += small
    return out


def logits(x: Array, n: Net) -> Array:
    """Normalised images (N, C, H, W) to logits (N, K)."""
    h = convolve(x, n.stem)
    for b in n.blocks:
        h = block(h, b)
    pooled: Array = activate(h, n.norm).mean(axis=(2, 3))
    return pooled @ n.weight.T + n.bias
