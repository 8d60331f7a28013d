"""How sure a model is, counted bin by bin as batches pass, for calibration under corruptions.

The error is that of `metrics.expected_calibration_error` (Guo et al. 2017, eq. 3), which asks for
all logits at once; here three sums for each bin are kept, on the device, and no logits.
"""

from __future__ import annotations

import math
from collections.abc import Hashable

import torch
from torch import Tensor

__all__ = ["Sureness", "confidence"]

_BINS = 15


def confidence(z: Tensor) -> Tensor:
    """Tell how sure a model is of its guess: the largest softmax probability.

    Args:
        z: Logits, shape (N, K).

    Returns:
        Shape (N,), in [1/K, 1], in double precision but on MPS, which has none.

    Example:
        >>> confidence(torch.zeros(1, 4))
        tensor([0.2500], dtype=torch.float64)
    """
    wide = z.float() if z.device.type == "mps" else z.double()
    return wide.softmax(dim=1).amax(dim=1)


class Sureness:
    """Sums of confidences and of right guesses by bin, for several sets of images.

    Example:
        >>> held = Sureness()
        >>> held.add("fog", torch.tensor([0.5, 0.9]), torch.tensor([True, False]))
        >>> round(held.error("fog"), 4), held.error("snow")
        (0.7, nan)
    """

    def __init__(self) -> None:
        self._sums: dict[Hashable, Tensor] = {}

    def add(self, what: Hashable, sure: Tensor, right: Tensor) -> None:
        """Count a batch; the device is not waited for.

        Args:
            what: Which set its images are of.
            sure: Confidences, shape (N,).
            right: Whether each guess is right, shape (N,), bool.
        """
        inner = torch.arange(1, _BINS, dtype=sure.dtype, device=sure.device) / _BINS
        place = torch.bucketize(sure.contiguous(), inner)  # bounds belong to the bin below them
        rows = torch.stack([torch.ones_like(sure), sure, right.to(sure.dtype)], dim=1)
        zeros = torch.zeros(_BINS, 3, dtype=sure.dtype, device=sure.device)
        self._sums[what] = self._sums.get(what, zeros).index_add(0, place, rows)

    def error(self, what: Hashable) -> float:
        """Give the expected calibration error of a set, 15 bins.

        Args:
            what: Which set.

        Returns:
            In [0, 1]; NaN where it has no image.
        """
        if what not in self._sums:
            return math.nan
        sizes, sure, right = self._sums[what].cpu().double().unbind(dim=1)
        return float((right - sure).abs().sum() / sizes.sum())
