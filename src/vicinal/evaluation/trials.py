"""The attacks that a masking verdict holds against each other, and what they cost.

All search in one ball, but for those that look what a larger or a smaller one changes. Searches by
the same start differ in one thing each: the loss, the number of steps, the iterate that is judged.
"""

from __future__ import annotations

import math
from collections.abc import Container
from functools import partial

from torch import nn

from vicinal._typing import Attack, Model, Norm, Passes
from vicinal.attacks import APGD, PGD, Square, Transfer, UniformNoise
from vicinal.evaluation.costs import passes_of

__all__ = [
    "BY_GRADIENTS",
    "STRONGEST",
    "TRIALS",
    "against",
    "radii_of",
    "trials",
    "verdict_passes",
]

TRIALS = {
    "fgsm": "one full step",
    "pgd": "PGD-20 on the cross-entropy, steps of eps / 4, the strongest iterate",
    "pgd last": "the same, the last iterate",
    "pgd twice": "the same with 40 steps, the strongest iterate",
    "pgd margin": "PGD-20 on the margin",
    "pgd half eps": "PGD-20 in half the ball",
    "pgd double eps": "PGD-20 in a ball of twice the radius",
    "pgd unbounded": "40 steps of 0.05 (linf) without a ball",
    "apgd-ce": "APGD on the cross-entropy, 100 steps",
    "apgd-t": "APGD on the targeted DLR loss, 4 targets of 100 steps",
    "square": "Square, 1000 queries",
    "noise": "50 draws from the ball",
    "transfer": "PGD-20 on the source, judged here",
    "autoattack": "what the caller gave as the strongest",
}
"""What is run, by name, and in words."""

BY_GRADIENTS = ("fgsm", "pgd", "pgd twice", "pgd margin", "apgd-ce", "apgd-t")
"""The attacks in the ball that follow the model's own gradients."""

STRONGEST = ("apgd-ce", "apgd-t", "square", "autoattack")
"""Those whose worst case stands for AutoAttack: its parts, but for FAB."""

_PARTS = "APGD-CE, APGD-T with 4 targets, Square with 1000 queries"

_STEPS = 20


def against(names: Container[str]) -> tuple[str, str]:
    """Tell what PGD is held against, as AutoAttack or for want of it.

    Args:
        names: The trials that were run.

    Returns:
        What it is called, and in words.

    Example:
        >>> against(["pgd", "apgd-t", "square"])[0], against(["pgd", "autoattack"])[0]
        ('parts of AutoAttack', 'AutoAttack')
    """
    if "autoattack" in names:
        return "AutoAttack", f"with AutoAttack, {_PARTS}"
    return "parts of AutoAttack", f"with parts of AutoAttack ({_PARTS})"


def radii_of(eps: float, norm: Norm) -> dict[str, float]:
    """Give the radii of the searches that differ in nothing else.

    Args:
        eps: The radius.
        norm: "linf" or "l2".

    Returns:
        Radii by the name of the trial; a linf ball never exceeds all pixels in [0, 1].
    """
    double = 2 * eps if norm == "l2" else min(2 * eps, 1.0)
    found = {"pgd half eps": eps / 2, "pgd": eps, "pgd double eps": double}
    return found if double > eps else {"pgd half eps": eps / 2, "pgd": eps}


def trials(
    *,
    eps: float,
    norm: Norm = "linf",
    source: Model | None = None,
    strongest: Attack | None = None,
    pixels: int = 3072,
    gradients: bool = True,
) -> dict[str, Attack]:
    """Build what a verdict runs.

    Args:
        eps: Radius in pixel units.
        norm: "linf" or "l2".
        source: Another model, on which transferred examples are made; without it there are none.
        strongest: An AutoAttack to run beside its parts, such as the standard one.
        pixels: Numbers in an image, by which the step of an unbounded l2 search is chosen.
        gradients: Whether the model has any; without them Square, noise and transfer are left.

    Returns:
        Attacks, by the names of `TRIALS`.
    """
    found: dict[str, Attack] = {}
    if gradients:
        found = _climbing(eps, norm, pixels)
        found["apgd-ce"] = APGD(eps=eps, norm=norm)
        found["apgd-t"] = APGD(eps=eps, norm=norm, loss="dlr", targets=4)
    found["square"] = Square(eps=eps, norm=norm, queries=1000)
    found["noise"] = UniformNoise(eps=eps, norm=norm, draws=50)
    if source is not None:
        attack = PGD(eps=eps, step_size=eps / 4, steps=_STEPS, norm=norm, iterate="last")
        found["transfer"] = Transfer(source=source, attack=attack)
    return found if strongest is None else {**found, "autoattack": strongest}


def _climbing(eps: float, norm: Norm, pixels: int) -> dict[str, Attack]:
    pgd = partial(PGD, norm=norm, steps=_STEPS)
    worst = partial(pgd, eps=eps, step_size=eps / 4, compact_every=5)
    found: dict[str, Attack] = {
        "fgsm": pgd(eps=eps, step_size=eps, steps=1, random_start=False, iterate="last"),
        "pgd": worst(),
        "pgd last": pgd(eps=eps, step_size=eps / 4, iterate="last"),
        "pgd twice": worst(steps=2 * _STEPS),
        "pgd margin": worst(loss="margin"),
    }
    for name, radius in radii_of(eps, norm).items():
        if name != "pgd":
            found[name] = worst(eps=radius, step_size=radius / 4)
    step = 0.05 if norm == "linf" else 0.05 * math.sqrt(pixels)
    found["pgd unbounded"] = worst(eps=math.inf, step_size=step, steps=40, random_start=False)
    return found


def verdict_passes(*, num_classes: int = 10, source: bool = False) -> Passes:
    """Count what a verdict costs an image that nothing breaks, in model passes.

    Args:
        num_classes: K.
        source: Whether there is one for transferred examples; its passes count too.

    Returns:
        Forward and backward passes per image.

    Example:
        >>> verdict_passes()
        Passes(forward=1768, backward=684)
    """
    built = trials(eps=0.1, source=nn.Flatten() if source else None)
    each = [passes_of(attack, num_classes=num_classes) for attack in built.values()]
    looks = Passes(1 + 8 + 2 + 2 + 3, 2 + 1)
    return Passes(
        looks.forward + sum(one.forward for one in each),
        looks.backward + sum(one.backward for one in each),
    )
