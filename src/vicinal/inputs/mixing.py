r"""Images moved towards other images of the batch: MixUp's symmetric weight and ALPS's, near 1.

.. math:: x' = \lambda x + (1 - \lambda) x_j            (ALPS, eq. 9 and 12)

The partner is a permutation of the batch, the usual stochastic approximation of a uniform draw from
the training set (ALPS, eq. 18).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import at_least_two, number
from vicinal._typing import Model, Passes
from vicinal.maths.mixing import Mix, Neighbour, draw_mix, fixed_mix, mode_to_beta

__all__ = ["Interpolate", "MixUp"]


@dataclass(frozen=True, kw_only=True)
class MixUp:
    r"""Mix with a weight from Beta(alpha, alpha) (Zhang et al. 2018; ALPS, eq. 11).

    Identity at alpha = 0.

    Args:
        alpha: Shape of the Beta distribution, finite and at least 0; 1 is uniform.
        per_sample: A weight for each image, or one for the batch as in the authors' code.

    Example:
        >>> x = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
        >>> mixed, mix = MixUp(alpha=1.0)(torch.nn.Identity(), x, torch.tensor([0, 1]))
        >>> bool((mixed == mix(x)).all())
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

    def draw(self, x: Tensor, *, rng: torch.Generator | None = None) -> Mix:
        """Draw partners and weights for a batch.

        Args:
            x: Images, shape (N, C, H, W), at least two.
            rng: Where draws come from; torch's global generator when not given.

        Returns:
            The mixture.
        """
        at_least_two(x, who="MixUp")
        if self.alpha == 0:
            return fixed_mix(x, weight=1.0, rng=rng)
        return draw_mix(x, a=self.alpha, b=self.alpha, per_sample=self.per_sample, rng=rng)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Neighbour:
        """Mix the images."""
        del model, y
        mix = self.draw(x, rng=rng)
        return Neighbour(mix(x), mix)


@dataclass(frozen=True, kw_only=True)
class Interpolate:
    r"""Move each image towards its partner by a weight whose mode is near 1 (ALPS, eq. 12).

    .. math:: \lambda \sim \mathrm{Beta}(1 + m(\kappa - 2),\; 1 + (1 - m)(\kappa - 2))

    A mode of 0.9 at concentration 12 is Beta(10, 2). Identity at mode 1, concentration inf.

    Args:
        mode: m, the most likely weight of the image itself, in [0, 1]. The paper: (0.75, 1).
        concentration: kappa = a + b > 2; infinity makes every weight equal to the mode.

    Example:
        >>> x = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
        >>> move = Interpolate(mode=0.75, concentration=float("inf"))
        >>> mixed, mix = move(torch.nn.Identity(), x, torch.tensor([0, 1]))
        >>> mix.weight
        tensor([0.7500, 0.7500])

    Cost: no forward, no backward pass.
    """

    mode: float = 0.9
    concentration: float = 12.0

    def __post_init__(self) -> None:
        number("mode", self.mode, low=0.0, high=1.0)
        number("concentration", self.concentration, low=2.0, open_low=True)

    @property
    def passes(self) -> Passes:
        """None."""
        return Passes(0, 0)

    def draw(self, x: Tensor, *, rng: torch.Generator | None = None) -> Mix:
        """Draw partners and one weight per image.

        Args:
            x: Images, shape (N, C, H, W), at least two.
            rng: Where draws come from; torch's global generator when not given.

        Returns:
            The mixture.
        """
        at_least_two(x, who="ALPS's interpolation")
        if math.isinf(self.concentration):
            return fixed_mix(x, weight=self.mode, rng=rng)
        a, b = mode_to_beta(self.mode, self.concentration)
        return draw_mix(x, a=a, b=b, per_sample=True, rng=rng)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Neighbour:
        """Move the images towards their partners."""
        del model, y
        mix = self.draw(x, rng=rng)
        return Neighbour(mix(x), mix)
