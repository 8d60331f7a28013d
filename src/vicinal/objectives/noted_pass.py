"""A pass through a frozen model, noted so that it can be given again without the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["NotedPass"]


@dataclass
class NotedPass:
    """What came out of a pass, and what gradient came back to its images.

    Args:
        z: The logits, shape (N, K), detached; set when they are known.
        gradient: The gradient with respect to the images, (N, C, H, W), if one was taken.
    """

    z: Tensor = field(default_factory=lambda: torch.empty(0))
    gradient: Tensor | None = None

    def listen(self, x: Tensor) -> Tensor:
        """Note the gradient that will come back to the images.

        Args:
            x: The images, shape (N, C, H, W).

        Returns:
            The images, to be handed to the model.
        """
        heard: Tensor = _Listen.apply(x, self)  # type: ignore[no-untyped-call]
        return heard

    def repeat(self, x: Tensor) -> Tensor:
        """Give the pass again.

        Args:
            x: The same images, shape (N, C, H, W).

        Returns:
            The logits; going back through them gives the gradient that was noted.
        """
        z: Tensor = _Repeat.apply(x, self)  # type: ignore[no-untyped-call]
        return z


class _Context(Protocol):
    noted: NotedPass


class _Listen(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, x: Tensor, noted: NotedPass) -> Tensor:
        ctx.noted = noted
        return x.view_as(x)

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor, None]:
        ctx.noted.gradient = gradient
        return gradient, None


class _Repeat(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, x: Tensor, noted: NotedPass) -> Tensor:
        del x
        ctx.noted = noted
        return noted.z.clone()

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, None]:
        del gradient
        return ctx.noted.gradient, None
