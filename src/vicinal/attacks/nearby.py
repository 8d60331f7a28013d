"""Keeping, for every image, the nearest iterate that is wrong with confidence."""

from __future__ import annotations

import torch
from torch import Tensor

from vicinal._typing import LossOfLogits
from vicinal.inputs.pgd import climb
from vicinal.maths.balls import distance
from vicinal.maths.simplex import true_class

__all__ = ["Nearby"]


class Nearby:
    """A running choice: confident errors by distance, everything else by margin, errors first.

    It lives for one call of an attack, and nothing in it waits for the device.

    Args:
        x: The clean images, shape (N, C, H, W).
        y: Classes (N,) or distributions (N, K).
        t: Target classes (N,), or None; then a confident error is one towards the target.
        confidence: The margin from which on an error is confident.
    """

    def __init__(self, x: Tensor, y: Tensor, t: Tensor | None, *, confidence: float) -> None:
        self._center, self._y, self._t, self._confidence = x, y, t, confidence
        self.x = x.clone()
        self._rank = torch.full((x.shape[0],), -1, device=x.device, dtype=torch.long)
        self._merit = torch.zeros(x.shape[0], device=x.device, dtype=x.dtype)
        self._said = torch.zeros(x.shape[0], device=x.device, dtype=torch.long)

    def margins(self, rows: Tensor | None = None) -> LossOfLogits:
        """Say by how much the model errs.

        Args:
            rows: Of which images; None for all.

        Returns:
            Logits of these images to margins, positive where the model errs, or hits the target.
        """
        y, t = self._labels(rows)
        return climb("margin", y, t, values=False)

    def visit(self, x: Tensor, z: Tensor, rows: Tensor | None = None) -> Tensor:
        """Take in iterates with their logits.

        Args:
            x: Images.
            z: Their logits.
            rows: Which images of the batch they are; None for all.

        Returns:
            Which of them are confident errors.
        """
        y, t = self._labels(rows)
        said = z.argmax(dim=1)
        height = self.margins(rows)(z).to(x.dtype)
        # The largest of no numbers is one of them: that is no error of the model's.
        wrong = (said != true_class(y)) & ~height.isnan()
        confident = (wrong if t is None else said == t) & (height >= self._confidence)
        near = -distance(x, self._center if rows is None else self._center[rows], norm="l2")
        rank = torch.where(confident, 2, wrong.long())
        self._take(x, rank, torch.where(confident, near, height), said, rows)
        return confident

    def _labels(self, rows: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if rows is None:
            return self._y, self._t
        return self._y[rows], None if self._t is None else self._t[rows]

    def _take(
        self, x: Tensor, rank: Tensor, merit: Tensor, said: Tensor, rows: Tensor | None
    ) -> None:
        old = (self._rank, self._merit) if rows is None else (self._rank[rows], self._merit[rows])
        better = (rank > old[0]) | ((rank == old[0]) & (merit > old[1]))
        parts = [(self.x, x), (self._rank, rank), (self._merit, merit), (self._said, said)]
        for whole, new in parts:
            mine = better.view(-1, *[1] * (new.ndim - 1))
            if rows is None:
                whole.copy_(torch.where(mine, new, whole))
            else:
                whole.index_copy_(0, rows, torch.where(mine, new, whole[rows]))

    @property
    def wrong(self) -> Tensor:
        """Whether the model errs on what is kept, shape (N,)."""
        return self._said != true_class(self._y)

    @property
    def hit(self) -> Tensor | None:
        """Whether what is kept is classified as its target, shape (N,); None without one."""
        return None if self._t is None else self._said == self._t
