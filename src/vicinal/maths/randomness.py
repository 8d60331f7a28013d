"""Draws: a generator goes in, a tensor comes out.

With `rng` given only it is used, wherever it lives: the draw is made on the generator's device and
then moved, so one CPU generator serves every device. Without it torch's global generator of the
images' device is used, so `torch.manual_seed` rules the caller's own loop.

A draw has one row per example. From a `Share` it is made for the batch of all processes, of which
the own rows come back; `common=True` says that a draw is no example's but the whole batch's, and
the same in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vicinal.maths.share import Share

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


def _own(
    make: Callable[[int, torch.Generator | None], Tensor],
    n: int,
    rng: torch.Generator | None,
    *,
    common: bool = False,
) -> Tensor:
    """Draw n rows; from a share the rows of all processes, of which the own n come back."""
    if common or not isinstance(rng, Share):
        return make(n, rng)
    sizes = rng.sizes(n)
    if sizes is None:
        return make(n, rng.alone)
    if rng.whole:
        return make(n, rng)
    # A copy: a view would keep the draw of all processes in memory.
    return torch.split(make(sum(sizes), rng), sizes)[rng.rank].clone()


def uniform(
    shape: Sequence[int], like: Tensor, rng: torch.Generator | None = None, *, common: bool = False
) -> Tensor:
    """Draw from U[0, 1).

    Args:
        shape: The shape of the draw, one row per example.
        like: A tensor whose dtype and device the draw takes.
        rng: Where the draw comes from; torch's global generator when not given.
        common: Whether the draw is the whole batch's, the same in every process.

    Returns:
        A tensor of that shape.
    """
    device, dtype = _device(like, rng), like.dtype

    def make(n: int, source: torch.Generator | None) -> Tensor:
        return torch.rand(n, *shape[1:], generator=source, device=device, dtype=dtype)

    return moved(_own(make, shape[0], rng, common=common), like.device)


def normal(
    shape: Sequence[int], like: Tensor, rng: torch.Generator | None = None, *, common: bool = False
) -> Tensor:
    """Draw from N(0, 1).

    Args:
        shape: The shape of the draw, one row per example.
        like: A tensor whose dtype and device the draw takes.
        rng: Where the draw comes from; torch's global generator when not given.
        common: Whether the draw is the whole batch's, the same in every process.

    Returns:
        A tensor of that shape.
    """
    device, dtype = _device(like, rng), like.dtype

    def make(n: int, source: torch.Generator | None) -> Tensor:
        return torch.randn(n, *shape[1:], generator=source, device=device, dtype=dtype)

    return moved(_own(make, shape[0], rng, common=common), like.device)


def integers(
    n: int,
    *,
    high: int,
    like: Tensor,
    rng: torch.Generator | None = None,
    common: bool = False,
) -> Tensor:
    """Draw integers uniformly from 0..high-1.

    Args:
        n: How many.
        high: The number of values.
        like: A tensor whose device the draw takes.
        rng: Where the draw comes from; torch's global generator when not given.
        common: Whether the draw is the whole batch's, the same in every process.

    Returns:
        Shape (n,), int64.
    """
    device = _device(like, rng)

    def make(n: int, source: torch.Generator | None) -> Tensor:
        return torch.randint(high, (n,), generator=source, device=device)

    return moved(_own(make, n, rng, common=common), like.device)


def permutation(n: int, like: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """Draw a permutation of 0..n-1, uniformly; an image may be its own partner.

    From a share of global scope it is the own part of a permutation of all processes' rows, and
    points into what `share.partners_from` gathers; of local scope, one of the own rows.

    Args:
        n: How many.
        like: A tensor whose device the draw takes.
        rng: Where the draw comes from; torch's global generator when not given.

    Returns:
        Shape (n,), int64.
    """
    device = _device(like, rng)

    def make(n: int, source: torch.Generator | None) -> Tensor:
        return torch.randperm(n, generator=source, device=device)

    if isinstance(rng, Share) and rng.scope == "local" and not rng.whole:
        sizes = rng.sizes(n)
        if sizes is not None:
            return moved([make(size, rng) for size in sizes][rng.rank], like.device)
    return moved(_own(make, n, rng), like.device)


def beta(
    n: int,
    *,
    a: float,
    b: float,
    like: Tensor,
    rng: torch.Generator | None = None,
    common: bool = False,
) -> Tensor:
    """Draw from Beta(a, b), in double precision; on the CPU where the device has no Gamma (MPS).

    A ratio of two Gamma draws, each boosted from shape a + 1 to a and compared in logarithms: the
    draws themselves underflow for small shapes, where a plain ratio would call 0/0 a half.

    Args:
        n: How many.
        a: First shape parameter, positive.
        b: Second shape parameter, positive.
        like: A tensor whose device the draw takes.
        rng: Where the draw comes from; torch's global generator when not given.
        common: Whether the draw is the whole batch's, the same in every process.

    Returns:
        Shape (n,), values in [0, 1].
    """
    device = _device(like, rng)

    def make(n: int, source: torch.Generator | None) -> Tensor:
        if device.type == "mps":
            return _beta(n, a, b, _cpu_generator(device, source), torch.device("cpu"))
        return _beta(n, a, b, source, device)

    return moved(_own(make, n, rng, common=common), like.device)


def _beta(n: int, a: float, b: float, rng: torch.Generator | None, device: torch.device) -> Tensor:
    # Below 1e-300 a draw is a coin, and its logarithms would overflow to infinity - infinity.
    shape = torch.tensor([max(a, 1e-300), max(b, 1e-300)], dtype=torch.float64)
    shape = moved(shape, device).expand(n, 2)
    # torch.distributions.Gamma draws by this very function but takes no generator.
    boosted = torch._standard_gamma(shape + 1, generator=rng).log()
    boost = torch.rand(n, 2, generator=rng, device=device, dtype=torch.float64).log()
    logs = boosted + boost / shape
    return torch.sigmoid(logs[:, 0] - logs[:, 1])


def _cpu_generator(device: torch.device, rng: torch.Generator | None) -> torch.Generator:
    """Make a generator on the CPU, its seed drawn from the device's."""
    seed = int(torch.randint(2**31 - 1, (1,), generator=rng, device=device))
    return torch.Generator().manual_seed(seed)
