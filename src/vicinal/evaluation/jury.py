"""The checks of a verdict, from what its attacks and looks found."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vicinal.evaluation import suspicions, symptoms
from vicinal.evaluation.check import Check, skipped
from vicinal.evaluation.consistency import Consistency
from vicinal.evaluation.gradients import InputGradients
from vicinal.evaluation.results import CLEAN, Results
from vicinal.evaluation.trials import BY_GRADIENTS, STRONGEST
from vicinal.metrics import accuracy

__all__ = ["checks_of"]

WINDOW = 10
"""The last steps of a search, by which its end is judged (Pintor et al. 2021)."""


def checks_of(
    results: Results,
    nature: Consistency,
    *,
    radii: Mapping[str, float],
    gradients: Mapping[str, InputGradients],
    shaken: float,
    rises: Tensor | None,
) -> tuple[Check, ...]:
    """Put every alarm to what was found.

    Args:
        results: The verdicts of the trials, image by image.
        nature: What the model does with the same images again.
        radii: Radii of the searches that differ in nothing else, by name of the trial.
        gradients: Input gradients by loss; none where the model has none.
        shaken: Median change of the margin under small noise, relative to itself.
        rises: A logit's rise along its gradient as a share of what that promises, shape (N,),
            NaN where it could not be measured; None where the model has no gradients.

    Returns:
        The checks.
    """
    return (
        *_Jury(results, nature).of_attacks(radii),
        *_of_gradients(gradients),
        *([] if rises is None else [_slope(rises, nature)]),
        symptoms.unstable(shaken),
        *_of_nature(nature),
    )


def _of_gradients(gradients: Mapping[str, InputGradients]) -> list[Check]:
    words = {"ce": "cross-entropy", "margin": "margin"}
    if not gradients:
        return []
    bad = torch.stack([found.not_finite for found in gradients.values()]).any(dim=0)
    zeros = [
        symptoms.zero_gradients(words.get(name, name), found.zero_share, n=len(bad))
        for name, found in gradients.items()
    ]
    return [*zeros, symptoms.not_finite(accuracy(bad), n=len(bad))]


def _slope(rises: Tensor, nature: Consistency) -> Check:
    measured = rises[~rises.isnan()]
    if not _is_fixed(nature):
        return skipped("gradient against slope", _RANDOM)
    if len(measured) == 0:
        why = "No gradient promises a rise that could be told from rounding."
        return skipped("gradient against slope", why)
    return symptoms.slope(float(measured.median()), n=len(measured))


def _of_nature(nature: Consistency) -> list[Check]:
    return [
        symptoms.undifferentiable(nature.undifferentiable),
        symptoms.random(nature.difference, nature.changed, n=nature.n, passes=nature.passes),
        symptoms.batches(nature.in_halves) if _is_fixed(nature) else _unsure(),
        symptoms.softmax(nature.probabilities),
        symptoms.gradients_inside(nature.gradients_inside),
        symptoms.few_classes(nature.num_classes),
    ]


def _is_fixed(nature: Consistency) -> bool:
    return nature.changed == 0 and nature.difference <= symptoms.RANDOM_WARN


def _unsure() -> Check:
    return skipped("same logits in any batch", _RANDOM)


_RANDOM = "The model draws at random: no two passes agree."


class _Jury:
    """Holds what attacks found against each other."""

    def __init__(self, results: Results, nature: Consistency) -> None:
        self._correct = {name: one.correct for name, one in results.verdicts.items()}
        self._last = results.verdicts.get("pgd last")
        self._n, self._classes = nature.n, nature.num_classes
        self._blind = nature.undifferentiable

    def of_attacks(self, radii: Mapping[str, float]) -> list[Check]:
        """Give the checks on attacks.

        Args:
            radii: Radii of the searches that differ in nothing else, by name.

        Returns:
            The checks.
        """
        unaided = [self._beyond(name) for name in ("transfer", "square", "noise")]
        if self._blind:
            why = "The model has no gradients, so no attack by gradients was run."
            return [skipped("attacks by gradients", why), *unaided]
        n = self._n
        a = {name: accuracy(correct) for name, correct in self._correct.items()}
        grown = {radii[name]: a[name] for name in radii}
        return [
            suspicions.one_step(a["fgsm"], a["pgd"], n=n),
            suspicions.fgsm_above_clean(a["fgsm"], a[CLEAN], n=n),
            *unaided,
            suspicions.huge(a["pgd unbounded"], n=n),
            suspicions.growing(grown, n=n),
            suspicions.doubled(a["pgd"], a["pgd twice"], n=n),
            self._plateau(),
            suspicions.silent(self._silent(), n=n),
            *self._gaps(),
        ]

    def _worst(self, *names: str) -> Tensor:
        rows = [self._correct[name] for name in names if name in self._correct]
        return torch.stack(rows).all(dim=0)

    def _beyond(self, name: str) -> Check:
        label = {"square": "Square"}.get(name, name)
        if name not in self._correct:
            why = "There is no other model on which to make examples: give `source`."
            return skipped(f"gradients against {label}", why)
        gradients = self._worst(CLEAN, *BY_GRADIENTS)
        return suspicions.beyond_gradients(
            label,
            only=int((gradients & ~self._correct[name]).sum()),
            n=self._n,
            accuracy=accuracy(self._correct[name]),
            gradients=accuracy(gradients),
        )

    def _silent(self) -> float:
        return accuracy(self._correct["pgd last"] & ~self._correct["pgd"])

    def _plateau(self) -> Check:
        if self._last is None or self._last.noted is None or self._last.trail is None:
            return skipped("loss plateau", "The steps of the search were not noted.")
        shares = _late(self._last.noted[self._last.trail.all(dim=1)])
        return suspicions.plateau(
            float(shares.median()) if len(shares) else 0.0,
            left=len(shares),
            rising=int((shares > suspicions.PLATEAU_WARN / 100).sum()),
            window=WINDOW,
        )

    def _gaps(self) -> list[Check]:
        pgd, margins = self._worst("pgd"), self._worst("pgd", "pgd margin")
        untargeted = self._worst("pgd", "pgd margin", "apgd-ce")
        targeted = untargeted & self._correct["apgd-t"]
        return [
            self._gap("cross-entropy against margin", pgd, margins, "PGD", "with the margin too"),
            self._gap(
                "untargeted against targeted",
                untargeted,
                targeted,
                "Every search without a target",
                "APGD-T with it",
            ),
            self._gap(
                "PGD against AutoAttack",
                pgd,
                pgd & self._worst(*STRONGEST),
                "PGD",
                "with AutoAttack's parts",
            ),
        ]

    def _gap(self, name: str, weak: Tensor, strong: Tensor, *words: str) -> Check:
        shares = accuracy(weak), accuracy(strong)
        return suspicions.gap(name, *shares, n=self._n, words=words)


def _late(heights: Tensor) -> Tensor:
    """Tell which share of its best loss's whole rise the last steps brought each image, (N,)."""
    best = heights.double().nan_to_num().cummax(dim=1).values
    whole = best[:, -1] - best[:, 0]
    late = best[:, -1] - best[:, -1 - WINDOW]
    return torch.where(whole > 0, late / whole, 0.0)
