"""Keeping, for every image, the smallest perturbation that fools the model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vicinal._checks import InputError, budget, check_finite, choice
from vicinal._typing import Norm
from vicinal.maths.balls import distance, project
from vicinal.maths.losses import margin

__all__ = ["Nearest", "check_radius"]


def check_radius(eps: float | Tensor, norm: str, *, unbounded: bool) -> None:
    """Check the one radius of a ball.

    Args:
        eps: The radius.
        norm: "linf" or "l2".
        unbounded: Whether infinity is allowed.

    Raises:
        InputError: If it is no number, negative, above 1 for linf, or the norm is unknown.
    """
    choice("norm", norm, ("linf", "l2"))
    if isinstance(eps, Tensor):
        raise InputError(
            f"`eps` must be one number for this attack; got a tensor of shape {tuple(eps.shape)}. "
            "PGD takes one radius per channel."
        )
    budget("eps", eps, norm=norm, unbounded=unbounded)


class Nearest:
    """A running minimum over fooling iterates; until there is one, a maximum of the margin.

    An image is done when it is fooled within the radius (without a radius: when the clean image is
    wrong already), and nothing replaces it then: what is found does not depend on when it leaves.
    It lives for one call of an attack, and nothing in it waits for the device.

    Args:
        x: The clean images, shape (N, C, H, W).
        own: Their classes, shape (N,).
        eps: The radius within which fooling counts; infinity for any.
        norm: "linf" or "l2".
    """

    def __init__(self, x: Tensor, own: Tensor, *, eps: float, norm: Norm) -> None:
        self._center, self._own, self._eps, self._norm = x, own, eps, norm
        # A projected point may lie outside by the rounding of its pixels.
        rounding = min(torch.finfo(x.dtype).eps, torch.finfo(torch.float32).eps)
        self._limit = eps + rounding * (2 + 4 * eps) if 0 < eps < math.inf else 0.0
        self.x = x.clone()
        self.norms = torch.full((x.shape[0],), math.inf, dtype=x.dtype, device=x.device)
        self._heights: Tensor | None = None
        self._unheard = torch.zeros_like(own, dtype=torch.bool)

    @property
    def done(self) -> Tensor:
        """Which images need no further search, shape (N,), bool."""
        return self.norms <= self._limit

    @property
    def found(self) -> Tensor:
        """Which images have been fooled, at any distance, shape (N,), bool."""
        return self.norms.isfinite()

    def visit(
        self, at: Tensor, z: Tensor, rows: Tensor, *, settled: Tensor | None = None
    ) -> Tensor:
        """Take in one iterate of some of the images.

        Args:
            at: Iterates, shape (n, C, H, W), in [0, 1].
            z: Their logits, shape (n, K).
            rows: Where they stand in the batch, shape (n,).
            settled: Which of the images, once done, are so for good, shape (n,), bool; another is
                replaced where it is fooled by a greater margin within the radius. None for all.

        Returns:
            Which of the iterates fool the model, shape (n,), bool; logits that are no numbers do
            not.
        """
        own, height = self._own[rows], margin(z, self._own[rows])
        if self._heights is None:
            self._heights = torch.full_like(self.norms, -math.inf, dtype=height.dtype)
        fooled = (z.argmax(dim=1) != own) & ~height.isnan()
        self._unheard[rows] |= height.isnan()
        size = distance(at, self._center[rows], norm=self._norm)
        nearer = fooled & (size < self.norms[rows])
        higher = ~fooled & ~self.found[rows] & (height >= self._heights[rows])
        take, done = nearer | higher, self.done[rows]
        if settled is None:
            take &= ~done
        else:
            surer = fooled & (size <= self._limit) & (height > self._heights[rows])
            take = torch.where(done, surer & ~settled, take)
        self.x[rows] = torch.where(take.view(-1, 1, 1, 1), at, self.x[rows])
        self._heights[rows] = torch.where(take, height, self._heights[rows])
        self.norms[rows] = torch.where(take & fooled, size, self.norms[rows])
        return fooled

    def check_seen(self) -> None:
        """Refuse to call an image robust of which the model said what is no number.

        The device is waited for.

        Raises:
            NotFinite: If there is such an image.
        """
        standing = ~(self.found if self._eps == math.inf else self.done)
        check_finite(int((self._unheard & standing).sum()), self._own.shape[0])

    def recheck(self, rows: Tensor, z: Tensor) -> Tensor:
        """Forget those of what was found that do not fool the model after all.

        Args:
            rows: Where the images stand in the batch, shape (n,).
            z: What the model itself says of what was found for them, shape (n, K).

        Returns:
            Which of them fool it, shape (n,), bool.
        """
        fooled, height = z.argmax(dim=1) != self._own[rows], margin(z, self._own[rows])
        self.norms[rows] = self.norms[rows].where(fooled, math.inf)
        if self._heights is not None:
            self._heights[rows] = self._heights[rows].where(fooled, height.to(self._heights.dtype))
        return fooled

    def within(self) -> Tensor:
        """Give what was found, brought back into the ball where it lies outside.

        Returns:
            Images, shape (N, C, H, W): the smallest that fools, else the one of greatest margin.
        """
        near = project(self.x, self._center, eps=self._eps, norm=self._norm)
        return torch.where(self.done.view(-1, 1, 1, 1), self.x, near)
