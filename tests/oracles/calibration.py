"""Guo et al. 2017, section 2, and Brier 1950 with loops over images and bins, in exact fractions.

Probabilities are rounded to double precision by `math.exp` alone; every sum and every bound of a
bin is a fraction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

__all__ = ["brier", "calibration_error", "per_class", "probabilities", "reliability", "top_k_error"]

Rows = Sequence[Sequence[float]]


def probabilities(z: Sequence[float]) -> list[Fraction]:
    powers = [Fraction(math.exp(value - max(z))) for value in z]
    return [power / sum(powers) for power in powers]


def reliability(
    rows: Rows, y: Sequence[int], bins: int
) -> list[tuple[int, Fraction | None, Fraction | None]]:
    """Images, mean confidence and accuracy of the bins ((m-1)/M, m/M]."""
    found = []
    for m in range(1, bins + 1):
        inside = []
        for z, truth in zip(rows, y, strict=True):
            p = probabilities(z)
            if Fraction(m - 1, bins) < max(p) <= Fraction(m, bins):
                inside.append((max(p), p.index(max(p)) == truth))
        n = len(inside)
        confidence = sum((c for c, _ in inside), Fraction(0)) / n if n else None
        accuracy = Fraction(sum(right for _, right in inside), n) if n else None
        found.append((n, confidence, accuracy))
    return found


def calibration_error(rows: Rows, y: Sequence[int], bins: int) -> Fraction:
    total = Fraction(0)
    for n, confidence, accuracy in reliability(rows, y, bins):
        if confidence is not None and accuracy is not None:
            total += Fraction(n, len(y)) * abs(accuracy - confidence)
    return total


def brier(rows: Rows, y: Sequence[int]) -> Fraction:
    total = Fraction(0)
    for z, truth in zip(rows, y, strict=True):
        for k, p in enumerate(probabilities(z)):
            total += (p - (k == truth)) ** 2
    return total / len(y)


def top_k_error(rows: Rows, y: Sequence[int], k: int) -> Fraction:
    """Classes sorted by logit, the lower class first among equals."""
    missed = 0
    for z, truth in zip(rows, y, strict=True):
        order = sorted(range(len(z)), key=lambda c: (-z[c], c))
        missed += truth not in order[:k]
    return Fraction(missed, len(y))


def per_class(
    right: Sequence[bool], y: Sequence[int], classes: int
) -> list[tuple[int, Fraction | None]]:
    found: list[tuple[int, Fraction | None]] = []
    for k in range(classes):
        those = [hit for hit, truth in zip(right, y, strict=True) if truth == k]
        found.append((len(those), Fraction(sum(those), len(those)) if those else None))
    return found
