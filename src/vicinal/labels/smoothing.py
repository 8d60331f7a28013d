r"""Label smoothing, in both conventions (Szegedy et al. 2016; as VRM: ALPS, eq. 6-8 and Lemma 1).

They differ by whether the class itself shares in what is given away: at K = 10 and eps = 0.1,
`smooth` leaves 0.9 and 0.0111, `smooth_uniform` leaves 0.91 and 0.01.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from vicinal._checks import distributions, number
from vicinal.labels.move import At
from vicinal.maths.mixing import Mix

__all__ = ["Smooth", "SmoothUniform", "smooth", "smooth_uniform"]


def smooth(q: Tensor, *, eps: float) -> Tensor:
    r"""Move the weight eps of every label to the other classes, evenly.

    .. math:: \tilde q = (1 - \epsilon)\, q + \epsilon\, (1 - q) / (K - 1)          (ALPS, eq. 6-8)

    Identity at eps = 0. The convention of torch, eps/K on every class, is `smooth_uniform`.

    Args:
        q: Label distributions, shape (N, K), rows on the simplex (assumed, not checked).
        eps: The weight moved, in [0, 1]. Papers use 0.1; BAT's R-MC-LS uses 0.5.

    Returns:
        Smoothed distributions, shape (N, K), same dtype and device; q is not modified.

    Raises:
        InputError: If eps lies outside [0, 1] or q is not of shape (N, K) with K >= 2.

    Example:
        >>> import torch
        >>> smooth(torch.tensor([[1.0, 0.0]]), eps=0.2)
        tensor([[0.8000, 0.2000]])

    Differs from the paper: nothing. Cost: no forward, no backward pass.
    """
    number("eps", eps, low=0.0, high=1.0)
    distributions(q)
    return (1 - eps) * q + eps * (1 - q) / (q.shape[1] - 1)


def smooth_uniform(q: Tensor, *, eps: float) -> Tensor:
    r"""Mix every label with the uniform distribution: torch's `label_smoothing`.

    .. math:: \tilde q = (1 - \epsilon)\, q + \epsilon / K

    Identity at eps = 0.

    Args:
        q: Label distributions, shape (N, K), rows on the simplex (assumed, not checked).
        eps: The weight of the uniform distribution, in [0, 1].

    Returns:
        Smoothed distributions, shape (N, K), same dtype and device; q is not modified.

    Raises:
        InputError: If eps lies outside [0, 1] or q is not of shape (N, K) with K >= 2.

    Example:
        >>> import torch
        >>> smooth_uniform(torch.tensor([[1.0, 0.0]]), eps=0.2)
        tensor([[0.9000, 0.1000]])

    Cost: no forward, no backward pass.
    """
    number("eps", eps, low=0.0, high=1.0)
    distributions(q)
    return (1 - eps) * q + eps / q.shape[1]


@dataclass(frozen=True, kw_only=True)
class Smooth:
    """The move of `smooth`.

    Args:
        eps: The weight moved away from the class, in [0, 1].
    """

    eps: float = 0.1
    at: ClassVar[At] = None

    def __post_init__(self) -> None:
        number("eps", self.eps, low=0.0, high=1.0)

    def __call__(self, q: Tensor, z: Tensor, *, mix: Mix | None = None) -> Tensor:
        """Smooth the labels; the logits are not looked at."""
        del z, mix
        return smooth(q, eps=self.eps)


@dataclass(frozen=True, kw_only=True)
class SmoothUniform:
    """The move of `smooth_uniform`.

    Args:
        eps: The weight of the uniform distribution, in [0, 1].
    """

    eps: float = 0.1
    at: ClassVar[At] = None

    def __post_init__(self) -> None:
        number("eps", self.eps, low=0.0, high=1.0)

    def __call__(self, q: Tensor, z: Tensor, *, mix: Mix | None = None) -> Tensor:
        """Smooth the labels; the logits are not looked at."""
        del z, mix
        return smooth_uniform(q, eps=self.eps)
