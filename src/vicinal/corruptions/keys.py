"""Draws of a corruption: one key per image, and all that an image needs drawn from its key.

Keys and draws are made on the CPU, so a corrupted test set is the same on every device, in any
order and at any batch size.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from zlib import crc32

import torch
from torch import Tensor

from vicinal._checks import InputError, count
from vicinal.maths import randomness

__all__ = ["Streams", "draw_keys", "fixed_keys"]

_HIGHEST = 2**63 - 1


def draw_keys(n: int, rng: torch.Generator | None = None) -> Tensor:
    """Draw one key per image, in order: n keys are the keys of n draws of one.

    Args:
        n: The number of images.
        rng: Where keys come from; torch's global CPU generator when not given.

    Returns:
        Keys, shape (n,), int64, on the CPU.

    Example:
        >>> draw_keys(2, torch.Generator().manual_seed(0)).shape
        torch.Size([2])
    """
    like = torch.empty(0)
    if rng is None or rng.device.type == "cpu":
        return randomness.integers(n, high=_HIGHEST, like=like, rng=rng)
    # One call to an accelerator's generator is not the beginning of another, longer one.
    return torch.cat([randomness.integers(1, high=_HIGHEST, like=like, rng=rng) for _ in range(n)])


def fixed_keys(indices: Tensor, *, seed: int, name: str, severity: int) -> Tensor:
    """Give every sample of a test set the key that belongs to it, whatever batch it comes in.

    Args:
        indices: Positions of the samples in their set, shape (N,), integer.
        seed: The seed of the whole evaluation.
        name: The corruption.
        severity: Its severity.

    Returns:
        Keys, shape (N,), int64, on the CPU; samples, seeds, names and severities differ in them.

    Example:
        >>> fixed_keys(torch.arange(2), seed=0, name="fog", severity=3).unique().numel()
        2
    """
    key = _mixed(torch.tensor(count("seed", seed, low=0)))
    for part in (crc32(name.encode()), severity):
        key = _mixed(key ^ part)
    return _mixed(key ^ indices.detach().cpu().long())


def _mixed(key: Tensor) -> Tensor:
    """Spread every bit over 63 (splitmix64), so that neighbouring keys start unrelated streams."""
    mixed = key + (0x9E3779B97F4A7C15 - 2**64)
    mixed = (mixed ^ _shifted(mixed, 30)) * (0xBF58476D1CE4E5B9 - 2**64)
    mixed = (mixed ^ _shifted(mixed, 27)) * (0x94D049BB133111EB - 2**64)
    spread: Tensor = (mixed ^ _shifted(mixed, 31)) & _HIGHEST
    return spread


def _shifted(key: Tensor, bits: int) -> Tensor:
    shifted: Tensor = (key >> bits) & (2 ** (64 - bits) - 1)
    return shifted


class Streams:
    """The random streams of a batch, one per image; every method draws one row per image.

    Args:
        keys: One key per image, shape (N,), int64.

    Example:
        >>> Streams(torch.tensor([5, 6])).uniform(3).shape
        torch.Size([2, 3])
    """

    def __init__(self, keys: Tensor) -> None:
        if not isinstance(keys, Tensor) or keys.ndim != 1 or keys.dtype != torch.int64:
            tensor = isinstance(keys, Tensor)
            got = f"shape {tuple(keys.shape)}, {keys.dtype}" if tensor else repr(keys)
            raise InputError(f"`keys` must be one integer per image, shape (N,), int64; got {got}.")
        self._keys = keys

    def __len__(self) -> int:
        """Count the images."""
        return len(self._keys)

    @cached_property
    def _generators(self) -> list[torch.Generator]:
        """Seed one generator per image, when first drawn from: that costs more than some blurs."""
        return [torch.Generator().manual_seed(key) for key in self._keys.tolist()]

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draw from U[low, high): shape (N, *shape), float32."""
        rows = self._rows(shape, torch.float32)
        for row, generator in zip(rows, self._generators, strict=True):
            row.uniform_(low, high, generator=generator)
        return rows

    def normal(self, *shape: int) -> Tensor:
        """Draw from N(0, 1): shape (N, *shape), float32."""
        rows = self._rows(shape, torch.float32)
        for row, generator in zip(rows, self._generators, strict=True):
            row.normal_(generator=generator)
        return rows

    def integers(
        self, *shape: int, low: int, high: int, dtype: torch.dtype = torch.int64
    ) -> Tensor:
        """Draw integers from low..high-1: shape (N, *shape)."""
        rows = self._rows(shape, dtype)
        for row, generator in zip(rows, self._generators, strict=True):
            row.random_(low, high, generator=generator)
        return rows

    def _rows(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        return torch.empty((len(self), *shape), dtype=dtype)
