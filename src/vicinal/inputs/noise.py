"""Gaussian noise on the image: the original vicinal distribution (Chapelle et al. 2001)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import number
from vicinal._typing import Model, Passes
from vicinal.maths.mixing import Neighbour
from vicinal.maths.randomness import normal

__all__ = ["GaussianNoise"]


@dataclass(frozen=True, kw_only=True)
class GaussianNoise:
    r"""Add white noise: :math:`x' = x + \mathcal{N}(0, \sigma^2 I)` (ALPS, eq. 5).

    Identity at sigma = 0.

    Args:
        sigma: Standard deviation in pixel units, finite and at least 0.
        clip: Whether to bring the result back into [0, 1].

    Example:
        >>> x = torch.full((1, 1, 1, 2), 0.5)
        >>> rng = torch.Generator().manual_seed(0)
        >>> GaussianNoise(sigma=0.1)(torch.nn.Identity(), x, torch.tensor([0]), rng=rng).x
        tensor([[[[0.6541, 0.4707]]]])

    Differs from the paper: clipped to the pixel range unless `clip=False`.
    Cost: no forward, no backward pass.
    """

    sigma: float = 0.05
    clip: bool = True

    def __post_init__(self) -> None:
        number("sigma", self.sigma, low=0.0, open_high=True)

    @property
    def passes(self) -> Passes:
        """None."""
        return Passes(0, 0)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Neighbour:
        """Add noise to the images."""
        del model, y
        noisy = x + self.sigma * normal(x.shape, x, rng)
        return Neighbour(noisy.clamp_(0.0, 1.0) if self.clip else noisy)
