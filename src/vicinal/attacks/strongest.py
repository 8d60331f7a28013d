"""Keeping, for every image, the strongest iterate seen so far."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vicinal._typing import LossOfLogits
from vicinal.maths.simplex import true_class

__all__ = ["Iterate", "Strongest", "stronger"]


class Iterate(NamedTuple):
    """Images with what the model makes of them: rank 0 is right, 1 wrong, 2 the class aimed at."""

    x: Tensor
    rank: Tensor
    height: Tensor


class Strongest:
    """A running maximum over iterates: by rank, then by loss, then the later one.

    The later one wins a tie because the loss of a confident model underflows to exactly 0 while its
    gradient does not: the first iterate, often the clean image, would never be left.

    It lives for one call of an attack, and nothing in it waits for the device.

    Args:
        y: Classes (N,) or distributions (N, K).
        t: Target classes (N,), or None.
        loss: What the attack climbs, logits (N, K) to losses (N,).
    """

    def __init__(self, y: Tensor, t: Tensor | None, loss: LossOfLogits) -> None:
        self._class, self._target = true_class(y), t
        self._loss = loss
        self._best: Iterate | None = None

    def visit(self, x: Tensor, z: Tensor) -> None:
        """Take in one iterate with its logits.

        Args:
            x: Images, shape (N, C, H, W).
            z: Their logits, shape (N, K).
        """
        with torch.no_grad():
            height = self._loss(z)
        # The largest of no numbers is one of them: that is no error of the model's.
        lost, predicted = height.isnan(), z.argmax(dim=1)
        rank = (predicted != self._class).int()
        if self._target is not None:
            rank += predicted == self._target
        new = Iterate(x, rank.masked_fill(lost, 0), height.masked_fill(lost, -torch.inf))
        self._best = new if self._best is None else stronger(self._best, new)

    def pick(self, stay: Tensor, y: Tensor, t: Tensor | None, loss: LossOfLogits) -> Strongest:
        """Go on with fewer images, what was found for them kept.

        Args:
            stay: The rows that stay.
            y: Their classes or distributions.
            t: Their targets, or None.
            loss: Their loss.

        Returns:
            Another maximum; this one is left as it is.
        """
        fewer = Strongest(y, t, loss)
        if self._best is not None:
            fewer._best = Iterate(*(part.index_select(0, stay) for part in self._best))
        return fewer

    def replace(self, found: Iterate) -> None:
        """Go on from what was judged otherwise: an error that was none hides no later one.

        Args:
            found: What is the strongest now, image by image.
        """
        self._best = found

    def found(self) -> Iterate:
        """Give the strongest iterate of each image.

        Returns:
            Images, ranks and losses.

        Raises:
            RuntimeError: If nothing was visited.
        """
        if self._best is None:
            raise RuntimeError("no iterate was visited")
        return self._best


def stronger(old: Iterate, new: Iterate) -> Iterate:
    """Take the stronger of two iterates, image by image.

    Args:
        old: The earlier ones.
        new: The later ones, which win a tie.

    Returns:
        The stronger ones.
    """
    better = (new.rank > old.rank) | ((new.rank == old.rank) & (new.height >= old.height))
    return Iterate(
        torch.where(better.view(-1, 1, 1, 1), new.x, old.x),
        torch.where(better, new.rank, old.rank),
        torch.where(better, new.height, old.height),
    )
