"""What an attack returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vicinal._typing import Passes

__all__ = ["Result"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """Adversarial images and the verdict on each.

    Args:
        adv: The strongest iterate found, shape (N, C, H, W), in [0, 1], detached. A failed search
            returns its strongest iterate too, never the clean image in its place.
        success: Whether the model errs on `adv`, shape (N,); robust accuracy is its complement.
        norms: Size of each perturbation in the attack's norm, shape (N,).
        passes: Model passes over the batch.
        seconds: Wall time of the call.
        target: The class aimed at, shape (N,), where there was one.
        target_hit: Whether `adv` is classified as it, shape (N,), where there was one.
    """

    adv: Tensor
    success: Tensor
    norms: Tensor
    passes: Passes
    seconds: float
    target: Tensor | None = None
    target_hit: Tensor | None = None
