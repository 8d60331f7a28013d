"""ResNet and ResNeXt with bottlenecks in eval mode, in NumPy float64, under torchvision's names.

Written from He et al. 2016 (fig. 5, right; table 1) and Xie et al. 2017 (fig. 3c; eq. 4), with the
stride in the 3x3 convolution. Knows nothing of torch or of the library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from oracles.preact_resnet import Array, BatchNorm, convolve, normalize

State: TypeAlias = Mapping[str, Array]
Shapes: TypeAlias = dict[str, tuple[int, ...]]


def shapes(
    depths: Sequence[int], *, width: int, inner: int, groups: int, classes: int, channels: int
) -> Shapes:
    """Names and shapes of all parameters in torchvision's order; `inner` is the first stage's."""
    found: Shapes = {"conv1.weight": (width, channels, 7, 7), **_norm_shapes("bn1", width)}
    before = width
    for stage, depth in enumerate(depths, 1):
        narrow, wide = inner << (stage - 1), 4 * width << (stage - 1)
        for block in range(depth):
            name = f"layer{stage}.{block}"
            found[f"{name}.conv1.weight"] = (narrow, before, 1, 1)
            found |= _norm_shapes(f"{name}.bn1", narrow)
            found[f"{name}.conv2.weight"] = (narrow, narrow // groups, 3, 3)
            found |= _norm_shapes(f"{name}.bn2", narrow)
            found[f"{name}.conv3.weight"] = (wide, narrow, 1, 1)
            found |= _norm_shapes(f"{name}.bn3", wide)
            if block == 0:
                found[f"{name}.downsample.0.weight"] = (wide, before, 1, 1)
                found |= _norm_shapes(f"{name}.downsample.1", wide)
            before = wide
    return {**found, "fc.weight": (classes, before), "fc.bias": (classes,)}


def _norm_shapes(name: str, channels: int) -> Shapes:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def logits(x: Array, state: State, *, groups: int = 1) -> Array:
    """Normalised images (N, C, H, W) to logits (N, K)."""
    h = np.maximum(_norm(_convolve(x, state, "conv1", stride=2), state, "bn1"), 0.0)
    h = pool(h)
    for stage in (1, 2, 3, 4):
        block = 0
        while f"layer{stage}.{block}.conv1.weight" in state:
            stride = 2 if stage > 1 and block == 0 else 1
            h = bottleneck(h, state, f"layer{stage}.{block}", stride=stride, groups=groups)
            block += 1
    out: Array = h.mean(axis=(2, 3)) @ state["fc.weight"].T + state["fc.bias"]
    return out


def bottleneck(x: Array, state: State, name: str, *, stride: int, groups: int = 1) -> Array:
    """1x1, 3x3, 1x1, each normalised; rectified after the first two and after the addition."""
    h = np.maximum(_norm(_convolve(x, state, f"{name}.conv1"), state, f"{name}.bn1"), 0.0)
    h = _grouped(h, state[f"{name}.conv2.weight"], stride=stride, groups=groups)
    h = np.maximum(_norm(h, state, f"{name}.bn2"), 0.0)
    h = _norm(_convolve(h, state, f"{name}.conv3"), state, f"{name}.bn3")
    skip = x
    if f"{name}.downsample.0.weight" in state:
        projected = _convolve(x, state, f"{name}.downsample.0", stride=stride)
        skip = _norm(projected, state, f"{name}.downsample.1")
    return np.maximum(h + skip, 0.0)


def pool(x: Array) -> Array:
    """The greatest of 3x3 pixels around every second one."""
    n, c, rows, columns = x.shape
    out = np.empty((n, c, (rows + 1) // 2, (columns + 1) // 2))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            patch = x[:, :, max(2 * i - 1, 0) : 2 * i + 2, max(2 * j - 1, 0) : 2 * j + 2]
            out[:, :, i, j] = patch.max(axis=(2, 3))
    return out


def _convolve(x: Array, state: State, name: str, *, stride: int = 1) -> Array:
    return convolve(x, state[f"{name}.weight"], stride=stride)


def _grouped(x: Array, kernel: Array, *, stride: int, groups: int) -> Array:
    parts = zip(np.split(x, groups, axis=1), np.split(kernel, groups), strict=True)
    return np.concatenate([convolve(part, k, stride=stride) for part, k in parts], axis=1)


def _norm(x: Array, state: State, name: str) -> Array:
    return normalize(
        x,
        BatchNorm(
            scale=state[f"{name}.weight"],
            shift=state[f"{name}.bias"],
            mean=state[f"{name}.running_mean"],
            variance=state[f"{name}.running_var"],
        ),
    )
