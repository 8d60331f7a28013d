"""What an evaluation under corruptions found: accuracy by corruption and severity, and its means.

Corruptions that cannot be compared with the literature, such as a frost whose texture is computed,
are told apart: they have their own rows and are in no mean unless that was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from vicinal._checks import InputError, choice
from vicinal.corruptions import SETS, SEVERITIES
from vicinal.metrics import (
    Baseline,
    mean_corruption_error,
    relative_mean_corruption_error,
    robustness_score,
)
from vicinal.records import Record

__all__ = ["CorruptionResults", "averaged"]


def averaged(judged: Iterable[str], aside: Collection[str] = ()) -> tuple[str, ...]:
    """Choose the corruptions that a mean is over: of the 15 of ImageNet-C, or else all.

    Args:
        judged: The corruptions that there are.
        aside: Those of them that are in no mean.

    Returns:
        Their names, in the order given.

    Example:
        >>> averaged(["fog", "frost", "rotation"], {"frost"}), averaged(["rotation"])
        (('fog',), ('rotation',))
    """
    there = [name for name in judged if name not in aside]
    common = tuple(name for name in there if name in SETS["common"])
    return common or tuple(there)


@dataclass(frozen=True, kw_only=True)
class CorruptionResults:
    """Accuracy under corruptions: `found.accuracy("fog", 3)`, `found.mean`, `found.records`.

    Args:
        correct: How many images were right, by corruption and severity; each was judged on all.
        n: How many images there are, of each severity.
        clean_correct: How many of the clean images were right.
        clean_n: How many clean images there are.
        aside: Corruptions that are in no mean.
        baseline: The net that mCE compares with.
        ece: Expected calibration errors, by corruption and severity; empty where not measured.
        clean_ece: That of the clean images; NaN where there are none.
        forward: Forward passes, summed over images.
        seconds: Wall time.

    Example:
        >>> found = CorruptionResults(
        ...     correct={"fog": {1: 8, 5: 4}}, n=10, clean_correct=9, clean_n=10
        ... )
        >>> found.accuracy("fog", 1), round(found.mean, 3), found.over
        (0.8, 0.6, ('fog',))
    """

    correct: Mapping[str, Mapping[int, int]]
    n: int
    clean_correct: int
    clean_n: int
    aside: frozenset[str] = frozenset()
    baseline: Baseline | None = None
    ece: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    clean_ece: float = math.nan
    forward: int = 0
    seconds: float = 0.0

    @property
    def clean(self) -> float:
        """Accuracy on clean images, A_clean; NaN where none were judged."""
        return self.clean_correct / self.clean_n if self.clean_n else math.nan

    @property
    def severities(self) -> tuple[int, ...]:
        """The severities that were judged."""
        return tuple(sorted({s for by_severity in self.correct.values() for s in by_severity}))

    @property
    def over(self) -> tuple[str, ...]:
        """The corruptions that the mean is over: of the 15 of ImageNet-C, or else all, judged."""
        return averaged(self.correct, self.aside)

    @property
    def mean_of(self) -> str:
        """What the mean is over, and what it is not, in words."""
        whole = f"ImageNet-C's {len(SETS['common'])}"
        common = set(self.over) & set(SETS["common"])
        found = f"{len(self.over)} of {whole}" if common else f"{len(self.over)} outside {whole}"
        apart = [name for name in self.correct if name in self.aside]
        if apart:
            found += f": {' and '.join(apart)} {'is' if len(apart) == 1 else 'are'} procedural here"
        others = len(self.correct) - len(self.over) - len(apart)
        return found + (f"; {others} more rows are in no mean" if others else "")

    def accuracy(self, corruption: str, severity: int | None = None) -> float:
        """Give the accuracy under a corruption.

        Args:
            corruption: Its name.
            severity: How strong; the mean over the severities when not given.

        Returns:
            A share in [0, 1].

        Raises:
            InputError: If it was not judged.
        """
        by_severity = self.correct[choice("corruption", corruption, self.correct)]
        if severity is None:
            return fmean(correct / self.n for correct in by_severity.values())
        if severity not in by_severity:
            known = ", ".join(str(one) for one in by_severity)
            raise InputError(f"`severity` must be one that was judged, {known}; got {severity!r}.")
        return by_severity[severity] / self.n

    def robustness(self, corruption: str) -> float:
        """Give M-TLAT's score R = A_phi / A_clean, A_phi the mean over the severities.

        Args:
            corruption: Its name.

        Returns:
            The ratio, to be read beside A_clean: a net that guesses has 1.
        """
        return robustness_score(self.accuracy(corruption), self.clean)

    @property
    def mean(self) -> float:
        """The plain mean accuracy over the corruptions of `over`; NaN where there is none."""
        return fmean(self.accuracy(name) for name in self.over) if self.over else math.nan

    @property
    def mean_ece(self) -> float:
        """The mean calibration error over the corruptions of `over`; NaN where not measured."""
        there = [self.ece[name] for name in self.over if name in self.ece]
        return fmean(fmean(one.values()) for one in there) if there else math.nan

    def errors(self) -> dict[str, list[float]]:
        """Give the error under every corruption that may be compared, severity by severity.

        Returns:
            Shares in [0, 1] by corruption, those set aside left out.
        """
        return {
            name: [1 - self.accuracy(name, severity) for severity in sorted(by_severity)]
            for name, by_severity in self.correct.items()
            if name not in self.aside
        }

    def as_baseline(self, name: str) -> Baseline:
        """Make this net the one that others are compared with, where a set has no published one.

        Args:
            name: What to call it.

        Returns:
            The baseline, of the corruptions that the mean is over.

        Raises:
            InputError: If one of them was not judged at all five severities.
        """
        for known in self.over:
            if set(self.correct[known]) != set(SEVERITIES):
                raise InputError(
                    f"a baseline must have been judged at all five severities; {known} was at "
                    f"{', '.join(map(str, sorted(self.correct[known])))}."
                )
        errors = {known: 1 - self.accuracy(known) for known in self.over}
        return Baseline(name=name, errors=errors, clean=1 - self.clean)

    def mce(self, baseline: Baseline) -> float:
        """Give mCE beside a baseline, in per cent, over the corruptions that the mean is over.

        Args:
            baseline: The net to compare with; judged on the same images, which is not checked.

        Returns:
            mCE; NaN where the baseline's mean is over others, or a severity was not judged.
        """
        if not self._holds(baseline):
            return math.nan
        return mean_corruption_error(self.errors(), self._within(baseline))

    def relative_mce(self, baseline: Baseline) -> float:
        """Give relative mCE beside a baseline, in per cent.

        Args:
            baseline: The net to compare with.

        Returns:
            Relative mCE; NaN where something that it needs was not judged.
        """
        if not self._holds(baseline):
            return math.nan
        return relative_mean_corruption_error(self.errors(), 1 - self.clean, self._within(baseline))

    def _holds(self, baseline: Baseline) -> bool:
        """Tell whether the baseline's mean is over the same corruptions, judged five times each."""
        whole = all(set(self.correct[name]) == set(SEVERITIES) for name in self.over)
        return whole and bool(self.over) and set(averaged(baseline.errors)) == set(self.over)

    def _within(self, baseline: Baseline) -> Baseline:
        """Leave out the baseline's corruptions that no mean is over."""
        return replace(baseline, errors={name: baseline.errors[name] for name in self.over})

    @property
    def records(self) -> list[Record]:
        """Records, JSON-able: each severity, each corruption (severity null), then the means."""
        found = []
        for name, by_severity in self.correct.items():
            found += [self._record(name, severity, [severity]) for severity in by_severity]
            found.append(self._record(name, None, by_severity))
        return [*found, self._summary()]

    def _record(
        self, name: str, severity: int | None, judged: Sequence[int] | Mapping[int, int]
    ) -> Record:
        right = self.accuracy(name, severity)
        return {
            "kind": "corruption",
            "corruption": name,
            "severity": severity,
            "n": self.n * len(judged),
            "correct": sum(self.correct[name][one] for one in judged),
            "accuracy": right,
            "error": 1 - right,
            "robustness_score": robustness_score(right, self.clean),
            "comparable": name not in self.aside,
            **({"ece": fmean(self.ece[name][s] for s in judged)} if name in self.ece else {}),
        }

    def _summary(self) -> Record:
        compared: Record = {"baseline": None, "mce": None, "relative_mce": None}
        if self.baseline is not None:
            compared = {
                "baseline": self.baseline.name,
                "mce": self.mce(self.baseline),
                "relative_mce": self.relative_mce(self.baseline),
            }
        return {
            "kind": "corruptions",
            "n": self.n,
            "over": list(self.over),
            "mean_of": self.mean_of,
            "aside": sorted(self.aside & self.correct.keys()),
            "severities": list(self.severities),
            "clean_accuracy": self.clean,
            "accuracy": self.mean,
            "error": 1 - self.mean,
            "robustness_score": robustness_score(self.mean, self.clean),
            **compared,
            **({"ece": self.mean_ece, "clean_ece": self.clean_ece} if self.ece else {}),
            "forward": self.forward,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        """Write a table in per cent: a row per corruption, a column per severity, mean and R."""
        wide = max(len(name) for name in [*self.correct, "corruption"])
        heads = "".join(f"{severity:>7}" for severity in self.severities)
        rows = [f"{'corruption':<{wide}} {heads} {'mean':>7} {'R':>6}"]
        for name, by_severity in self.correct.items():
            cells = "".join(
                f"{100 * by_severity[s] / self.n:>7.2f}" if s in by_severity else " " * 7
                for s in self.severities
            )
            mark = "  *" if name in self.aside else ""
            rows.append(
                f"{name:<{wide}} {cells} {100 * self.accuracy(name):>7.2f} "
                f"{self.robustness(name):>6.3f}{mark}"
            )
        return "\n".join([*rows, *self._foot()])

    def _foot(self) -> list[str]:
        score = robustness_score(self.mean, self.clean)
        lines = [
            f"A_clean {100 * self.clean:.2f}, mean {100 * self.mean:.2f}, R {score:.3f}",
            f"mean over {self.mean_of}",
        ]
        if self.ece:
            sure = f"{100 * self.clean_ece:.2f} clean, {100 * self.mean_ece:.2f} mean"
            lines.append(f"calibration error (ECE) {sure}")
        if self.baseline is not None:
            lines.append(
                f"mCE {self.mce(self.baseline):.1f}, relative mCE "
                f"{self.relative_mce(self.baseline):.1f}, beside {self.baseline.name}"
            )
        if self.aside & self.correct.keys():
            lines.append("* not comparable with the literature, in no mean")
        return lines
