"""How much of its accuracy a classifier keeps (Laugros et al. 2020)."""

from __future__ import annotations

import math

__all__ = ["robustness_score"]


def robustness_score(perturbed: float, clean: float) -> float:
    r"""Give the ratio :math:`R = A_\phi / A_{clean}` of M-TLAT, to be read beside A_clean.

    Args:
        perturbed: Accuracy under the perturbation, in [0, 1].
        clean: Accuracy without it, in [0, 1].

    Returns:
        The ratio; NaN when the clean accuracy is 0.

    Example:
        >>> robustness_score(0.45, 0.9)
        0.5
    """
    return perturbed / clean if clean else math.nan
