r"""Training losses: draw a neighbour (x', q') of (x, y), pay the cross-entropy there.

Four methods, derived as pairs of an input move and a label move:

* label smoothing leaves the image and smooths the label: (Keep, Smooth);
* MixUp moves the image towards a partner and lets the label follow: (MixUp, Mixing);
* CutMix pastes a box of the partner instead, and the label follows by area: (CutMix, Mixing);
* ALPS moves the image towards a partner, ignores the partner's label, and gives the image the label
  in an L1 ball that the model finds worst there: (Interpolate, LeastLikelyShift).

`ManifoldMixUp` is no such pair, for it moves neither image nor model but a hidden state between.
`Vicinal(inputs=..., labels=...)` is any pair; the named objectives are the published ones with
their own checks and, where there is one, a closed form. Every objective is a frozen dataclass of
its hyper-parameters and is called with (model, x, y, *, rng=None):

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    >>> x, y = torch.rand(8, 1, 8, 8), torch.arange(8)
    >>> loss = ALPS(eps=0.2, mode=0.9, concentration=12.0)(model, x, y)
    >>> loss.backward()

Without `rng` the draws come from torch's global generator, so `torch.manual_seed` rules your loop.
"""

from vicinal._typing import Objective
from vicinal.objectives.alps import ALPS
from vicinal.objectives.cutmix import CutMix
from vicinal.objectives.erm import ERM
from vicinal.objectives.label_smoothing import LabelSmoothing
from vicinal.objectives.manifold_mixup import ManifoldMixUp
from vicinal.objectives.mixup import MixUp
from vicinal.objectives.noise import GaussianVicinity
from vicinal.objectives.vicinal import Vicinal

__all__ = [
    # one risk
    "ERM",
    "GaussianVicinity",
    "LabelSmoothing",
    "MixUp",
    "CutMix",
    "ManifoldMixUp",
    "ALPS",
    # any pair of moves
    "Vicinal",
    # contract and table
    "Objective",
    "OBJECTIVES",
]

OBJECTIVES: dict[str, type[Objective]] = {
    "ERM": ERM,
    "GaussianVicinity": GaussianVicinity,
    "LabelSmoothing": LabelSmoothing,
    "MixUp": MixUp,
    "CutMix": CutMix,
    "ManifoldMixUp": ManifoldMixUp,
    "ALPS": ALPS,
    "Vicinal": Vicinal,
}
"""The objectives that a recipe may name."""
