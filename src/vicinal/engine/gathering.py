"""The rows of all processes, differentiable: what mixing with partners elsewhere needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["gather_rows"]


class _Gather(torch.autograd.Function):
    """Forward, the rows of all; backward, what all of them sent back to the own ones."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, counts: Sequence[int]) -> Tensor:  # ruff: ignore[any-type]
        ctx.counts = counts
        return _collect(s, counts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # ruff: ignore[any-type]
        # In single precision: not every backend adds halves.
        total = gradient.contiguous().to(torch.promote_types(gradient.dtype, torch.float32))
        total = total.clone() if total is gradient else total
        dist.all_reduce(total)
        own = torch.split(total, list(ctx.counts))[dist.get_rank()]
        return own.to(gradient.dtype), None


def gather_rows(s: Tensor, counts: Sequence[int]) -> Tensor:
    """Join the rows of all processes, in the order of their ranks.

    Args:
        s: The own rows, shape (N, ...).
        counts: How many rows each process has; this one N.

    Returns:
        Shape (sum of counts, ...); gradients flow back to the process that a row came from.
    """
    if s.requires_grad and torch.is_grad_enabled():
        found: Tensor = _Gather.apply(s, tuple(counts))  # type: ignore[no-untyped-call]
        return found
    return _collect(s, counts)


def _collect(s: Tensor, counts: Sequence[int]) -> Tensor:
    # Every process sends as many rows as the one that has most: shapes must agree.
    padded = s.new_zeros((max(counts), *s.shape[1:]))
    padded[: len(s)] = s.detach()
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    joined = torch.cat([part[:n] for part, n in zip(parts, counts, strict=True)])
    if s.ndim == 4 and s.is_contiguous(memory_format=torch.channels_last):
        return joined.contiguous(memory_format=torch.channels_last)
    return joined
