r"""AVmixup's label (Lee, Lee, Yoon 2020, eq. 13): less sure of the class the nearer the vertex.

.. math:: \hat q = \alpha\, \phi(q, \lambda_1) + (1 - \alpha)\, \phi(q, \lambda_2)

phi(e_y, lambda) has lambda on the class and (1 - lambda)/(K - 1) elsewhere: lambda is what the
class keeps, so the paper's "LS0.8" is `smooth(q, eps=0.2)`. Not here: alpha, which `inputs.Vertex`
drew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vicinal._checks import InputError, number
from vicinal.labels.move import At
from vicinal.labels.smoothing import smooth
from vicinal.maths.mixing import Mix

__all__ = ["Vertex", "mix_to_vertex"]


def mix_to_vertex(q: Tensor, *, weight: Tensor, lambda1: float, lambda2: float) -> Tensor:
    r"""Mix two smoothings of every label, that of the image and that of its vertex.

    .. math:: \hat q = \alpha\, \phi(q, \lambda_1) + (1 - \alpha)\, \phi(q, \lambda_2)    (eq. 13)

    Identity at lambda1 = lambda2 = 1.

    Args:
        q: Label distributions, shape (N, K), rows on the simplex (assumed, not checked).
        weight: alpha, the image's own weight, shape (N,), in [0, 1] (assumed, not checked).
        lambda1: What the class keeps at the image, in [0, 1]. The paper: 1.
        lambda2: What it keeps at the vertex, in [0, 1]. The paper: 0.1.

    Returns:
        Distributions, shape (N, K), same dtype and device; q is not modified.

    Raises:
        InputError: If a lambda lies outside [0, 1], or q or the weights have another shape.

    Example:
        >>> q, alpha = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([0.5])
        >>> mix_to_vertex(q, weight=alpha, lambda1=1.0, lambda2=0.5)
        tensor([[0.7500, 0.1250, 0.1250]])

    Cost: no forward, no backward pass.
    """
    number("lambda1", lambda1, low=0.0, high=1.0)
    number("lambda2", lambda2, low=0.0, high=1.0)
    image, vertex = smooth(q, eps=1 - lambda1), smooth(q, eps=1 - lambda2)
    if weight.shape != q.shape[:1]:
        raise InputError(
            f"`weight` must hold one number per example, shape ({q.shape[0]},); "
            f"got shape {tuple(weight.shape)}."
        )
    return torch.lerp(vertex, image, weight.to(q.dtype).unsqueeze(1))


@dataclass(frozen=True, kw_only=True)
class Vertex:
    """The move of `mix_to_vertex`, by the very weight that mixed the images.

    Args:
        lambda1: What the class keeps at the image, in [0, 1].
        lambda2: What it keeps at the vertex, in [0, 1].

    Example:
        >>> mix = Mix(partner=torch.tensor([0]), weight=torch.tensor([0.0]))
        >>> Vertex(lambda2=0.4)(torch.tensor([[0.0, 1.0]]), torch.zeros(1, 2), mix=mix)
        tensor([[0.6000, 0.4000]])
    """

    lambda1: float = 1.0
    lambda2: float = 0.1
    at: ClassVar[At] = None

    def __post_init__(self) -> None:
        number("lambda1", self.lambda1, low=0.0, high=1.0)
        number("lambda2", self.lambda2, low=0.0, high=1.0)

    def __call__(self, q: Tensor, z: Tensor, *, mix: Mix | None = None) -> Tensor:
        """Mix the two smoothings of the labels.

        Args:
            q: Distributions, shape (N, K); not modified.
            z: Logits; not looked at.
            mix: The draw that moved the images.

        Returns:
            Distributions, shape (N, K).

        Raises:
            InputError: If the images were not mixed.
        """
        del z
        if mix is None:
            raise InputError(
                "labels.Vertex needs an input move that draws a weight; got none. "
                "Did you mean inputs=inputs.Vertex(move=...)?"
            )
        return mix_to_vertex(q, weight=mix.weight, lambda1=self.lambda1, lambda2=self.lambda2)
