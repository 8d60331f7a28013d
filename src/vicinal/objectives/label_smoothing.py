r"""Label smoothing (Szegedy et al. 2016), which ALPS's Lemma 1 shows to be a vicinal risk.

.. math:: \hat L_{LS} = \frac1N \sum_i \ell(f(x_i), \hat y_i), \quad
          \hat y_i = 1 - \epsilon \text{ on } y_i,\ \tfrac{\epsilon}{K-1} \text{ elsewhere}
          \quad (ALPS, eq. 6-8)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vicinal._checks import choice, number
from vicinal._typing import Model, Passes
from vicinal.labels import Smooth, SmoothUniform
from vicinal.objectives.vicinal import Vicinal

__all__ = ["LabelSmoothing"]


@dataclass(frozen=True, kw_only=True)
class LabelSmoothing:
    """Cross-entropy against a smoothed label. ERM at eps = 0.

    Args:
        eps: The weight moved, in [0, 1]. Papers use 0.1.
        convention: "others" leaves 1 - eps on the class and eps/(K-1) elsewhere (ALPS, BAT);
            "uniform" adds eps/K to every class, as torch's `label_smoothing` does.

    Example:
        >>> model = torch.nn.Flatten()
        >>> x = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
        >>> LabelSmoothing(eps=0.1)(model, x, torch.tensor([0]))
        tensor(0.4133)

    Differs from the paper: nothing. Cost: one forward and one backward pass.
    """

    eps: float = 0.1
    convention: str = "others"

    def __post_init__(self) -> None:
        number("eps", self.eps, low=0.0, high=1.0)
        choice("convention", self.convention, ("others", "uniform"))

    @property
    def passes(self) -> Passes:
        """One of each."""
        return Passes(1, 1)

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean cross-entropy against the smoothed labels."""
        move = Smooth if self.convention == "others" else SmoothUniform
        return Vicinal(labels=move(eps=self.eps))(model, x, y, rng=rng)
