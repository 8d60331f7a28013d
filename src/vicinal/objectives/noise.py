r"""The Gaussian vicinity of the paper that named vicinal risk (Chapelle et al. 2001; ALPS, eq. 5).

.. math:: \hat L = \frac1N \sum_i \mathbb{E}_{x' \sim \mathcal N(x_i, \sigma^2 I)} \ell(f(x'), y_i)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import number
from vicinal._typing import Model, Passes
from vicinal.inputs import GaussianNoise
from vicinal.objectives.vicinal import Vicinal

__all__ = ["GaussianVicinity"]


@dataclass(frozen=True, kw_only=True)
class GaussianVicinity:
    """Cross-entropy at noisy images, labels kept. ERM at sigma = 0.

    Args:
        sigma: Standard deviation in pixel units, finite and at least 0.
        clip: Whether noisy pixels are brought back into [0, 1].

    Example:
        >>> model = torch.nn.Flatten()
        >>> x, y = torch.tensor([0.5, 0.5]).view(1, 2, 1, 1), torch.tensor([0])
        >>> GaussianVicinity(sigma=0.0)(model, x, y)
        tensor(0.6931)

    Differs from the paper: clipped to the pixel range unless `clip=False`.
    Cost: one forward and one backward pass.
    """

    sigma: float = 0.05
    clip: bool = True

    def __post_init__(self) -> None:
        number("sigma", self.sigma, low=0.0, open_high=True)

    @property
    def passes(self) -> Passes:
        """One of each."""
        return Passes(1, 1)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean cross-entropy at one noisy copy of each image."""
        move = GaussianNoise(sigma=self.sigma, clip=self.clip)
        return Vicinal(inputs=move)(model, x, y, rng=rng)
