r"""How sure a share of images is, and whether two shares differ by more than chance.

Wilson's score interval (1927) around an accuracy; McNemar's exact test for two models, or attacks,
on the same images; Fisher's exact test for different ones. Not here: corrections for many tests.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

from torch import Tensor

from vicinal._checks import InputError, count, number

__all__ = ["Interval", "fisher_exact", "mcnemar", "wilson"]

_TIE = 1 + 1e-7
"""Tables whose chances differ by rounding alone are equally likely."""


class Interval(NamedTuple):
    """Where a share lies with some confidence, both ends in [0, 1]."""

    low: float
    high: float


def wilson(correct: int, n: int, confidence: float = 0.95) -> Interval:
    r"""Give Wilson's score interval of a share.

    With :math:`z` the normal quantile at :math:`(1 + confidence) / 2` and :math:`p` the share:

    .. math:: \frac{p + z^2 / 2n \pm z \sqrt{p (1 - p) / n + z^2 / 4 n^2}}{1 + z^2 / n}

    Args:
        correct: How many images were right.
        n: Of how many.
        confidence: How often such an interval holds the true share, in (0, 1).

    Returns:
        Both ends; exactly 0 where none was right and exactly 1 where all were.

    Raises:
        InputError: If there is no image, or more were right than there are.

    Example:
        >>> low, high = wilson(45, 100)
        >>> f"{low:.3f} {high:.3f}"
        '0.356 0.548'
    """
    _checked(correct, n)
    number("confidence", confidence, low=0.0, high=1.0, open_low=True, open_high=True)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, stretch = correct / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / stretch
    half = z / stretch * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if correct == 0 else middle - half
    return Interval(low, 1.0 if correct == n else middle + half)


def mcnemar(first: Tensor, second: Tensor) -> float:
    r"""Test whether two runs on the same images differ (McNemar 1947, exact).

    Only images that one run gets right and the other wrong count: were there no difference, each of
    them would fall to either side by the toss of a coin.

    Args:
        first: Whether the first run is right, image by image, shape (N,), bool.
        second: The same of the second run.

    Returns:
        The two-sided chance of at least so uneven a split, in (0, 1]; small means they differ.

    Raises:
        InputError: If the two are not as long as each other.

    Example:
        >>> import torch
        >>> first = torch.tensor([True] * 6 + [False])
        >>> mcnemar(first, torch.tensor([False] * 7))
        0.03125
    """
    if first.shape != second.shape or first.ndim != 1:
        raise InputError(
            "`first` and `second` must hold a verdict for each of the same images; got shapes "
            f"{tuple(first.shape)} and {tuple(second.shape)}. Different images? See fisher_exact."
        )
    first, second = first.cpu().bool(), second.cpu().bool()
    gained, lost = int((first & ~second).sum()), int((second & ~first).sum())
    tosses = gained + lost
    ways = tail = 1
    for k in range(min(gained, lost)):
        # From one binomial coefficient to the next: each by itself would take minutes at 50,000.
        ways = ways * (tosses - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << tosses))


def fisher_exact(correct: int, n: int, other_correct: int, other_n: int) -> float:
    """Test whether two runs on different images differ (Fisher 1935, two-sided).

    Args:
        correct: How many images the first run got right.
        n: Of how many.
        other_correct: How many images the second run got right.
        other_n: Of how many.

    Returns:
        The chance of a split that is no likelier than this one, in (0, 1]; small means they differ.

    Raises:
        InputError: If a run has no image, or more right than it has.

    Example:
        >>> round(fisher_exact(8, 10, 1, 5), 4)
        0.0889
    """
    _checked(correct, n)
    _checked(other_correct, other_n)
    right = correct + other_correct
    chances = {
        k: math.exp(_log_comb(n, k) + _log_comb(other_n, right - k) - _log_comb(n + other_n, right))
        for k in range(max(0, right - other_n), min(n, right) + 1)
    }
    mine = chances[correct] * _TIE
    return min(1.0, math.fsum(chance for chance in chances.values() if chance <= mine))


def _checked(correct: int, n: int) -> None:
    if count("correct", correct, low=0) > count("n", n):
        raise InputError(f"`correct` must be at most n = {n}; got {correct}.")


def _log_comb(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
