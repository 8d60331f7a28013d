r"""Whether a classifier is as sure as it is right (Guo et al. 2017), and two proper scores.

The confidence of a prediction is its largest softmax probability. Over bins of equal width, the
expected calibration error compares the mean confidence of a bin with its accuracy. Temperature
scaling, the cure of that paper, is not here: it changes no verdict, and needs held-out images.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vicinal._checks import InputError, count, labels, logits
from vicinal.maths.losses import cross_entropy

__all__ = ["Bin", "brier_score", "expected_calibration_error", "negative_log_likelihood"]
__all__ += ["reliability"]


class Bin(NamedTuple):
    """The predictions of about the same confidence; both means are NaN where there is none."""

    n: int
    confidence: float
    accuracy: float


def reliability(z: Tensor, y: Tensor, *, bins: int = 15) -> list[Bin]:
    r"""Sort predictions into bins of equal width by confidence: a reliability diagram as data.

    Bin m of M holds the confidences in :math:`((m-1)/M,\ m/M]`.

    Args:
        z: Logits, shape (N, K).
        y: Classes, shape (N,).
        bins: M.

    Returns:
        M bins, from the least confident.

    Raises:
        InputError: If logits or classes are not what they must be, or `bins` is no count.

    Example:
        >>> [b.n for b in reliability(torch.tensor([[9.0, 0.0], [0.0, 0.1]]), torch.tensor([0, 0]))]
        [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    """
    z, y = _checked(z, y)
    inner = torch.arange(1, count("bins", bins), dtype=z.dtype) / bins
    confidence = functional.softmax(z, dim=1).amax(dim=1)
    right = (z.argmax(dim=1) == y).to(z.dtype)
    place = torch.bucketize(confidence, inner)  # bounds belong to the bin below them
    sizes = torch.bincount(place, minlength=bins)
    means = [(_summed(each, place, bins) / sizes).tolist() for each in (confidence, right)]
    return list(map(Bin, sizes.tolist(), *means))


def _checked(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Bring logits and classes to the CPU, the logits in double precision, which MPS lacks."""
    if not len(z):
        raise InputError("`z` must hold the logits of at least one image; got none.")
    z, y = z.detach().cpu().double(), y.detach().cpu()
    logits(z, n=z.shape[0])
    labels(y, n=z.shape[0], num_classes=z.shape[1])
    return z, y


def _summed(values: Tensor, place: Tensor, bins: int) -> Tensor:
    return torch.zeros(bins, dtype=values.dtype).index_add(0, place, values)


def expected_calibration_error(z: Tensor, y: Tensor, *, bins: int = 15) -> float:
    r"""Give the mean distance between confidence and accuracy, bin by bin.

    .. math:: ECE = \sum_{m=1}^{M} \frac{|B_m|}{N}\, |acc(B_m) - conf(B_m)|  (Guo et al., eq. 3)

    Args:
        z: Logits, shape (N, K).
        y: Classes, shape (N,).
        bins: M, 15 in the paper.

    Returns:
        The error, in [0, 1]; 0 for a classifier that is right as often as it says.

    Example:
        >>> sure_and_wrong = torch.tensor([[100.0, 0.0]]), torch.tensor([1])
        >>> expected_calibration_error(*sure_and_wrong)
        1.0
    """
    found = [one for one in reliability(z, y, bins=bins) if one.n]
    gaps = math.fsum(one.n * abs(one.accuracy - one.confidence) for one in found)
    return gaps / sum(one.n for one in found)


def negative_log_likelihood(z: Tensor, y: Tensor) -> float:
    r"""Give the mean of :math:`-\log f_y(x)`, in nats.

    Args:
        z: Logits, shape (N, K).
        y: Classes, shape (N,).

    Returns:
        The mean, at least 0.

    Example:
        >>> round(negative_log_likelihood(torch.zeros(1, 2), torch.tensor([0])), 4)
        0.6931
    """
    z, y = _checked(z, y)
    return float(cross_entropy(z, y).mean())


def brier_score(z: Tensor, y: Tensor) -> float:
    r"""Give the mean of :math:`\sum_k (f_k(x) - 1[k = y])^2` (Brier 1950).

    Args:
        z: Logits, shape (N, K).
        y: Classes, shape (N,).

    Returns:
        The mean, in [0, 2].

    Example:
        >>> brier_score(torch.zeros(1, 2), torch.tensor([0]))
        0.5
    """
    z, y = _checked(z, y)
    truth = functional.one_hot(y, z.shape[1])
    return float((functional.softmax(z, dim=1) - truth).square().sum(dim=1).mean())
