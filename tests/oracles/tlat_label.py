"""The label of TLAT as Laugros et al. 2020 print it (eq. 5; Algorithm 1), class by class."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["moved"]


def moved(q: Sequence[float], t: int, weight: float) -> list[float]:
    """Return (1 - weight) q + weight e_t of one example."""
    found = []
    for k, share in enumerate(q):
        goal = 1.0 if k == t else 0.0
        found.append(share * (1.0 - weight) + goal * weight)
    return found
