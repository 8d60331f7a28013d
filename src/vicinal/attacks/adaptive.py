r"""The steps of APGD (Croce and Hein 2020, algorithm 1): momentum, and a step that halves itself.

.. math:: z = P(x_k + \eta\, d(\nabla)), \qquad
          x_{k+1} = P(x_k + \alpha (z - x_k) + (1 - \alpha)(x_k - x_{k-1}))

with P the projection into the ball and [0, 1], and :math:`\alpha = 0.75` after the first step. The
step begins at 2 eps. At a checkpoint it is halved, and the image goes back to its best point, if
the loss rose in too few of the steps since the last one, or if its maximum has not risen since then
and the step was not halved then either.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vicinal._typing import Norm
from vicinal.attacks.survivors import pick
from vicinal.maths.balls import per_channel, project, steepest

__all__ = ["AdaptiveWalk", "checkpoints"]

_MOMENTUM = 0.75
_FIRST = 2.0


def checkpoints(steps: int) -> dict[int, int]:
    """Say after how many steps the step size is looked at, and how many steps each look covers.

    The first look covers 22 % of the steps, every further one 3 % of the steps fewer, none less
    than 6 %; parts of a step are dropped, as in the authors' code.

    Args:
        steps: Steps of the whole search.

    Returns:
        Window lengths by the step that ends them.

    Example:
        >>> list(checkpoints(100))
        [22, 41, 57, 70, 80, 87, 93, 99]
        >>> checkpoints(10)
        {2: 2, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1, 9: 1, 10: 1}
    """
    window, less, least = (max(share * steps // 100, 1) for share in (22, 3, 6))
    found: dict[int, int] = {}
    at = window
    while at <= steps:
        found[at] = window
        window = max(window - less, least)
        at += window
    return found


class _Point(NamedTuple):
    """Images, the gradients there and the losses."""

    x: Tensor
    gradient: Tensor
    height: Tensor


class AdaptiveWalk:
    """Takes an iterate and its gradient to the next iterate. It lives for one run of an attack.

    It is told every iterate with its logits by `visit`, and asked for the next by `step`.

    Args:
        center: The images, shape (N, C, H, W).
        eps: Radius in pixel units, or one per channel (C,) for linf.
        norm: "linf" or "l2".
        steps: Steps of the whole run, by which checkpoints are set.
        rho: The share of steps since the last checkpoint that must raise the loss.
    """

    def __init__(
        self, center: Tensor, *, eps: float | Tensor, norm: Norm, steps: int, rho: float
    ) -> None:
        self._center, self._before, self._norm, self._rho = center, center, norm, rho
        self._radius = per_channel(eps, center)
        self._windows, self._taken = checkpoints(steps), 0
        n = center.shape[0]
        self._scale = center.new_full((n, 1, 1, 1), _FIRST)
        self._halved = torch.ones(n, dtype=torch.bool, device=center.device)

    def visit(self, height: Tensor) -> None:
        """Take in the losses of the iterate from which the next step is taken.

        Args:
            height: Losses, shape (N,).
        """
        self._height = height

    def step(self, at: Tensor, gradient: Tensor) -> Tensor:
        """Take one step.

        Args:
            at: Iterates, shape (N, C, H, W), whose losses `visit` was told.
            gradient: Their gradients, same shape.

        Returns:
            The next iterates.
        """
        here = self._look_back(_Point(at, gradient, self._height))
        first = self._taken == 0
        before = here.x if first else self._before
        pace = 1.0 if first else _MOMENTUM
        stride = self._scale * self._radius
        moved = self._inside(here.x + stride * steepest(here.gradient, norm=self._norm))
        moved = here.x + pace * (moved - here.x) + (1 - pace) * (here.x - before)
        self._before, self._taken = here.x, self._taken + 1
        return self._inside(moved)

    def _inside(self, x: Tensor) -> Tensor:
        return project(x, self._center, eps=self._radius, norm=self._norm)

    def _look_back(self, here: _Point) -> _Point:
        """Remember the best point; at a checkpoint halve the step of those that do not get on."""
        if self._taken == 0:
            self._best, self._best_then, self._last = here, here.height, here.height
            self._rises = torch.zeros_like(here.height)
            return here
        self._rises = self._rises + (here.height > self._last)
        self._last = here.height
        self._best = _where(here.height > self._best.height, here, self._best)
        window = self._windows.get(self._taken)
        return here if window is None else self._checked(here, window)

    def _checked(self, here: _Point, window: int) -> _Point:
        stuck = ~self._halved & (self._best_then >= self._best.height)
        # deviates: at most, not less than — at equality the authors' code halves too.
        self._halved = stuck | (self._rises <= self._rho * window)
        self._scale = torch.where(self._halved.view(-1, 1, 1, 1), self._scale / 2, self._scale)
        self._best_then, self._rises = self._best.height, torch.zeros_like(self._rises)
        return _where(self._halved, self._best, here)

    def keep(self, stay: Tensor | None) -> None:
        """Go on with fewer images.

        Args:
            stay: What `Survivors.leave` returned.
        """
        (
            self._center,
            self._scale,
            self._halved,
            self._before,
            self._best_then,
            self._last,
            self._rises,
        ) = pick(
            stay,
            self._center,
            self._scale,
            self._halved,
            self._before,
            self._best_then,
            self._last,
            self._rises,
        )
        self._best = _Point(*pick(stay, *self._best))


def _where(these: Tensor, new: _Point, old: _Point) -> _Point:
    wide = these.view(-1, 1, 1, 1)
    return _Point(
        torch.where(wide, new.x, old.x),
        torch.where(wide, new.gradient, old.gradient),
        torch.where(these, new.height, old.height),
    )
