r"""Label moves: q -> q~, what a vicinal distribution does to the label.

A move takes distributions q (N, K) and logits z (N, K), never the model, and says with `at` where
it wants those logits from: "neighbour" (the loss's own forward, detached), "clean" (one eval-mode
forward of the clean batch), or None (it does not look); every move that looks can look at either.
Each comes as a function and as a frozen dataclass that stores the strength and calls it.

    smooth                   1 - eps on the class, eps/(K-1) elsewhere      ALPS's baseline, BAT
    smooth_uniform           eps/K on every class                           torch's label_smoothing
    shift_to_least_likely    eps/2 from the class to the least likely one   ALPS, Theorem 1
    bilateral                to the wrong classes by their loss             BAT, eq. 14 and 18
    projected_gradient       one step along the loss, projected             BAT, eq. 12-13
    toward                   weight w from the label to a target class      TLAT
    Mixing                   the mixture that moved the images              MixUp, CutMix
    mix_to_vertex            less sure of the class the nearer the vertex   AVmixup, eq. 13

    >>> import torch
    >>> q = one_hot(torch.tensor([0]), num_classes=3)
    >>> shift_to_least_likely(q, torch.tensor([[2.0, 0.0, -1.0]]), eps=0.2)
    tensor([[0.9000, 0.0000, 0.1000]])
"""

from vicinal.labels.alps import LeastLikelyShift, adversarial_cross_entropy, shift_to_least_likely
from vicinal.labels.bat import Bilateral, ProjectedGradient, bilateral, projected_gradient
from vicinal.labels.mixing import Mixing
from vicinal.labels.move import Keep, LabelMove
from vicinal.labels.smoothing import Smooth, SmoothUniform, smooth, smooth_uniform
from vicinal.labels.tlat import toward
from vicinal.labels.vertex import Vertex, mix_to_vertex
from vicinal.maths.simplex import one_hot

__all__ = [
    # functions
    "adversarial_cross_entropy",
    "bilateral",
    "mix_to_vertex",
    "one_hot",
    "projected_gradient",
    "shift_to_least_likely",
    "smooth",
    "smooth_uniform",
    "toward",
    # moves
    "Bilateral",
    "Keep",
    "LeastLikelyShift",
    "Mixing",
    "ProjectedGradient",
    "Smooth",
    "SmoothUniform",
    "Vertex",
    # contract and tables
    "LabelMove",
    "FOLLOWING",
    "LABELS",
]

LABELS: dict[str, type[LabelMove]] = {
    "Bilateral": Bilateral,
    "Keep": Keep,
    "LeastLikelyShift": LeastLikelyShift,
    "Mixing": Mixing,
    "ProjectedGradient": ProjectedGradient,
    "Smooth": Smooth,
    "SmoothUniform": SmoothUniform,
    "Vertex": Vertex,
}
"""The moves that a recipe may name."""

FOLLOWING: tuple[str, ...] = ("Mixing", "Vertex")
"""Those that follow the mixture of the images, and need an input move that makes one."""
