r"""AVmixup's image (Lee, Lee, Yoon 2020): somewhere between it and its adversarial vertex.

.. math:: x_{av} = \Pi_{[0,1]}(x + \gamma\, \delta_x), \quad
          \hat x = \alpha x + (1 - \alpha)\, x_{av}, \quad \alpha \sim U(0, 1)    (eq. 12 and 13)

Not here: the perturbation, which any other input move makes, and the label, `labels.Vertex`, which
takes alpha from the draw.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import InputError, number
from vicinal._typing import Model, Passes
from vicinal.gradients import detached
from vicinal.inputs.move import InputMove, LookingMove
from vicinal.maths.mixing import Mix, Neighbour
from vicinal.maths.randomness import uniform

__all__ = ["Vertex"]


@dataclass(frozen=True, kw_only=True)
class Vertex:
    r"""Go on in the direction of another move, then come back by a random share of the way.

    The draw that is handed on holds alpha as each image's weight, and the image itself as its
    partner: the rest of the weight is its vertex's. Identity where the other move is.

    Args:
        move: What perturbs the images, such as `PGD` or `FeatureScatter`.
        gamma: How much farther than the perturbed image the vertex lies, finite, at least 0. The
            paper: 2 with PGD, 1 or 1.5 with feature scattering.

    Example:
        >>> from vicinal.inputs.fgsm import FGSM
        >>> x = torch.tensor([0.75, 0.25]).view(1, 2, 1, 1)
        >>> move = Vertex(move=FGSM(eps=0.25), gamma=2.0)
        >>> found, mix = move(torch.nn.Flatten(), x, torch.tensor([0]))
        >>> at = mix.weight * x + (1 - mix.weight) * torch.tensor([0.25, 0.75]).view(1, 2, 1, 1)
        >>> bool(torch.allclose(found, at))
        True

    Differs from the paper: the vertex is clipped to the pixel range before the image is mixed with
    it, as in the authors' code. Cost: the other move's.
    """

    move: InputMove
    gamma: float = 2.0

    def __post_init__(self) -> None:
        if not isinstance(self.move, InputMove) or isinstance(self.move, type):
            raise InputError(
                f"`move` must be an input move, e.g. inputs.PGD(...); got {self.move!r}."
            )
        number("gamma", self.gamma, low=0.0, open_high=True)

    @property
    def passes(self) -> Passes:
        """The other move's."""
        return self.move.passes

    @property
    def looks(self) -> bool:
        """Whether the other move does."""
        return isinstance(self.move, LookingMove) and self.move.looks

    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Tensor,
        *,
        rng: torch.Generator | None = None,
        z: Tensor | None = None,
    ) -> Neighbour:
        """Draw a point between every image and its vertex."""
        if isinstance(self.move, LookingMove):
            perturbed = self.move(model, x, y, rng=rng, z=z).x
        else:
            perturbed = self.move(model, x, y, rng=rng).x
        center = detached(x)
        vertex = (center + self.gamma * (perturbed - center)).clamp_(0.0, 1.0)  # eq. 12
        n = center.shape[0]
        weight = uniform((n,), center, rng)
        mix = Mix(partner=torch.arange(n, device=center.device), weight=weight)
        return Neighbour(torch.lerp(vertex, center, weight.view(-1, 1, 1, 1)), mix)  # eq. 13
