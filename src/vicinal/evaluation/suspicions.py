"""What attacks find, held against each other: alarms for masked gradients, one function each.

Attacks fail for two reasons: the model is robust, or its gradients lead nowhere. Each alarm is a
relation that holds where attacks work and breaks where they do not (Carlini et al. 2019, Athalye et
al. 2018, the flags of AutoAttack, Pintor et al. 2021). Figures go in, a check comes out; `verdict`
runs the attacks. Accuracies are shares in [0, 1]; differences are told in points, hundredths of all
images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from vicinal.evaluation.check import CLEAR, FEW, Check, Status, graded, percent

__all__ = [
    "beyond_gradients",
    "doubled",
    "fgsm_above_clean",
    "gap",
    "growing",
    "huge",
    "one_step",
    "plateau",
    "silent",
    "unfounded",
]

SLACK = 0.2
"""Points by which a relation may be missed: where Square takes more, AutoAttack warns."""

PLAIN = 2.0
"""Points from which no accident explains it: ten times the slack."""

HUGE_WARN, HUGE_FAIL = 1.0, 10.0
"""Percent left right without any ball: there every image can become another, so all must break."""

DOUBLED_WARN, DOUBLED_FAIL = 1.0, 5.0
"""Points that more steps may still take: a search that has converged finds nothing new."""

GAP_WARN, GAP_WARN_SHARE = 5.0, 0.15
GAP_FAIL, GAP_FAIL_SHARE = 10.0, 0.25
"""PGD minus AutoAttack in points, and as a share of PGD's accuracy: published models beyond both
were broken afterwards by attacks that their authors had not tried."""

PLATEAU_WARN = 5.0
"""Percent of a loss's whole rise that its last steps may still bring: where they bring more, the
search has not ended (Pintor et al. 2021). What more steps find is looked at by doubling them, so
this never fails."""

SILENT_WARN = 1.0
"""Points of images broken on the way and right at the end: a cure exists, so it never fails."""


_OF_ATTACKS = (
    "one step against many",
    "FGSM against clean",
    "gradients against ",
    "huge eps",
    "larger eps",
    "doubled steps",
    "loss plateau",
    "silent success",
    "cross-entropy against margin",
    "untargeted against targeted",
    "PGD against ",
)
"""How the names of those begin that say something about the images that can be attacked."""


def _points(high: float, low: float) -> float:
    """Give a difference of shares in points, free of their rounding."""
    return round(100 * (high - low), 9)


def _images(high: float, low: float, n: int) -> int:
    """Count the images that a difference of shares rests on."""
    return round(n * (high - low))


def one_step(fgsm: float, pgd: float, *, n: int) -> Check:
    """Hold one step against many: many steps must find at least what one finds.

    Args:
        fgsm: Accuracy under one full step.
        pgd: Accuracy under many, on the same images.
        n: Images.

    Returns:
        The check.
    """
    excess = _points(pgd, fgsm)
    return Check(
        name="one step against many",
        status=graded(excess, SLACK, PLAIN, images=_images(pgd, fgsm, n)),
        sentence=f"One step leaves {percent(fgsm)} right, many leave {percent(pgd)}.",
        figures={"fgsm": fgsm, "pgd": pgd, "excess_points": excess},
    )


def fgsm_above_clean(fgsm: float, clean: float, *, n: int) -> Check:
    """Look whether an attack helps: accuracy under FGSM above that on clean images.

    Args:
        fgsm: Accuracy under one full step.
        clean: Accuracy on clean images.
        n: Images.

    Returns:
        The check.
    """
    excess = _points(fgsm, clean)
    return Check(
        name="FGSM against clean",
        status=graded(excess, SLACK, PLAIN, images=_images(fgsm, clean, n)),
        sentence=f"FGSM leaves {percent(fgsm)} right, of clean images {percent(clean)} are.",
        figures={"fgsm": fgsm, "clean": clean, "excess_points": excess},
    )


def beyond_gradients(attack: str, *, only: int, n: int, accuracy: float, gradients: float) -> Check:
    """Look whether an attack without the model's gradients breaks what those with them do not.

    Args:
        attack: "transfer", "Square" or "noise".
        only: Images that it breaks and no attack by gradients does.
        n: Images.
        accuracy: Accuracy under it.
        gradients: Accuracy in the worst case over the attacks by gradients.

    Returns:
        The check.
    """
    points = round(100 * only / n, 9)
    return Check(
        name=f"gradients against {attack}",
        status=graded(points, SLACK, PLAIN, images=only),
        sentence=(
            f"{attack.capitalize()} leaves {percent(accuracy)} right, the gradients "
            f"{percent(gradients)}; it alone breaks {only} of {n} images."
        ),
        figures={"only": only, "n": n, "accuracy": accuracy, "gradients": gradients},
    )


def huge(accuracy: float, *, n: int) -> Check:
    """Look what is left right where the attack may move pixels as far as it likes.

    That nothing is left does not clear a model: label smoothing leaves nothing either.

    Args:
        accuracy: Accuracy under the unbounded attack.
        n: Images.

    Returns:
        The check.
    """
    return Check(
        name="huge eps",
        status=graded(100 * accuracy, HUGE_WARN, HUGE_FAIL, images=_images(accuracy, 0.0, n)),
        sentence=f"Without any ball PGD leaves {percent(accuracy)} right; it should leave none.",
        figures={"accuracy": accuracy},
    )


def doubled(once: float, twice: float, *, n: int) -> Check:
    """Look whether twice as many steps find more.

    Args:
        once: Accuracy under the search.
        twice: Accuracy under the same search with twice the steps.
        n: Images.

    Returns:
        The check.
    """
    points = _points(once, twice)
    return Check(
        name="doubled steps",
        status=graded(points, DOUBLED_WARN, DOUBLED_FAIL, images=_images(once, twice, n)),
        sentence=f"Doubling the steps takes accuracy from {percent(once)} to {percent(twice)}.",
        figures={"once": once, "twice": twice, "points": points},
    )


def growing(accuracies: Mapping[float, float], *, n: int) -> Check:
    """Look whether a larger ball ever raises what an attack leaves right.

    Args:
        accuracies: What the attack found in each ball by itself, by radius; nothing carried over.
        n: Images.

    Returns:
        The check.
    """
    rows = [accuracies[eps] for eps in sorted(accuracies)]
    low, high = max(pairwise(rows), key=lambda pair: pair[1] - pair[0])
    told = ", ".join(f"{percent(accuracies[eps])} at {eps:.4g}" for eps in sorted(accuracies))
    return Check(
        name="larger eps",
        status=graded(_points(high, low), SLACK, PLAIN, images=_images(high, low, n)),
        sentence=f"Growing balls leave {told} right; it must not rise.",
        figures={f"{eps:.6g}": accuracies[eps] for eps in sorted(accuracies)},
    )


def gap(name: str, weak: float, strong: float, *, n: int, words: Sequence[str]) -> Check:
    """Hold a common attack against a stronger one: PGD minus AutoAttack, and its kin.

    WARN above 5 points or 15 % of the common attack's accuracy, FAIL above 10 points and 25 % that
    at least five images stand behind.

    Args:
        name: The check's name.
        weak: Accuracy under the common attack.
        strong: Accuracy under the stronger one.
        n: Images.
        words: What the two are called.

    Returns:
        The check.

    Example:
        >>> pair = ("PGD", "AutoAttack")
        >>> [gap("gap", weak, 0.5, n=200, words=pair).status for weak in (0.52, 0.56, 0.7)]
        ['PASS', 'WARN', 'FAIL']
    """
    points = _points(weak, strong)
    share = round((weak - strong) / weak, 9) if weak else 0.0
    status: Status = "PASS"
    lost = _images(weak, strong, n)
    if lost >= FEW and (points > GAP_WARN or share > GAP_WARN_SHARE):
        wide = points > GAP_FAIL and share > GAP_FAIL_SHARE
        status = "FAIL" if wide and lost >= CLEAR else "WARN"
    return Check(
        name=name,
        status=status,
        sentence=(
            f"{words[0]} leaves {percent(weak)} right, {words[1]} {percent(strong)}: "
            f"{points:.1f} points less, {100 * share:.0f} % of it."
        ),
        figures={"weak": weak, "strong": strong, "points": points, "share": share},
    )


def plateau(share: float, *, left: int, rising: int, window: int) -> Check:
    """Look whether the loss of a search still rises at its end, where it broke nothing.

    Args:
        share: Of the whole rise of the best loss, how much the last steps brought: the median
            over the images that are left, in [0, 1].
        left: Images that the search never broke.
        rising: Those of them whose own share is above 5 %.
        window: How many the last steps are.

    Returns:
        The check; it never fails.
    """
    said = (
        f"On {left} images that PGD never breaks its last {window} steps bring {percent(share)} of "
        f"the loss's rise (median); {rising} still climb."
    )
    return Check(
        name="loss plateau",
        status=graded(100 * share, PLATEAU_WARN, 100.0, images=rising),
        sentence=said if left else "PGD leaves no image whose loss could still rise.",
        figures={"share": share, "left": left, "rising": rising, "window": window},
    )


def silent(share: float, *, n: int) -> Check:
    """Look for images that are broken on the way of a search and right at its end.

    Args:
        share: Their share.
        n: Images.

    Returns:
        The check; it never fails, as keeping the strongest iterate cures it.
    """
    return Check(
        name="silent success",
        status=graded(100 * share, SILENT_WARN, 100.0, images=_images(share, 0.0, n)),
        sentence=f"PGD breaks {percent(share)} on its way that are right again at its end.",
        figures={"share": share},
    )


def unfounded(checks: Iterable[Check], *, right: int, needed: int) -> tuple[Check, ...]:
    """Take back what passed for want of images: where nothing was right, nothing can be broken.

    What warns or fails stays: it rests on images that it counts itself.

    Args:
        checks: All of a verdict.
        right: Images that the model gets right when clean.
        needed: How many there must be.

    Returns:
        The checks, those on attacks that passed skipped where the images are too few.
    """
    why = f"Too few images that the model gets right: {right} of the {needed} needed."
    return tuple(
        replace(check, status="SKIP", sentence=why)
        if right < needed and check.status == "PASS" and check.name.startswith(_OF_ATTACKS)
        else check
        for check in checks
    )
