"""Draws: a generator goes in, a tensor comes out.

With `rng` given only it is used, wherever it lives: the draw is made on the generator's device and
then moved, so one CPU generator serves every device. Without it torch's global generator of the
images' device is used, so `torch.manual_seed` rules the caller's own loop.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["beta", "integers", "moved", "normal", "permutation", "uniform"]


def _device(like: Tensor, rng: torch.Generator | None) -> torch.device:
    return like.device if rng is None else rng.device


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Move a tensor to a device; double precision becomes single where there is none (MPS).

    Args:
        tensor: A draw, images or labels.
        device: Where it shall be.

    Returns:
        The tensor there; the same object when nothing had to be done.
    """
    if device.type == "mps" and tensor.dtype == torch.float64:
        tensor = tensor.float()
    # Any other way than this one, the host could read a copy that has not arrived yet.
    ahead = tensor.device.type == "cpu" and device.type == "cuda"
    return tensor.to(device, non_blocking=ahead)


def uniform(shape: Sequence[int], like: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """Draw from U[0, 1).

    Args:
        shape: The shape of the draw.
        like: A tensor whose dtype and device the draw takes.
        rng: Where the draw comes from; torch's global generator when not given.

    Returns:
        A tensor of that shape.
    """
    draw = torch.rand(*shape, generator=rng, device=_device(like, rng), dtype=like.dtype)
    return moved(draw, like.device)


def normal(shape: Sequence[int], like: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """Draw from N(0, 1).

    Args:
        shape: The shape of the draw.
        like: A tensor whose dtype and device the draw takes.
        rng: Where the draw comes from; torch's global generator when not given.

    Returns:
        A tensor of that shape.
    """
    draw = torch.randn(*shape, generator=rng, device=_device(like, rng), dtype=like.dtype)
    return moved(draw, like.device)


def integers(n: int, *, high: int, like: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """Draw integers uniformly from 0..high-1.

    Args:
        n: How many.
        high: The number of values.
        like: A tensor whose device the draw takes.
        rng: Where the draw comes from; torch's global generator when not given.

    Returns:
        Shape (n,), int64.
    """
    draw = torch.randint(high, (n,), generator=rng, device=_device(like, rng))
    return moved(draw, like.device)


def permutation(n: int, like: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """Draw a permutation of 0..n-1, uniformly; an image may be its own partner.

    Args:
        n: How many.
        like: A tensor whose device the draw takes.
        rng: Where the draw comes from; torch's global generator when not given.

    Returns:
        Shape (n,), int64.
    """
    draw = torch.randperm(n, generator=rng, device=_device(like, rng))
    return moved(draw, like.device)


def beta(n: int, *, a: float, b: float, like: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """Draw from Beta(a, b), in double precision; on the CPU where the device has no Gamma (MPS).

    A ratio of two Gamma draws, each boosted from shape a + 1 to a and compared in logarithms: the
    draws themselves underflow for small shapes, where a plain ratio would call 0/0 a half.

    Args:
        n: How many.
        a: First shape parameter, positive.
        b: Second shape parameter, positive.
        like: A tensor whose device the draw takes.
        rng: Where the draw comes from; torch's global generator when not given.

    Returns:
        Shape (n,), values in [0, 1].
    """
    device = _device(like, rng)
    if device.type == "mps":
        rng, device = _cpu_generator(device, rng), torch.device("cpu")
    # Below 1e-300 a draw is a coin, and its logarithms would overflow to infinity - infinity.
    shape = torch.tensor([max(a, 1e-300), max(b, 1e-300)], dtype=torch.float64)
    shape = moved(shape, device).expand(n, 2)
    # torch.distributions.Gamma draws by this very function but takes no generator.
    boosted = torch._standard_gamma(shape + 1, generator=rng).log()
    boost = torch.rand(n, 2, generator=rng, device=device, dtype=torch.float64).log()
    logs = boosted + boost / shape
    return moved(torch.sigmoid(logs[:, 0] - logs[:, 1]), like.device)


def _cpu_generator(device: torch.device, rng: torch.Generator | None) -> torch.Generator:
    """Make a generator on the CPU, its seed drawn from the device's."""
    seed = int(torch.randint(2**31 - 1, (1,), generator=rng, device=device))
    return torch.Generator().manual_seed(seed)
