r"""Label moves: q -> q~, what a vicinal distribution does to the label.

A move takes distributions q (N, K) and logits z (N, K), never the model, and says with `at` where
it wants those logits from: "neighbour" (the loss's own forward, detached), "clean" (one eval-mode
forward of the clean batch), or None (it does not look). Each comes as a function and as a frozen
dataclass that stores the strength and calls it.

    smooth                   1 - eps on the class, eps/(K-1) elsewhere      ALPS's baseline, BAT
    smooth_uniform           eps/K on every class                           torch's label_smoothing
    shift_to_least_likely    eps/2 from the class to the least likely one   ALPS, Theorem 1
    Mixing                   the mixture that moved the images              MixUp, CutMix

    >>> import torch
    >>> q = one_hot(torch.tensor([0]), num_classes=3)
    >>> shift_to_least_likely(q, torch.tensor([[2.0, 0.0, -1.0]]), eps=0.2)
    tensor([[0.9000, 0.0000, 0.1000]])
"""

from vicinal.labels.alps import LeastLikelyShift, adversarial_cross_entropy, shift_to_least_likely
from vicinal.labels.mixing import Mixing
from vicinal.labels.move import Keep, LabelMove
from vicinal.labels.smoothing import Smooth, SmoothUniform, smooth, smooth_uniform
from vicinal.maths.simplex import one_hot

__all__ = [
    # functions
    "adversarial_cross_entropy",
    "one_hot",
    "shift_to_least_likely",
    "smooth",
    "smooth_uniform",
    # moves
    "Keep",
    "LeastLikelyShift",
    "Mixing",
    "Smooth",
    "SmoothUniform",
    # contract and table
    "LabelMove",
    "LABELS",
]

LABELS: dict[str, type[LabelMove]] = {
    "Keep": Keep,
    "LeastLikelyShift": LeastLikelyShift,
    "Mixing": Mixing,
    "Smooth": Smooth,
    "SmoothUniform": SmoothUniform,
}
"""The moves that a recipe may name."""
