r"""Input moves: x -> x', what a vicinal distribution does to the image.

A move takes the model, images and labels and returns a `Neighbour`: the moved images and, where it
mixed them, the mixture, so that a label move can share the draw. A `LookingMove` also takes the
clean logits from whoever has them. None leaves the model changed.

    Keep            x                                            ERM, label smoothing
    GaussianNoise   x + N(0, sigma^2 I)                          Gaussian vicinity
    MixUp           lam x + (1-lam) x', lam ~ Beta(alpha, alpha) MixUp
    Corrupt         a corruption of the world, such as fog       training on corruptions
    CutMix          a box of x' pasted into x                    CutMix
    Interpolate     lam x + (1-lam) x', mode of lam near 1       ALPS
    FGSM, PGD       steps along the sign of the input gradient   adversarial training, BAT
    FeatureScatter  one step that raises a transport cost        Feature Scatter
    Vertex          between x and x + gamma (x_adv - x)          AVmixup

    >>> import torch
    >>> x = torch.rand(4, 1, 8, 8)
    >>> move = MixUp(alpha=1.0)(torch.nn.Identity(), x, torch.arange(4))
    >>> move.x.shape, move.mix.weight.shape
    (torch.Size([4, 1, 8, 8]), torch.Size([4]))
"""

from vicinal.inputs.corrupt import Corrupt
from vicinal.inputs.cutmix import CutMix
from vicinal.inputs.feature_scatter import FeatureScatter, scatter
from vicinal.inputs.fgsm import FGSM
from vicinal.inputs.mixing import Interpolate, MixUp
from vicinal.inputs.move import InputMove, Keep, LookingMove
from vicinal.inputs.noise import GaussianNoise
from vicinal.inputs.pgd import PGD, pgd
from vicinal.inputs.targets import TARGETS, choose_target
from vicinal.inputs.vertex import Vertex
from vicinal.maths.cutmix import Cut
from vicinal.maths.mixing import Mix, Neighbour

__all__ = [
    # moves
    "Corrupt",
    "CutMix",
    "FGSM",
    "FeatureScatter",
    "GaussianNoise",
    "Interpolate",
    "Keep",
    "MixUp",
    "PGD",
    "Vertex",
    # functions
    "choose_target",
    "pgd",
    "scatter",
    # contract, values and tables
    "Cut",
    "InputMove",
    "LookingMove",
    "Mix",
    "Neighbour",
    "INPUTS",
    "MIXING",
    "TARGETS",
]

INPUTS: dict[str, type[InputMove]] = {
    "Corrupt": Corrupt,
    "CutMix": CutMix,
    "FGSM": FGSM,
    "FeatureScatter": FeatureScatter,
    "GaussianNoise": GaussianNoise,
    "Interpolate": Interpolate,
    "Keep": Keep,
    "MixUp": MixUp,
    "PGD": PGD,
    "Vertex": Vertex,
}
"""The moves that a recipe may name."""

MIXING: tuple[str, ...] = ("CutMix", "Interpolate", "MixUp", "Vertex")
"""Those that draw a mixture, and hand it on to the label move."""
