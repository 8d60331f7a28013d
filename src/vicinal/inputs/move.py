"""What an input move is, and the one that does nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from vicinal._typing import Model, Passes
from vicinal.maths.mixing import Neighbour

__all__ = ["InputMove", "Keep", "LookingMove"]


@runtime_checkable
class InputMove(Protocol):
    """Moves images: (model, x, y) -> x'."""

    @property
    def passes(self) -> Passes:
        """Model passes that the move itself makes."""
        ...

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Neighbour:
        """Move the images.

        Args:
            model: The model; left as it was.
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            y: Classes (N,) or distributions (N, K).
            rng: Where draws come from; torch's global generator when not given.

        Returns:
            The moved images in [0, 1], and the mixture behind them where there is one.
        """
        ...


@runtime_checkable
class LookingMove(InputMove, Protocol):
    """An input move that may look at the clean logits, and takes them from whoever has them.

    So one clean forward serves the move's target and the label (BAT). A move that never looks is an
    `InputMove` and no more.
    """

    @property
    def looks(self) -> bool:
        """Whether it makes one clean forward pass for itself, which a given `z` spares."""
        ...

    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Tensor,
        *,
        rng: torch.Generator | None = None,
        z: Tensor | None = None,
    ) -> Neighbour:
        """Move the images.

        Args:
            model: The model; left as it was.
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            y: Classes (N,) or distributions (N, K).
            rng: Where draws come from; torch's global generator when not given.
            z: Logits of the clean images in eval mode, shape (N, K), detached, if they are known.

        Returns:
            The moved images in [0, 1], and the mixture behind them where there is one.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Leave the image alone.

    Example:
        >>> x = torch.rand(2, 1, 8, 8)
        >>> bool((Keep()(torch.nn.Identity(), x, torch.arange(2)).x == x).all())
        True
    """

    @property
    def passes(self) -> Passes:
        """None."""
        return Passes(0, 0)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Neighbour:
        """Return the images as they are."""
        del model, y, rng
        return Neighbour(x)
