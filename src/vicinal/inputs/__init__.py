r"""Input moves: x -> x', what a vicinal distribution does to the image.

A move takes the model, images and labels and returns a `Neighbour`: the moved images and, where it
mixed them, the mixture, so that a label move can share the draw. None leaves the model changed.

    Keep            x                                            ERM, label smoothing
    GaussianNoise   x + N(0, sigma^2 I)                          Gaussian vicinity
    MixUp           lam x + (1-lam) x', lam ~ Beta(alpha, alpha) MixUp
    CutMix          a box of x' pasted into x                    CutMix
    Interpolate     lam x + (1-lam) x', mode of lam near 1       ALPS
    FGSM, PGD       steps along the sign of the input gradient   adversarial training

    >>> import torch
    >>> x = torch.rand(4, 1, 8, 8)
    >>> move = MixUp(alpha=1.0)(torch.nn.Identity(), x, torch.arange(4))
    >>> move.x.shape, move.mix.weight.shape
    (torch.Size([4, 1, 8, 8]), torch.Size([4]))
"""

from vicinal.inputs.cutmix import CutMix
from vicinal.inputs.fgsm import FGSM
from vicinal.inputs.mixing import Interpolate, MixUp
from vicinal.inputs.move import InputMove, Keep
from vicinal.inputs.noise import GaussianNoise
from vicinal.inputs.pgd import PGD, pgd
from vicinal.inputs.targets import TARGETS, choose_target
from vicinal.maths.cutmix import Cut
from vicinal.maths.mixing import Mix, Neighbour

__all__ = [
    # moves
    "CutMix",
    "FGSM",
    "GaussianNoise",
    "Interpolate",
    "Keep",
    "MixUp",
    "PGD",
    # functions
    "choose_target",
    "pgd",
    # contract, values and tables
    "Cut",
    "InputMove",
    "Mix",
    "Neighbour",
    "INPUTS",
    "TARGETS",
]

INPUTS: dict[str, type[InputMove]] = {
    "CutMix": CutMix,
    "FGSM": FGSM,
    "GaussianNoise": GaussianNoise,
    "Interpolate": Interpolate,
    "Keep": Keep,
    "MixUp": MixUp,
    "PGD": PGD,
}
"""The moves that a recipe may name."""
