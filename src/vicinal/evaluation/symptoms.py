"""What a model and its gradients are like, one alarm each: figures go in, a check comes out.

A model without gradients, or with gradients that are no numbers, cannot be attacked by them; one
that draws at random, or returns probabilities, is not the model that attacks are written for.
"""

from __future__ import annotations

from vicinal.evaluation.check import Check, graded, percent

__all__ = [
    "ENOUGH",
    "batches",
    "few_classes",
    "few_right",
    "gradients_inside",
    "not_finite",
    "random",
    "slope",
    "softmax",
    "undifferentiable",
    "unstable",
    "with_gradient",
    "zero_gradients",
]

ZERO_WARN, ZERO_FAIL = 0.01, 0.1
"""Shares of images without gradient: those a gradient attack cannot move at all."""

NAN_FAIL = 0.01
"""Share of images whose gradient is no number; one is worth a warning."""

UNSTABLE_WARN, UNSTABLE_FAIL = 0.25, 1.0
"""Change of the margin under noise of a quarter of eps, relative to it: at 1 noise flips signs."""

SLOPE_WARN, SLOPE_FAIL = 0.5, 0.9
"""How far the rise along a gradient may be from what it promises, as a share of the larger: a
backward pass that is the forward pass's own is off by roundings, one of another function by all."""

RANDOM_WARN, RANDOM_FAIL = 1e-5, 1e-4
"""Differences of normalised logits between passes; beyond 1e-4 AutoAttack calls a model random."""

BATCH_WARN, BATCH_FAIL = 1e-3, 1e-2
"""The same between whole and half batches; TF32 and bfloat16 round that much."""

CLIMBED_WARN, CLIMBED_FAIL = 2e-2, 1e-1
"""Differences between logits with and without a gradient, as a share of their length: bfloat16 and
kernels of their own for inference round within the first, another function is beyond the second."""

ENOUGH = "images to attack"
"""The check that there were images to judge a model by."""

NEEDED = 20
"""Images that must be right when clean: of fewer, what attacks break and leave says nothing."""

MIN_CLASSES = 4
"""The targeted DLR loss of AutoAttack divides by the distance of the third and fourth logits."""


def undifferentiable(found: bool) -> Check:
    """Say whether the logits depend on the images through differentiable operations.

    Args:
        found: Whether they do not.

    Returns:
        The check.
    """
    good = "The logits have a gradient with respect to the images."
    bad = "The logits have no gradient with respect to the images: no attack by gradients applies."
    return Check(
        name="differentiable",
        status="FAIL" if found else "PASS",
        sentence=bad if found else good,
        figures={"undifferentiable": found},
    )


def zero_gradients(loss: str, share: float, *, n: int) -> Check:
    """Look how many images have no gradient at all.

    Args:
        loss: "cross-entropy" or "margin".
        share: Their share.
        n: Images.

    Returns:
        The check.
    """
    return Check(
        name=f"zero gradients of the {loss}",
        status=graded(share, ZERO_WARN, ZERO_FAIL, images=round(n * share), few=1),
        sentence=f"The gradient of the {loss} is exactly zero on {percent(share)} of the images.",
        figures={"share": share},
    )


def not_finite(share: float, *, n: int) -> Check:
    """Look how many images have NaN or infinity in a gradient.

    Args:
        share: Their share.
        n: Images.

    Returns:
        The check.
    """
    return Check(
        name="NaN gradients",
        status=graded(share, 0.0, NAN_FAIL, images=round(n * share), few=1),
        sentence=f"A gradient holds NaN or infinity on {percent(share)} of the images.",
        figures={"share": share},
    )


def unstable(median: float) -> Check:
    """Look whether the loss jumps about where an attack steps.

    Args:
        median: Median over images of the margin's change under small noise, relative to itself.

    Returns:
        The check.
    """
    return Check(
        name="loss surface",
        status=graded(median, UNSTABLE_WARN, UNSTABLE_FAIL),
        sentence=f"Noise of a quarter of eps changes the margin by {percent(median)} of itself.",
        figures={"median": median},
    )


