r"""Entropic optimal transport between two batches of one size or two, by Sinkhorn's iteration.

.. math:: \mathrm{OT}(C) = \langle P, C \rangle, \quad
          P = \arg\min_{P \mathbf 1 = \mu,\, P^\top \mathbf 1 = \nu}
          \langle P, C \rangle - \rho\, H(P)

with uniform marginals mu and nu (Cuturi 2013). Everything is differentiable through the unrolled
iterations, as in the code of feature scattering (Zhang and Wang 2019). Not here: the step along
that gradient, which is `inputs.FeatureScatter`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from vicinal._checks import InputError, count, number
from vicinal.maths.losses import widen

__all__ = ["TRANSPORTS", "cosine_cost", "sinkhorn", "sinkhorn_of_the_authors"]


def cosine_cost(z: Tensor, other: Tensor) -> Tensor:
    r"""Compute the cost of moving one vector to another, :math:`\max(0, 1 - \cos(z_i, z'_j))`.

    A zero vector is at distance 1 from all. Finite, gradient included, for logits of any size;
    never rounded by autocast.

    Args:
        z: Logits, shape (N, K).
        other: Logits, shape (M, K).

    Returns:
        Costs in [0, 2], shape (N, M), float32 or wider.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [0.0, 5.0]])
        >>> cosine_cost(z, z)
        tensor([[0., 1.],
                [1., 0.]])
    """
    with torch.autocast(z.device.type, enabled=False):
        cosine = _unit(widen(z)) @ _unit(widen(other)).T
        return (1 - cosine).clamp_min(0.0)


def _unit(z: Tensor) -> Tensor:
    """Scale every row to length 1; a zero row stays zero."""
    # By its largest entry first, so that no square overflows and no other length is below 1.
    largest = z.detach().abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(z.dtype).tiny)
    z = z / largest
    length: Tensor = torch.linalg.vector_norm(z, dim=1, keepdim=True).clamp_min(1.0)
    return z / length


def sinkhorn(cost: Tensor, *, reg: float = 0.01, iterations: int = 25) -> Tensor:
    r"""Find the entropic transport plan between uniform marginals, in the log domain.

    The columns of the plan have their marginals exactly, the rows as the iteration converges; more
    iterations are needed for a smaller `reg`. Nothing overflows, and nothing waits for the device.

    Args:
        cost: Costs, shape (N, M).
        reg: Weight rho of the entropy, in the unit of the costs, positive. As it falls the plan
            tends to that of the linear program.
        iterations: How many pairs of updates, at least 1.

    Returns:
        The plan, shape (N, M), non-negative, sum 1, float32 or wider.

    Raises:
        InputError: If an argument is off, or the costs are no matrix.

    Example:
        >>> sinkhorn(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).round(decimals=4)
        tensor([[0.5000, 0.0000],
                [0.0000, 0.5000]])

    Cost: 2 `iterations` passes over the matrix, none through a model.
    """
    number("reg", reg, low=0.0, open_low=True, open_high=True)
    count("iterations", iterations)
    score = -widen(_matrix(cost)) / reg
    rows, columns = (-math.log(n) for n in score.shape)
    v = torch.zeros_like(score[0])
    for _ in range(iterations):
        u = rows - torch.logsumexp(score + v, dim=1)
        v = columns - torch.logsumexp(score + u.unsqueeze(1), dim=0)
    return torch.exp(score + u.unsqueeze(1) + v)


def sinkhorn_of_the_authors(cost: Tensor, *, reg: float = 0.01, iterations: int = 100) -> Tensor:
    r"""Find the plan as the code of Zhang and Wang (2019) does: early stop, shifted logarithm.

    It stops once :math:`\sum_i |u_i - u_i^{prev}| < 0.1`, and its logarithm of a sum is
    log(sum exp + 1e-6) without a shift by the maximum: rows far from everything move by no more
    than a step at a time, and marginals are off by the early stop. The host waits for the device
    at every iteration.

    Args:
        cost: Costs, shape (N, M), in [0, 2].
        reg: Weight of the entropy, positive.
        iterations: The most pairs of updates, at least 1.

    Returns:
        The plan, shape (N, M), non-negative, float32 or wider.

    Raises:
        InputError: If an argument is off, or the costs are no matrix.

    Example:
        >>> sinkhorn_of_the_authors(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).round(decimals=4)
        tensor([[0.5000, 0.0000],
                [0.0000, 0.5000]])
    """
    number("reg", reg, low=0.0, open_low=True, open_high=True)
    count("iterations", iterations)
    cost = widen(_matrix(cost))
    rows, columns = (-math.log(n) for n in cost.shape)
    u, v = torch.zeros_like(cost[:, 0]), torch.zeros_like(cost[0])
    for _ in range(iterations):
        before = u
        u = u + reg * (rows - _log_sum(cost, u, v, reg=reg, dim=1))
        v = v + reg * (columns - _log_sum(cost, u, v, reg=reg, dim=0))
        if float((u - before).detach().abs().sum()) < 0.1:
            break
    return torch.exp((u.unsqueeze(1) + v - cost) / reg)


def _log_sum(cost: Tensor, u: Tensor, v: Tensor, *, reg: float, dim: int) -> Tensor:
    return (torch.exp((u.unsqueeze(1) + v - cost) / reg).sum(dim=dim) + 1e-6).log()


def _matrix(cost: Tensor) -> Tensor:
    if not isinstance(cost, Tensor) or cost.ndim != 2 or 0 in cost.shape:
        got = tuple(cost.shape) if isinstance(cost, Tensor) else type(cost).__name__
        raise InputError(f"`cost` must be a matrix (N, M) of costs; got {got}.")
    return cost


TRANSPORTS: dict[str, Callable[[Tensor], Tensor]] = {
    "sinkhorn": sinkhorn,
    "paper": sinkhorn_of_the_authors,
}
"""Costs (N, M) to plans, by the name that `inputs.FeatureScatter` takes."""
