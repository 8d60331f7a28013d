"""Keeping, for every image, the strongest iterate seen so far."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vicinal._typing import LossOfLogits
from vicinal.maths.simplex import true_class

__all__ = ["Iterate", "Strongest"]


class Iterate(NamedTuple):
    """Images with what the model makes of them."""

    x: Tensor
    wrong: Tensor
    predicted: Tensor
    height: Tensor


class Strongest:
    """A running maximum over iterates: a misclassified one beats the others, then the higher loss.

    It lives for one call of an attack, and nothing in it waits for the device.

    Args:
        y: Classes (N,) or distributions (N, K).
        loss: What the attack climbs, logits (N, K) to losses (N,).
    """

    def __init__(self, y: Tensor, loss: LossOfLogits) -> None:
        self._class = true_class(y)
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
        predicted = z.argmax(dim=1)
        new = Iterate(x, predicted != self._class, predicted, height)
        self._best = new if self._best is None else _stronger(self._best, new)

    def found(self) -> Iterate:
        """Give the strongest iterate of each image.

        Returns:
            Images, whether the model errs on them, the predicted classes, and the losses.

        Raises:
            RuntimeError: If nothing was visited.
        """
        if self._best is None:
            raise RuntimeError("no iterate was visited")
        return self._best


def _stronger(old: Iterate, new: Iterate) -> Iterate:
    better = (new.wrong & ~old.wrong) | ((new.wrong == old.wrong) & (new.height > old.height))
    return Iterate(
        torch.where(better.view(-1, 1, 1, 1), new.x, old.x),
        torch.where(better, new.wrong, old.wrong),
        torch.where(better, new.predicted, old.predicted),
        torch.where(better, new.height, old.height),
    )
