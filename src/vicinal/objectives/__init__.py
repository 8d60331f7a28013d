r"""Training losses: draw a neighbour (x', q') of (x, y), pay the cross-entropy there.

Six methods, derived as pairs of an input move and a label move:

* label smoothing leaves the image and smooths the label: (Keep, Smooth);
* MixUp moves the image towards a partner and lets the label follow: (MixUp, Mixing);
* CutMix pastes a box of the partner instead, and the label follows by area: (CutMix, Mixing);
* ALPS moves the image towards a partner, ignores the partner's label, and gives the image the label
  in an L1 ball that the model finds worst there: (Interpolate, LeastLikelyShift);
* adversarial training moves the image to where the loss is high: (PGD, Keep);
* BAT takes one step of that kind towards the class that the clean image is most confused with, and
  the same clean forward gives the label: (PGD, Bilateral).

`ManifoldMixUp` is no such pair, for it moves neither image nor model but a hidden state between.
`TRADES`, `MART`, `TLAT`, `MTLAT` and `IAT` add two risks up, that of the image and that of its
adversary; `AWP` goes around any other and moves the weights against it.
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
from vicinal.objectives.adversarial_training import AdversarialTraining
from vicinal.objectives.alps import ALPS
from vicinal.objectives.avmixup import AVmixup
from vicinal.objectives.awp import AWP
from vicinal.objectives.bat import BAT
from vicinal.objectives.cutmix import CutMix
from vicinal.objectives.erm import ERM
from vicinal.objectives.feature_scatter import FeatureScatter
from vicinal.objectives.iat import IAT
from vicinal.objectives.label_smoothing import LabelSmoothing
from vicinal.objectives.m_tlat import MTLAT
from vicinal.objectives.manifold_mixup import ManifoldMixUp
from vicinal.objectives.mart import MART
from vicinal.objectives.mixup import MixUp
from vicinal.objectives.noise import GaussianVicinity
from vicinal.objectives.tlat import TLAT
from vicinal.objectives.trades import TRADES
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
    "AdversarialTraining",
    "BAT",
    "FeatureScatter",
    "AVmixup",
    # two risks
    "TRADES",
    "MART",
    "TLAT",
    "MTLAT",
    "IAT",
    # around any other
    "AWP",
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
    "AdversarialTraining": AdversarialTraining,
    "BAT": BAT,
    "FeatureScatter": FeatureScatter,
    "AVmixup": AVmixup,
    "TRADES": TRADES,
    "MART": MART,
    "TLAT": TLAT,
    "MTLAT": MTLAT,
    "IAT": IAT,
    "AWP": AWP,
    "Vicinal": Vicinal,
}
"""The objectives that a recipe may name."""
