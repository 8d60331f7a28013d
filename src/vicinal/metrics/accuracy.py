"""How often a classifier is right."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vicinal._checks import InputError, count, labels

__all__ = ["ClassAccuracy", "accuracy", "in_top_k", "per_class_accuracy", "top_k_error"]


def accuracy(correct: Tensor) -> float:
    """Give the share of examples that are right.

    Args:
        correct: Shape (N,), bool.

    Returns:
        The share, in [0, 1].

    Example:
        >>> accuracy(torch.tensor([True, False, True, True]))
        0.75
    """
    return float(correct.cpu().double().mean())  # MPS has no double precision


def in_top_k(z: Tensor, y: Tensor, *, k: int) -> Tensor:
    """Tell whose class is among the k of largest logits.

    Of equal logits the first counts as larger, as in `argmax`: what is right at k = 1 is right at
    every k.

    Args:
        z: Logits, shape (N, K).
        y: Classes, shape (N,).
        k: How many guesses count, at most K.

    Returns:
        Shape (N,), bool.

    Raises:
        InputError: If k is not in 1..K.

    Example:
        >>> in_top_k(torch.tensor([[3.0, 2.0, 2.0]] * 3), torch.tensor([0, 1, 2]), k=2)
        tensor([ True,  True, False])
    """
    if count("k", k) > z.shape[1]:
        raise InputError(f"`k` must be at most the number of classes, {z.shape[1]}; got {k}.")
    own = z.gather(1, y.unsqueeze(1))
    earlier = torch.arange(z.shape[1], device=z.device) < y.unsqueeze(1)
    ahead = (z > own) | ((z == own) & earlier)
    return ahead.sum(dim=1) < k


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
        >>> top_k_error(torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([1]), k=1)
        1.0
        >>> top_k_error(torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([1]), k=2)
        0.0
    """
    return 1.0 - accuracy(in_top_k(z, y, k=k))


class ClassAccuracy(NamedTuple):
    """How often the images of one class are told right; NaN where there is no image."""

    n: int
    accuracy: float


def per_class_accuracy(correct: Tensor, y: Tensor, *, num_classes: int) -> list[ClassAccuracy]:
    """Give the accuracy over the images of each class.

    Args:
        correct: Shape (N,), bool.
        y: Classes, shape (N,).
        num_classes: K.

    Returns:
        One pair for each of the K classes, in their order.

    Raises:
        InputError: If `y` holds no classes in 0..K-1, one for each verdict.

    Example:
        >>> per_class_accuracy(
        ...     torch.tensor([True, False, True]), torch.tensor([0, 0, 1]), num_classes=2
        ... )
        [ClassAccuracy(n=2, accuracy=0.5), ClassAccuracy(n=1, accuracy=1.0)]
    """
    correct, y = correct.cpu(), y.cpu()
    labels(y, n=len(correct), num_classes=num_classes)
    sizes = torch.bincount(y, minlength=num_classes).tolist()
    right = torch.bincount(y[correct], minlength=num_classes).tolist()
    pairs = zip(sizes, right, strict=True)
    return [ClassAccuracy(n, hits / n if n else math.nan) for n, hits in pairs]
