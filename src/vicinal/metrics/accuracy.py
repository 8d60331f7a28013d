"""How often a classifier is right."""

from __future__ import annotations

from torch import Tensor

from vicinal._checks import InputError, count

__all__ = ["accuracy", "top_k_error"]


def accuracy(correct: Tensor) -> float:
    """Give the share of examples that are right.

    Args:
        correct: Shape (N,), bool.

    Returns:
        The share, in [0, 1].

    Example:
        >>> import torch
        >>> accuracy(torch.tensor([True, False, True, True]))
        0.75
    """
    return float(correct.cpu().double().mean())  # MPS has no double precision


def top_k_error(z: Tensor, y: Tensor, *, k: int = 1) -> float:
    """Give the share of examples whose class is not among the k of largest logits.

    Args:
        z: Logits, shape (N, K).
        y: Classes, shape (N,).
        k: How many guesses count, at most K.

    Returns:
        The share, in [0, 1].

    Raises:
        InputError: If k is not in 1..K.

    Example:
        >>> import torch
        >>> top_k_error(torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([1]), k=1)
        1.0
        >>> top_k_error(torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([1]), k=2)
        0.0
    """
    if count("k", k) > z.shape[1]:
        raise InputError(f"`k` must be at most the number of classes, {z.shape[1]}; got {k}.")
    hit = (z.topk(k, dim=1).indices == y.unsqueeze(1)).any(dim=1)
    return 1.0 - accuracy(hit)