def slope(median: float, *, n: int) -> Check:
    """Look whether gradients are those of the function: whether logits move as they promise.

    Args:
        median: Median over images of a logit's rise along its gradient, as a share of what the
            gradient promises; 1 where it is the derivative.
        n: Images on which it could be measured.

    Returns:
        The check.
    """
    off = 1 - min(median, 1 / median) if median > 0 else 1.0
    return Check(
        name="gradient against slope",
        status=graded(off, SLOPE_WARN, SLOPE_FAIL, images=n),
        sentence=(
            f"Along its gradient an image's own logit rises by {percent(median)} of what the "
            f"gradient says (median of {n} images, at random points of the ball)."
        ),
        figures={"median": median, "measured": n},
    )


def random(difference: float, changed: int, *, n: int, passes: int) -> Check:
    """Look whether the same images get the same logits every time.

    Args:
        difference: The largest difference of normalised logits between passes.
        changed: Images whose class was not the same every time.
        n: Images.
        passes: How often they were asked.

    Returns:
        The check.
    """
    fixed = "Attack averages over its draws (eot=20, AutoAttack's version rand)."
    status = graded(difference, RANDOM_WARN, RANDOM_FAIL)
    said = (
        f"In {passes} passes normalised logits differ by {difference:.1e}, and {changed} of {n} "
        "images change class."
    )
    return Check(
        name="same logits twice",
        status="FAIL" if changed else status,
        sentence=said if status == "PASS" and not changed else f"{said} {fixed}",
        figures={"difference": difference, "changed": changed, "n": n, "passes": passes},
    )


def batches(difference: float) -> Check:
    """Look whether an image's logits depend on its batch mates.

    Args:
        difference: The largest difference of normalised logits between whole and half batches.

    Returns:
        The check.
    """
    return Check(
        name="same logits in any batch",
        status=graded(difference, BATCH_WARN, BATCH_FAIL),
        sentence=f"In half a batch normalised logits differ by {difference:.1e}.",
        figures={"difference": difference},
    )


def with_gradient(difference: float) -> Check:
    """Look whether a model is the same function when a gradient is asked for.

    Searches are judged as they climb, clean images without a gradient; a model that answers these
    two ways has two functions, and what is found about one says nothing of the other.

    Args:
        difference: The largest difference of logits, as a share of their mean length.

    Returns:
        The check.
    """
    return Check(
        name="same logits with a gradient",
        status=graded(difference, CLIMBED_WARN, CLIMBED_FAIL),
        sentence=(
            f"Logits asked for with a gradient and without one differ by {percent(difference)} of "
            "their length; attacks climb the first, predictions are the second."
        ),
        figures={"difference": difference},
    )


def few_right(right: int, *, n: int) -> Check:
    """Look whether there is enough to attack.

    Args:
        right: Images that the model gets right when clean.
        n: Images.

    Returns:
        The check; a warning where they are too few.
    """
    few = right < NEEDED
    said = f"The model gets {right} of {n} images right"
    return Check(
        name=ENOUGH,
        status="WARN" if few else "PASS",
        sentence=f"{said}, of {NEEDED} needed: too few to attack." if few else f"{said}.",
        figures={"right": right, "needed": NEEDED, "n": n},
    )


def softmax(found: bool) -> Check:
    """Say whether the model returns probabilities in place of logits.

    Args:
        found: Whether every row is one of probabilities.

    Returns:
        The check.
    """
    good = "The outputs are logits, no probabilities."
    bad = "Every row of outputs is on the simplex: the model must return logits, before softmax."
    return Check(
        name="logits, not softmax",
        status="FAIL" if found else "PASS",
        sentence=bad if found else good,
        figures={"softmax": found},
    )


def gradients_inside(found: bool) -> Check:
    """Say whether a forward pass asks for gradients of its own.

    Args:
        found: Whether it does.

    Returns:
        The check.
    """
    good = "A forward pass asks for no gradients."
    bad = (
        "A forward pass asks for gradients: where a model optimises as it predicts, standard "
        "attacks, AutoAttack too, say little."
    )
    return Check(
        name="no gradients at inference",
        status="WARN" if found else "PASS",
        sentence=bad if found else good,
        figures={"gradients_inside": found},
    )


def few_classes(num_classes: int) -> Check:
    """Note a model with too few classes for the targeted DLR loss; what stands in for it is exact.

    Args:
        num_classes: K.

    Returns:
        The check.
    """
    few = num_classes < MIN_CLASSES
    said = f"The model has {num_classes} classes"
    why = ": with fewer than 4 the DLR losses of AutoAttack are plain margins"
    return Check(
        name="classes",
        status="PASS",
        sentence=f"{said}{why if few else ''}.",
        figures={"classes": num_classes},
    )
