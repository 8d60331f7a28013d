"""Every pair of an input move and a label move, as rows of words, and which of them are published.

The pairs come from the two tables of moves, so a new move brings its pairs with it.
"""

from __future__ import annotations

from vicinal.inputs import INPUTS, MIXING
from vicinal.labels import FOLLOWING, LABELS

__all__ = ["pairs"]

_PUBLISHED = {
    ("Keep", "Keep"): "ERM",
    ("Keep", "Smooth"): "label smoothing (Szegedy et al. 2016), as ALPS writes it",
    ("Keep", "SmoothUniform"): "label smoothing (Szegedy et al. 2016), as torch writes it",
    ("GaussianNoise", "Keep"): "Gaussian vicinity (Chapelle et al. 2001)",
    ("MixUp", "Mixing"): "MixUp (Zhang et al. 2018)",
    ("CutMix", "Mixing"): "CutMix (Yun et al. 2019)",
    ("Interpolate", "LeastLikelyShift"): "ALPS (Guo et al. 2021)",
    ("FGSM", "Keep"): "FGSM (Goodfellow et al. 2015); LL, MC (Wang and Zhang 2019)",
    ("PGD", "Keep"): "PGD (Madry et al. 2018); R-FGSM, R-LL, R-MC (Wang and Zhang 2019); "
    "N-FGSM (de Jorge et al. 2022)",
    ("PGD", "Smooth"): "R-MC-LS, R-FGSM-LS (Wang and Zhang 2019); LS-PGD (Lee et al. 2020)",
    ("PGD", "Bilateral"): "BAT: R-MC-LA, Madry-LA (Wang and Zhang 2019)",
    ("FeatureScatter", "Smooth"): "Feature Scatter (Zhang and Wang 2019)",
    ("Vertex", "Vertex"): "AVmixup (Lee et al. 2020)",
}
"""The published methods by (input move, label move); all other pairs are new sentences."""


def pairs() -> list[dict[str, str]]:
    """List what `Vicinal(inputs=..., labels=...)` can say.

    A label move that follows the mixture of the images pairs only with input moves that draw one.

    Returns:
        Input move, label move, where the label looks by default, and the published method, if any.

    Example:
        >>> [row["label"] for row in pairs() if row["published as"].startswith("AVmixup")]
        ['Vertex']
    """
    return [
        {
            "input": image,
            "label": label,
            "label looks at": str(getattr(LABELS[label], "at", None) or ""),
            "published as": _PUBLISHED.get((image, label), ""),
        }
        for image in INPUTS
        for label in LABELS
        if image in MIXING or label not in FOLLOWING
    ]
