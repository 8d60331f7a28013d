r"""Losses of logits, one value per example, in float32 or wider.

Cross-entropy takes classes and distributions alike. The margin (Carlini and Wagner's) is what
CW-PGD climbs: positive where the example is misclassified, free of any softmax. The DLR loss
(Croce and Hein 2020) is a margin over the spread of the logits, free of their scale too.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from vicinal.maths.simplex import true_class

__all__ = [
    "LOSSES",
    "TARGETED",
    "cross_entropy",
    "dlr",
    "kl_divergence",
    "log_odds",
    "margin",
    "targeted_dlr",
    "widen",
]

_TINY = 1e-12
"""Added to a spread of logits, as the authors' code does, so that equal ones divide too."""


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


def log_odds(z: Tensor, y: Tensor) -> Tensor:
    r"""Compute the log odds :math:`s = \log \sum_{k \neq y} e^{z_k} - z_y` against a class.

    The cross-entropy is :math:`\log(1 + e^s)`: it rises where they rise and its gradient has their
    direction, but it is exactly 0 where the model is sure, and they are not.

    Args:
        z: Logits, shape (N, K).
        y: Classes (N,).

    Returns:
        Log odds, shape (N,).

    Example:
        >>> z = torch.tensor([[200.0, 0.0]])
        >>> log_odds(z, torch.tensor([0])), cross_entropy(z, torch.tensor([0])) == 0
        (tensor([-200.]), tensor([True]))
    """
    z = widen(z)
    own = y.long().unsqueeze(1)
    others = z.scatter(1, own, -torch.inf)
    return others.logsumexp(dim=1) - z.gather(1, own).squeeze(1)


def dlr(z: Tensor, y: Tensor) -> Tensor:
    r"""Compute the difference of logits ratio (Croce and Hein 2020, eq. 6) per example.

    .. math:: (\max_{k \neq y} z_k - z_y) / (z_{\pi_1} - z_{\pi_3})

    with :math:`z_{\pi_1} \geq z_{\pi_2} \geq \dots` the sorted logits. Neither an offset nor a
    scale of the logits changes it.

    With 2 classes there is no third logit: it is then the margin itself.

    Args:
        z: Logits, shape (N, K).
        y: Classes (N,) or distributions (N, K); of a distribution, the class of largest weight.

    Returns:
        Losses, shape (N,); positive where the example is misclassified, at most 1.

    Example:
        >>> dlr(torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([0]))
        tensor([-0.5000])
    """
    z = widen(z)
    if z.shape[1] < 3:
        return margin(z, y)
    first, _, third = z.topk(3, dim=1).values.unbind(dim=1)
    return margin(z, y) / (first - third + _TINY)


def targeted_dlr(z: Tensor, y: Tensor, t: Tensor) -> Tensor:
    r"""Compute the targeted difference of logits ratio (Croce and Hein 2020, eq. 7) per example.

    .. math:: (z_t - z_y) / (z_{\pi_1} - (z_{\pi_3} + z_{\pi_4}) / 2)

    Below 4 classes there is no fourth logit: it is then the difference :math:`z_t - z_y` itself.
    (Over :math:`z_{\pi_1} - z_{\pi_3}` the way from the first class to the third would be flat.)

    Args:
        z: Logits, shape (N, K).
        y: Classes (N,) or distributions (N, K); of a distribution, the class of largest weight.
        t: Target classes, shape (N,).

    Returns:
        Losses, shape (N,); they rise towards the target.

    Example:
        >>> targeted_dlr(torch.tensor([[3.0, 2.0, 1.0, 1.0]]), torch.tensor([0]), torch.tensor([1]))
        tensor([-0.5000])
    """
    z = widen(z)
    ends = torch.stack([t.long(), true_class(y)], dim=1)
    towards, own = z.gather(1, ends).unbind(dim=1)
    if z.shape[1] < 4:
        return towards - own
    first, _, third, fourth = z.topk(4, dim=1).values.unbind(dim=1)
    return (towards - own) / (first - (third + fourth) / 2 + _TINY)


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


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "ce": cross_entropy,
    "margin": margin,
    "dlr": dlr,
}
"""What an attack can climb, by name."""

TARGETED: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"dlr": targeted_dlr}
"""Those whose way to a target is not the way down from its own loss: they see both classes."""
