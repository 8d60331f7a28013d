r"""Losses of logits, one value per example, in float32 or wider.

Cross-entropy takes classes and distributions alike. The margin (Carlini and Wagner's) is what
CW-PGD climbs: positive where the example is misclassified, free of any softmax.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from vicinal.maths.simplex import true_class

__all__ = ["LOSSES", "cross_entropy", "kl_divergence", "margin", "widen"]


def widen(z: Tensor) -> Tensor:
    """Bring half-precision logits to float32; leave float32 and float64 alone.

    Args:
        z: Logits of any floating dtype.

    Returns:
        Logits in float32 or float64.
    """
    return z.float() if z.dtype in {torch.float16, torch.bfloat16} else z


def cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    r"""Compute the cross-entropy :math:`\ell(f(x), q) = -\sum_k q_k \log f_k(x)` per example.

    Args:
        z: Logits, shape (N, K).
        y: Classes (N,) or distributions (N, K).

    Returns:
        Losses, shape (N,), float32 or wider.

    Example:
        >>> z = torch.tensor([[0.0, 0.0]])
        >>> cross_entropy(z, torch.tensor([1]))
        tensor([0.6931])
    """
    z = widen(z)
    if y.ndim == 1:
        return functional.cross_entropy(z, y.long(), reduction="none")
    return -(y.to(z.dtype) * functional.log_softmax(z, dim=1)).sum(dim=1)


def margin(z: Tensor, y: Tensor) -> Tensor:
    r"""Compute the margin :math:`\max_{k \neq y} z_k - z_y` per example.

    Args:
        z: Logits, shape (N, K).
        y: Classes (N,) or distributions (N, K); of a distribution, the class of largest weight.

    Returns:
        Margins, shape (N,); positive where the example is misclassified.

    Example:
        >>> margin(torch.tensor([[3.0, 1.0, 0.5]]), torch.tensor([0]))
        tensor([-2.])
    """
    z = widen(z)
    own = true_class(y).unsqueeze(1)
    others = z.scatter(1, own, -torch.inf)
    return others.amax(dim=1) - z.gather(1, own).squeeze(1)


def kl_divergence(z: Tensor, other: Tensor) -> Tensor:
    r"""Compute :math:`KL(f(x) \,\|\, f(x'))` per example from two sets of logits.

    Finite, gradient included, when a softmax underflows to 0.

    Args:
        z: Logits at x, shape (N, K).
        other: Logits at x', shape (N, K).

    Returns:
        Divergences, shape (N,).
    """
    p = functional.log_softmax(widen(z), dim=1)
    r = functional.log_softmax(widen(other), dim=1)
    return functional.kl_div(r, p, reduction="none", log_target=True).sum(dim=1)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"ce": cross_entropy, "margin": margin}
"""What an attack can climb, by name."""
