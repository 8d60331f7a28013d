r"""A box of the image replaced by its partner's pixels (Yun et al. 2019).

.. math:: x' = M \odot x + (1 - M) \odot x_j            (eq. 1)

The partner is a permutation of the batch, as in MixUp.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import at_least_two, number
from vicinal._typing import Model, Passes
from vicinal.maths.cutmix import Cut, draw_cut
from vicinal.maths.mixing import Neighbour

__all__ = ["CutMix"]


@dataclass(frozen=True, kw_only=True)
class CutMix:
    r"""Paste a box of area 1 - lambda, lambda ~ Beta(alpha, alpha), at a uniform centre (eq. 2).

    The box is clipped at the border; the weight in the draw is the share of pixels that the image
    really keeps. Identity at alpha = 0.

    Args:
        alpha: Shape of the Beta distribution, finite and at least 0; 1 is uniform.
        per_sample: A box for each image, or one for the batch as in the authors' code.

    Example:
        >>> x = torch.rand(2, 1, 8, 8)
        >>> moved, cut = CutMix(alpha=1.0)(torch.nn.Identity(), x, torch.tensor([0, 1]))
        >>> bool((moved == cut.paste(x)).all())
        True

    Cost: no forward, no backward pass.
    """

    alpha: float = 1.0
    per_sample: bool = False

    def __post_init__(self) -> None:
        number("alpha", self.alpha, low=0.0, open_high=True)

    @property
    def passes(self) -> Passes:
        """None."""
        return Passes(0, 0)

    def draw(self, x: Tensor, *, rng: torch.Generator | None = None) -> Cut:
        """Draw partners and boxes for a batch.

        Args:
            x: Images, shape (N, C, H, W), at least two.
            rng: Where draws come from; torch's global generator when not given.

        Returns:
            The cut.
        """
        at_least_two(x, who="CutMix")
        return draw_cut(x, alpha=self.alpha, per_sample=self.per_sample, rng=rng)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Neighbour:
        """Paste the boxes into the images."""
        del model, y
        cut = self.draw(x, rng=rng)
        return Neighbour(cut.paste(x), cut)
