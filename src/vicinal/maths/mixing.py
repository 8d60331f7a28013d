r"""A mixture as a value: who is mixed with whom, and with which weight.

.. math:: \mathbb{M}(s, s'; \lambda) = \lambda s + (1 - \lambda) s'            (ALPS, eq. 9)

The draw is made once, in the objective or the input move, and handed to whatever needs it, so that
images and labels share partner and weight without anything being remembered between calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from vicinal.maths.randomness import beta, permutation
from vicinal.maths.share import partners_from

__all__ = ["Mix", "Neighbour", "draw_mix", "fixed_mix", "mode_to_beta"]


@dataclass(frozen=True, kw_only=True)
class Mix:
    """One draw: each example's partner in the batch and its own weight.

    Args:
        partner: Index of the partner, shape (N,), int64.
        weight: Weight of the example itself, shape (N,), in [0, 1]; the partner has the rest.
        everyone: The rows (N, ...) to those that `partner` points into, where these are of all
            processes that train together; by default they are the same.

    Example:
        >>> mix = Mix(partner=torch.tensor([1, 0]), weight=torch.tensor([0.75, 1.0]))
        >>> mix(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        tensor([[0.7500, 0.2500],
                [0.0000, 1.0000]])
    """

    partner: Tensor
    weight: Tensor
    everyone: Callable[[Tensor], Tensor] | None = field(default=None, repr=False, compare=False)

    def partners(self, s: Tensor) -> Tensor:
        """Give every row its partner's.

        Args:
            s: Images, distributions or hidden states, shape (N, ...).

        Returns:
            The partners' rows, of the same shape.
        """
        return (s if self.everyone is None else self.everyone(s))[self.partner]

    def __call__(self, s: Tensor) -> Tensor:
        """Mix every row with its partner, eq. 9.

        Args:
            s: Images (N, C, H, W) or distributions (N, K).

        Returns:
            Mixtures of the same shape and dtype; s is not modified.
        """
        weight = self.weight.to(s.dtype).view(-1, *[1] * (s.ndim - 1))
        return torch.lerp(self.partners(s), s, weight)


class Neighbour(NamedTuple):
    """A neighbour of a batch, and the mixture behind it where there is one."""

    x: Tensor
    mix: Mix | None = None


def mode_to_beta(mode: float, concentration: float) -> tuple[float, float]:
    r"""Turn mode and concentration of a Beta distribution into its two shape parameters.

    .. math:: a = 1 + m (\kappa - 2), \quad b = 1 + (1 - m)(\kappa - 2)

    Args:
        mode: m, in [0, 1].
        concentration: kappa = a + b > 2, finite.

    Returns:
        (a, b).

    Example:
        >>> tuple(round(v, 6) for v in mode_to_beta(0.9, 12.0))
        (10.0, 2.0)
    """
    return 1 + mode * (concentration - 2), 1 + (1 - mode) * (concentration - 2)


def draw_mix(
    x: Tensor,
    *,
    a: float,
    b: float,
    per_sample: bool,
    rng: torch.Generator | None = None,
) -> Mix:
    """Draw partners (a permutation of the batch), then weights from Beta(a, b).

    Args:
        x: The batch, shape (N, ...).
        a: First shape parameter, positive.
        b: Second shape parameter, positive.
        per_sample: One weight for each example, or one for the batch.
        rng: Where the draws come from; torch's global generator when not given.

    Returns:
        The mixture.
    """
    n = x.shape[0]
    partner = permutation(n, x, rng)
    weight = beta(n if per_sample else 1, a=a, b=b, like=x, rng=rng, common=not per_sample)
    return Mix(partner=partner, weight=weight.expand(n), everyone=partners_from(rng, n))


def fixed_mix(x: Tensor, *, weight: float, rng: torch.Generator | None = None) -> Mix:
    """Draw partners only; every example keeps the same weight.

    Args:
        x: The batch, shape (N, ...).
        weight: The weight, in [0, 1].
        rng: Where the draws come from; torch's global generator when not given.

    Returns:
        The mixture.
    """
    n = x.shape[0]
    partner = permutation(n, x, rng)
    return Mix(partner=partner, weight=x.new_full((n,), weight), everyone=partners_from(rng, n))
