r"""The adversarial label of ALPS (Guo et al. 2021, Theorem 1 and eq. 15-17).

Among all distributions within L1 distance eps of the label, the one with the largest cross-entropy
at the prediction moves eps/2 to the least likely class. Not here: the perturbation of the image,
which is `inputs.Interpolate`; the two together are `objectives.ALPS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import InputError, choice, distributions, number
from vicinal.labels.move import POINTS, Point
from vicinal.maths.losses import cross_entropy, widen
from vicinal.maths.mixing import Mix
from vicinal.maths.simplex import least_likely

__all__ = ["LeastLikelyShift", "adversarial_cross_entropy", "shift_to_least_likely"]


def shift_to_least_likely(q: Tensor, z: Tensor, *, eps: float) -> Tensor:
    r"""Give the label within L1 distance eps of q that the prediction fits worst.

    .. math:: \rho = \arg\max_{\|\tilde q - q\|_1 \le \epsilon} \ell(f(x), \tilde q)
              = (1 - \tfrac\epsilon2)\, e_y + \tfrac\epsilon2\, e_{k^*},
              \quad k^* = \arg\min_k f_k(x) \quad (ALPS, Theorem 1, eq. 15)

    for q = e_y. For any q the exact maximiser moves min(eps/2, 1 - q_k*) to k*, taken first from
    the classes that the prediction likes best. If k* is the class itself, rho = e_y: no label in
    the ball is worse. Identity at eps = 0. No gradient flows through the choice.

    Args:
        q: Label distributions, shape (N, K), rows on the simplex (assumed, not checked).
        z: Logits at the perturbed image, shape (N, K).
        eps: Radius of the L1 ball, in [0, 2]. The paper keeps it in (0, 0.5); 0.2 is usual here.

    Returns:
        The adversarial labels, shape (N, K), same dtype and device as q; q is not modified.

    Raises:
        InputError: If eps lies outside [0, 2], q is no (N, K) tensor, or the shapes differ.

    Example:
        >>> z = torch.tensor([[2.0, 0.0, -1.0]])
        >>> shift_to_least_likely(torch.tensor([[1.0, 0.0, 0.0]]), z, eps=0.2)
        tensor([[0.9000, 0.0000, 0.1000]])
        >>> shift_to_least_likely(torch.tensor([[0.05, 0.95, 0.0]]), z, eps=0.2)
        tensor([[0.0000, 0.9000, 0.1000]])

    Differs from the paper: the ball is intersected with the simplex, as its proof assumes; soft
    labels and radii up to 2 are allowed. Cost: no forward, no backward pass.
    """
    number("eps", eps, low=0.0, high=2.0)
    distributions(q)
    if q.shape != z.shape:
        raise InputError(
            f"`q` and `z` must have one shape (N, K); got {tuple(q.shape)} and {tuple(z.shape)}."
        )
    order = z.detach().argsort(dim=1, descending=True, stable=True)
    worst = least_likely(z.detach()).unsqueeze(1)
    available = q.scatter(1, worst, 0.0).gather(1, order)
    wanted = (1 - q.gather(1, worst)).clamp(0.0, eps / 2)
    before = available.cumsum(dim=1) - available
    taken = torch.minimum((wanted - before).clamp_min(0.0), available)
    given = torch.zeros_like(q).scatter(1, worst, taken.sum(dim=1, keepdim=True))
    return q - torch.zeros_like(q).scatter(1, order, taken) + given


def adversarial_cross_entropy(z: Tensor, y: Tensor, *, eps: float) -> Tensor:
    r"""Compute the worst cross-entropy within the ball for hard labels, without writing the label.

    .. math:: \ell_i = \mathrm{logsumexp}(z) - (1 - \tfrac\epsilon2)\, z_y
              - \tfrac\epsilon2 \min_k z_k
              = \ell(f(x), e_y) + \tfrac\epsilon2 (z_y - \min_k z_k)

    Equal to cross-entropy against `shift_to_least_likely`, values and gradients, for eps <= 2.
    Computed by the right-hand side, which keeps its digits where logsumexp and z_y nearly cancel.

    Args:
        z: Logits, shape (N, K).
        y: Classes, shape (N,).
        eps: Radius of the L1 ball, in [0, 2].

    Returns:
        Losses, shape (N,), float32 or wider.

    Raises:
        InputError: If eps lies outside [0, 2].

    Example:
        >>> z = torch.tensor([[0.0, 0.0]])
        >>> adversarial_cross_entropy(z, torch.tensor([0]), eps=0.2)
        tensor([0.6931])
    """
    number("eps", eps, low=0.0, high=2.0)
    z = widen(z)
    own = z.gather(1, y.long().unsqueeze(1)).squeeze(1)
    worst = z.min(dim=1).values
    return cross_entropy(z, y) + eps / 2 * (own - worst)


@dataclass(frozen=True, kw_only=True)
class LeastLikelyShift:
    """The move of `shift_to_least_likely`.

    Args:
        eps: Radius of the L1 ball around the label, in [0, 2].
        at: Whose logits it looks at, "neighbour" as in ALPS, or "clean".
    """

    eps: float = 0.2
    at: Point = "neighbour"

    def __post_init__(self) -> None:
        number("eps", self.eps, low=0.0, high=2.0)
        choice("at", self.at, POINTS)

    def __call__(self, q: Tensor, z: Tensor, *, mix: Mix | None = None) -> Tensor:
        """Shift the labels towards the least likely classes of z."""
        del mix
        return shift_to_least_likely(q, z, eps=self.eps)
