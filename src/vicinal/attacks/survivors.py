"""The images of a batch that an attack still works on: the others, fooled already, have left.

Whether an image may leave is the attack's to say: where only its verdict counts, a fooled image
costs nothing any more; where its last iterate counts, it stays. Leaving is the one moment at which
an accelerator is waited for, so it happens every few steps. What the model spends is counted here
image by image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vicinal._typing import Passes

__all__ = ["Survivors", "pick"]


class Survivors:
    """Rows of a batch; some leave, none comes back. It lives for one call of an attack.

    Args:
        n: How many images the batch has.
        device: Where they lie.
        every: Images leave every so many steps; None for never.

    Example:
        >>> survivors = Survivors(4, device="cpu", every=5)
        >>> x = torch.tensor([0.0, 1.0, 2.0, 3.0])
        >>> survivors.spend(forward=1)
        >>> stay = survivors.leave(torch.tensor([False, True, False, False]))
        >>> (x,) = pick(stay, x)
        >>> survivors.rows.tolist(), x.tolist()
        ([0, 2, 3], [0.0, 2.0, 3.0])
        >>> survivors.spend(forward=1)
        >>> survivors.spent
        Passes(forward=7, backward=0)
    """

    def __init__(self, n: int, *, device: torch.device | str, every: int | None) -> None:
        self.rows = torch.arange(n, device=device)
        self._every = every
        self._forward = self._backward = 0

    def __len__(self) -> int:
        """Tell how many images are left."""
        return self.rows.shape[0]

    def due(self, step: int) -> bool:
        """Tell whether images may leave after so many steps.

        Args:
            step: Steps taken.

        Returns:
            True every `every` steps.
        """
        return self._every is not None and step % self._every == 0

    def leave(self, fooled: Tensor) -> Tensor | None:
        """Let images go. The device is waited for.

        Args:
            fooled: Those that go, shape (len(self),), bool.

        Returns:
            Where the others stand among those that were left before, for `pick`; None if all stay.
        """
        stay = (~fooled).nonzero().squeeze(1)
        if stay.shape[0] == len(self):
            return None
        self.rows = self.rows.index_select(0, stay)
        return stay

    def put(self, whole: Tensor, part: Tensor) -> Tensor:
        """Write what was found for the images that are left where they stand in the batch.

        Args:
            whole: One row for each image of the batch; written in place.
            part: One row for each image that is left.

        Returns:
            The whole.
        """
        return whole.index_copy_(0, self.rows, part)

    def spend(self, *, forward: int = 0, backward: int = 0, images: int | None = None) -> None:
        """Count passes of the images that are left.

        Args:
            forward: Forward passes.
            backward: Backward passes.
            images: How many images made them; by default all that are left.
        """
        count = len(self) if images is None else images
        self._forward += forward * count
        self._backward += backward * count

    @property
    def spent(self) -> Passes:
        """Passes so far, each image counted for itself and all added up."""
        return Passes(self._forward, self._backward)


def pick(stay: Tensor | None, *parts: Tensor) -> tuple[Tensor, ...]:
    """Take the rows of those that stay from everything that has one row per image.

    Args:
        stay: What `Survivors.leave` returned.
        parts: Tensors with one row per image.

    Returns:
        The tensors, shorter; the same objects where all stay.
    """
    return parts if stay is None else tuple(part.index_select(0, stay) for part in parts)
