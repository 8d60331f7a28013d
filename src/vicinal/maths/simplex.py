r"""Label distributions: points of the probability simplex over K classes, shape (N, K)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vicinal._checks import InputError, labels

__all__ = ["as_distribution", "is_on_simplex", "least_likely", "one_hot", "true_class"]


def one_hot(y: Tensor, *, num_classes: int) -> Tensor:
    r"""Write classes as label distributions: e_y, the point mass of ERM.

    Args:
        y: Classes, shape (N,), integers in 0..K-1.
        num_classes: K.

    Returns:
        Distributions, shape (N, K), torch's default floating dtype, on the device of y.

    Raises:
        InputError: If y is not of shape (N,) or holds a class outside 0..K-1.

    Example:
        >>> one_hot(torch.tensor([2, 0]), num_classes=3)
        tensor([[0., 0., 1.],
                [1., 0., 0.]])
    """
    if not isinstance(y, Tensor) or y.ndim != 1:
        got = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        raise InputError(f"`y` must be classes of shape (N,); got {got}.")
    labels(y, n=y.shape[0], num_classes=num_classes, values=y.device.type == "cpu")
    return functional.one_hot(y.long(), num_classes).to(torch.get_default_dtype())


def as_distribution(y: Tensor, *, like: Tensor) -> Tensor:
    """Write labels as distributions in the dtype and with the classes of the logits.

    Args:
        y: Classes (N,) or distributions (N, K).
        like: Logits, shape (N, K).

    Returns:
        Distributions, shape (N, K), dtype of `like`; never the caller's own tensor changed.
    """
    if y.ndim == 1:
        return functional.one_hot(y.long(), like.shape[1]).to(like.dtype)
    return y.to(like.dtype)


def true_class(y: Tensor) -> Tensor:
    """Name the class of a label: itself, or the class of largest probability.

    Args:
        y: Classes (N,) or distributions (N, K).

    Returns:
        Classes, shape (N,), int64.
    """
    return y.long() if y.ndim == 1 else y.argmax(dim=1)


def least_likely(z: Tensor) -> Tensor:
    r"""Name the class with the least predicted probability, :math:`k^* = \arg\min_k f_k(x)`.

    Args:
        z: Logits, shape (N, K).

    Returns:
        Classes, shape (N,); the first of several that tie.

    Example:
        >>> least_likely(torch.tensor([[2.0, -1.0, 0.5]]))
        tensor([1])
    """
    return z.argmin(dim=1)


def is_on_simplex(q: Tensor, *, tolerance: float = 1e-5) -> Tensor:
    """Tell which rows are distributions: no negative entry, sum 1.

    Args:
        q: Candidates, shape (N, K).
        tolerance: How far the sum may be off and how negative an entry may be.

    Returns:
        Shape (N,), bool.
    """
    return (q >= -tolerance).all(dim=1) & ((q.sum(dim=1) - 1).abs() <= tolerance)
