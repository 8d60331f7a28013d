r"""The nearest point of a hyperplane within the pixel range: the projection inside FAB.

.. math:: \min_d \|d\|_p \quad \text{s.t.} \quad \langle w, d \rangle = r, \quad 0 \le x + d \le 1

Every pixel moves the way its weight says: for linf all at one pace, for l2 at the pace of the
weight, and each stops where the range ends. How far they go solves one piecewise linear equation,
exactly, after a sort (Croce and Hein 2020, section 2.2; not here: l1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from vicinal._typing import Norm
from vicinal.maths.losses import widen

__all__ = ["reach_hyperplane"]


def reach_hyperplane(x: Tensor, w: Tensor, rise: Tensor, *, norm: Norm = "linf") -> Tensor:
    """Find the smallest change of every image that changes <w, x> by `rise`.

    Args:
        x: Images, shape (N, C, H, W), in [0, 1].
        w: Normals of the hyperplanes, same shape; a NaN counts as zero.
        rise: How much <w, x> has to change, shape (N,), of either sign.
        norm: "linf" or "l2", the size that is least.

    Returns:
        Changes, shape (N, C, H, W), dtype of x. Where no point of the range lies on the hyperplane,
        the change that comes nearest to it, every pixel at the end of its range; none where the
        normal is zero.

    Example:
        >>> x, w = torch.full((1, 2, 1, 1), 0.5), torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
        >>> reach_hyperplane(x, w, torch.tensor([0.75])).flatten().tolist()
        [0.25, 0.25]
        >>> reach_hyperplane(x, w, torch.tensor([0.75]), norm="l2").flatten()
        tensor([0.1500, 0.3000])
    """
    flat = widen(torch.nan_to_num(w)).flatten(1)
    # Scaled by its largest entry first: squares of tiny gradients would underflow to zero.
    largest = flat.abs().amax(dim=1, keepdim=True)
    scale = torch.where(largest > 0, largest, torch.ones_like(largest))
    flat, goal = flat / scale, widen(rise).unsqueeze(1) / scale
    way = torch.where(goal < 0, -flat.sign(), flat.sign())
    at = widen(x).flatten(1)
    room = torch.where(way > 0, 1 - at, at) * way.abs()
    pace = flat.abs() if norm == "l2" else way.abs()
    level = _level(flat.abs(), pace, room, goal.abs())
    return (way * torch.minimum(level * pace, room)).view_as(x).to(x.dtype)


def _level(weight: Tensor, pace: Tensor, room: Tensor, goal: Tensor) -> Tensor:
    """Solve sum_i weight_i min(level * pace_i, room_i) = goal for the level of each row."""
    ends, order = (room / torch.where(pace > 0, pace, torch.ones_like(pace))).sort(dim=1)
    full = (weight * room).gather(1, order)
    slope = (weight * pace).gather(1, order)
    # At the k-th end those before it are full, and it and all behind still rise.
    before = full.cumsum(dim=1) - full
    rising = slope.flip(1).cumsum(dim=1).flip(1)
    heights = (before + ends * rising).cummax(dim=1).values
    k = torch.searchsorted(heights, goal).clamp_max(heights.shape[1] - 1)
    rest = (goal - before.gather(1, k)).clamp_min(0.0)
    slope = rising.gather(1, k)
    level = rest / torch.where(slope > 0, slope, torch.ones_like(slope))
    # Out of reach, rounding apart: every pixel goes to its end.
    return torch.where(goal > heights[:, -1:], ends[:, -1:], level)
