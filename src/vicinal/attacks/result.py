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
        passes: Model passes over the batch: those of an image that the attack never let go.
        seconds: Wall time of the call.
        target: The class aimed at, shape (N,), where there was one.
        target_hit: Whether `adv` is classified as it, shape (N,), where there was one.
        clean_correct: Whether the model is right on the clean image, shape (N,), where the attack
            saw it anyway.
        spent: Passes image by image, added up over the batch, where some images left before the
            end; None where every image took all `passes`.
        broken_by: Of an attack made of several, the one that broke each image: its name, "clean"
            where the model errs without any, None where all failed.
    """

    adv: Tensor
    success: Tensor
    norms: Tensor
    passes: Passes
    seconds: float
    target: Tensor | None = None
    target_hit: Tensor | None = None
    clean_correct: Tensor | None = None
    spent: Passes | None = None
    broken_by: tuple[str | None, ...] | None = None

    def __repr__(self) -> str:
        """Sum up in one line; the tensors are long."""
        norm = float(self.norms.float().median())
        return (
            f"{type(self).__name__}(images={len(self.success)}, broken={int(self.success.sum())}, "
            f"median_norm={norm:.4g}, passes={self.passes}, seconds={self.seconds:.3g})"
        )

    @property
    def image_passes(self) -> Passes:
        """Passes image by image, added up over the batch: what the attack really cost."""
        if self.spent is not None:
            return self.spent
        n = self.success.shape[0]
        return Passes(n * self.passes.forward, n * self.passes.backward)
