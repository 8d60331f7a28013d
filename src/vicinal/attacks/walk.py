"""Steps in a ball around each image, with or without momentum; images may leave."""

from __future__ import annotations

import torch
from torch import Tensor

from vicinal._typing import Norm
from vicinal.attacks.survivors import pick
from vicinal.maths.balls import per_channel, project, steepest

__all__ = ["BallWalk", "l1_normalised"]


class BallWalk:
    r"""Takes an iterate and its gradient to the next iterate. It lives for one run of an attack.

    .. math:: g \leftarrow \mu\, g + \nabla / \|\nabla\|_1, \qquad
              x \leftarrow \Pi_{B(x_0, \epsilon) \cap [0, 1]}(x + \alpha\, d(g))

    Args:
        center: The images, shape (N, C, H, W).
        eps: Radius in pixel units, or one per channel (C,) for linf; infinity for no ball.
        step_size: Step in pixel units, or one per channel (C,) for linf.
        norm: "linf" or "l2".
        momentum: The decay mu; None steps along the gradient itself.
    """

    def __init__(
        self,
        center: Tensor,
        *,
        eps: float | Tensor,
        step_size: float | Tensor,
        norm: Norm,
        momentum: float | None = None,
    ) -> None:
        self._center, self._norm = center, norm
        self._radius, self._stride = per_channel(eps, center), per_channel(step_size, center)
        self._momentum = momentum
        self._carried: Tensor | None = None

    def step(self, at: Tensor, gradient: Tensor) -> Tensor:
        """Take one step.

        Args:
            at: Iterates, shape (N, C, H, W).
            gradient: Their gradients, same shape.

        Returns:
            The next iterates.
        """
        moved = at + self._stride * steepest(self._direction(gradient), norm=self._norm)
        return project(moved, self._center, eps=self._radius, norm=self._norm)

    def _direction(self, gradient: Tensor) -> Tensor:
        if self._momentum is None:
            return gradient
        fresh = l1_normalised(gradient)
        old = self._carried
        self._carried = fresh if old is None else self._momentum * old + fresh
        return self._carried

    def keep(self, stay: Tensor | None) -> None:
        """Go on with fewer images.

        Args:
            stay: What `Survivors.leave` returned.
        """
        (self._center,) = pick(stay, self._center)
        if self._carried is not None:
            (self._carried,) = pick(stay, self._carried)


def l1_normalised(gradient: Tensor) -> Tensor:
    """Divide every image's gradient by the sum of its absolute values.

    Args:
        gradient: Gradients, shape (N, C, H, W).

    Returns:
        The same shape. Zero stays zero and a NaN counts as zero, so that momentum survives a step
        without a gradient.

    Example:
        >>> l1_normalised(torch.tensor([1.0, -3.0, 0.0, 0.0]).view(2, 1, 1, 2)).flatten().tolist()
        [0.25, -0.75, 0.0, 0.0]
    """
    gradient = torch.nan_to_num(gradient)
    # Scaled by its largest entry first: the sum of tiny gradients would underflow to zero.
    largest = gradient.abs().flatten(1).amax(dim=1).view(-1, 1, 1, 1)
    scaled = gradient / torch.where(largest > 0, largest, torch.ones_like(largest))
    size = scaled.abs().flatten(1).sum(dim=1).view(-1, 1, 1, 1)
    return scaled / torch.where(size > 0, size, torch.ones_like(size))
