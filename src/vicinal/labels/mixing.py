"""The label's half of MixUp and CutMix: follow the mixture that moved the images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from vicinal._checks import InputError
from vicinal.labels.move import At
from vicinal.maths.mixing import Mix

__all__ = ["Mixing"]


@dataclass(frozen=True, kw_only=True)
class Mixing:
    r"""Mix every label with its partner's by the very weight that mixed the images (ALPS, eq. 11).

    After `inputs.CutMix` that weight is the share of its pixels that the image kept.

    Example:
        >>> import torch
        >>> mix = Mix(partner=torch.tensor([1, 0]), weight=torch.tensor([0.75, 0.75]))
        >>> Mixing()(torch.eye(2), torch.zeros(2, 2), mix=mix)
        tensor([[0.7500, 0.2500],
                [0.2500, 0.7500]])
    """

    at: ClassVar[At] = None

    def __call__(self, q: Tensor, z: Tensor, *, mix: Mix | None = None) -> Tensor:
        """Mix the labels.

        Args:
            q: Distributions, shape (N, K); not modified.
            z: Logits; not looked at.
            mix: The mixture that moved the images.

        Returns:
            Distributions, shape (N, K).

        Raises:
            InputError: If the images were not mixed.
        """
        del z
        if mix is None:
            raise InputError(
                "labels.Mixing needs an input move that mixes images; got none. "
                "Did you mean inputs=inputs.MixUp(alpha=1.0)?"
            )
        return mix(q)
