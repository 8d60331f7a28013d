r"""The nearest point of a hyperplane within the pixel range: the projection inside FAB.

.. math:: \min_d \|d\|_p \quad \text{s.t.} \quad \langle w, d \rangle = r, \quad 0 \le x + d \le 1

Every pixel moves the way its weight says: for linf all at one pace, for l2 at the pace of the
weight, and each stops where the range ends. How far they go solves one piecewise linear equation,
exactly: after a sort (Croce and Hein 2020, section 2.2), or on the processor by Newton's method,
many times as fast. Not here: l1.
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
    weight = flat.abs()
    # Scaled by its largest entry first: squares of tiny gradients would underflow to zero.
    largest = weight.amax(dim=1, keepdim=True)
    one = torch.ones_like(largest)
    scale = torch.where(largest > 0, largest, one)
    weight, goal = weight / scale, widen(rise).unsqueeze(1) / scale
    way = torch.where(goal < 0, -one, one) * flat.sign()
    # Up to 1 or down to 0; none where the weight is zero.
    room = way.clamp_min(0) - way * widen(x).flatten(1)
    pace = weight if norm == "l2" else way.abs()
    # Newton's method looks whether it is done, for which a device would have to be waited for.
    solve = _by_newton if x.device.type == "cpu" else _by_sort
    level = solve(weight, pace, room, goal.abs())
    return (way * torch.minimum(level * pace, room)).view_as(x).to(x.dtype)


def _by_newton(weight: Tensor, pace: Tensor, room: Tensor, goal: Tensor) -> Tensor:
    """Solve sum_i weight_i min(level * pace_i, room_i) = goal for the level of each row.

    The sum is concave in the level, so its tangents reach the goal before it does: every round is
    at the next corner at least, and halves the gap or the slope.

    Returns:
        Levels, shape (N, 1).
    """
    full, steep, top = weight * room, weight * pace, torch.finfo(goal.dtype).max
    level = before = torch.zeros_like(goal)
    slope = steep.sum(dim=1, keepdim=True)
    while True:
        ahead = torch.maximum(level, (goal - before) / slope).clamp_max(top)
        # Out of reach: every pixel is at its end already.
        level = torch.where(slope > 0, ahead, level)
        # In place, a comparison makes numbers, which is faster than what makes truth values.
        rising = (level * pace).lt_(room)
        last, slope = slope, (steep * rising).sum(dim=1, keepdim=True)
        if torch.equal(last, slope):
            return level
        before = (full * (1 - rising)).sum(dim=1, keepdim=True)


def _by_sort(weight: Tensor, pace: Tensor, room: Tensor, goal: Tensor) -> Tensor:
    """Solve the same equation without a look at any number."""
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
