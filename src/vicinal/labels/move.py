"""What a label move is, and the one that does nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from torch import Tensor

from vicinal.maths.mixing import Mix

__all__ = ["POINTS", "At", "Keep", "LabelMove", "Point"]

Point: TypeAlias = Literal["neighbour", "clean"]
"""Where a label move looks: the loss's own forward, detached, or one eval-mode clean forward."""

POINTS: tuple[Point, ...] = ("neighbour", "clean")

At: TypeAlias = Point | None


@runtime_checkable
class LabelMove(Protocol):
    """Moves label distributions: (q, z) -> q~."""

    @property
    def at(self) -> At:
        """Whose logits the move looks at: the neighbour's, the clean image's, or nobody's."""
        ...

    def __call__(self, q: Tensor, z: Tensor, *, mix: Mix | None = None) -> Tensor:
        """Move the labels.

        Args:
            q: Distributions, shape (N, K); not modified.
            z: Logits where `at` says, shape (N, K), detached.
            mix: The mixture that moved the images, where one did.

        Returns:
            Distributions, shape (N, K).
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Leave the label alone: e_y, as ERM and adversarial training do.

    Example:
        >>> import torch
        >>> Keep()(torch.tensor([[0.0, 1.0]]), torch.zeros(1, 2))
        tensor([[0., 1.]])
    """

    at: ClassVar[At] = None

    def __call__(self, q: Tensor, z: Tensor, *, mix: Mix | None = None) -> Tensor:
        """Return the labels as they are."""
        del z, mix
        return q
