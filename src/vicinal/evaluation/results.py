"""What an evaluation found: one record per attack, and what every single image went through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vicinal import records
from vicinal._checks import InputError, suggest
from vicinal.evaluation.corruption_results import CorruptionResults
from vicinal.evaluation.packing import fingerprint
from vicinal.evaluation.preflight import guessing, outputs
from vicinal.evaluation.scores import (
    about_fields,
    per_class_fields,
    score_fields,
    share_fields,
    told,
    top5_error,
    worst_fields,
)
from vicinal.evaluation.threat import About, Threat, prevailing
from vicinal.metrics import (
    ClassAccuracy,
    accuracy,
    expected_calibration_error,
    per_class_accuracy,
    robustness_score,
)
from vicinal.records import Record

__all__ = ["CLEAN", "WORST", "Results", "Verdicts", "passes_each"]

CLEAN = "clean"
"""The name of the column without an attack."""

WORST = "worst case"
"""The name of the column in which an image counts only if no attack within the ball broke it."""


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What one attack did to every image.

    Args:
        correct: Whether the model was still right, shape (N,), bool, on the CPU.
        norms: Size of each perturbation, shape (N,), on the CPU; zeros for clean images.
        forward: Forward passes over batches, summed over images: passes times N.
        backward: Backward passes, counted likewise.
        seconds: Wall time.
        logits: What the model said of each image, shape (N, K), on the CPU; None under attack,
            whose results hold verdicts alone.
        classes: The class of each image, shape (N,), on the CPU; None under attack, where the
            images are those of "clean".
        prints: A number for every image and its label, shape (N,), int64; None under attack.
        about: Threat model and parameters of the attack; None for clean images.
        broken_by: Of an attack made of several, how many images each of them broke; "clean" those
            that were wrong before.
        trail: Of an attack that notes it, whether the model withstood each stage, shape (N, S).
        noted: A figure of each stage beside it, shape (N, S): of a traced search the loss that it
            climbs, of corruptions how sure the model is.
    """

    correct: Tensor
    norms: Tensor
    forward: int
    backward: int
    seconds: float
    logits: Tensor | None = None
    classes: Tensor | None = None
    prints: Tensor | None = None
    about: About | None = None
    broken_by: Mapping[str, int] | None = None
    trail: Tensor | None = None
    noted: Tensor | None = None

    @property
    def threat(self) -> Threat | None:
        """The attack's threat model; None where it says nothing of a radius."""
        return None if self.about is None else self.about.threat


@dataclass(frozen=True, kw_only=True)
class Results:
    """An evaluation: `results["pgd"]` is one attack's accuracy, `records` all of it as data.

    The worst case is that of one threat model: attacks with a larger radius or another norm, and
    those without a radius, stand beside it with their own numbers and count in it nowhere. One with
    a smaller radius counts: all it finds lies in the ball. So does one that says nothing of a
    radius (a plain function): its caller vouches for it.

    Args:
        verdicts: What each attack did, by name, "clean" first.
        threat: The threat model of the worst case; by default that which most attacks share, the
            first of them on a tie.
        corruptions: What was found under corruptions, where that was asked for.

    Example:
        >>> right = torch.tensor([True, True, False, True])
        >>> clean = Verdicts(
        ...     correct=right, norms=torch.zeros(4), forward=4, backward=0, seconds=0.0
        ... )
        >>> Results(verdicts={"clean": clean})["clean"]
        0.75
    """

    verdicts: Mapping[str, Verdicts]
    threat: Threat | None = None
    corruptions: CorruptionResults | None = None

    def __getitem__(self, attack: str) -> float:
        """Give the accuracy under an attack, "clean", or "worst case".

        Args:
            attack: Its name.

        Returns:
            The share of images still right, in [0, 1].

        Raises:
            InputError: If no such attack was run, or none counts in the worst case.
        """
        return accuracy(self._correct(attack))

    def _correct(self, attack: str) -> Tensor:
        if attack == WORST:
            return self.worst_case()
        if attack not in self.verdicts:
            raise InputError(f"no attack {attack!r} in these results.{suggest(attack, self)}")
        return self.verdicts[attack].correct

    def __iter__(self) -> Iterator[str]:
        """Run through the attacks' names, "clean" first."""
        return iter(self.verdicts)

    @property
    def threat_model(self) -> Threat | None:
        """The threat model of the worst case; None where no attack has a radius."""
        return self.threat or prevailing(verdict.threat for verdict in self.verdicts.values())

    @property
    def counted(self) -> list[str]:
        """The attacks of the worst case, by name: those whose ball lies in its threat model."""
        model = self.threat_model
        return [
            name
            for name, threat in self._threats.items()
            if threat is None or (model is not None and model.holds(threat))
        ]

    @property
    def _threats(self) -> dict[str, Threat | None]:
        return {name: one.threat for name, one in self.verdicts.items() if name != CLEAN}

    def worst_case(self) -> Tensor:
        """Tell which images every attack of the threat model left right, clean included.

        Returns:
            Shape (N,), bool: the minimum over attacks image by image, never the minimum of means.

        Raises:
            InputError: If nothing was judged, or there are attacks and none of them counts.
        """
        names = [*self._clean_name, *self.counted]
        if not names or self._none_counts:
            raise InputError(
                f"there is no worst case: {self._none_counts or 'nothing was judged.'}"
            )
        return torch.stack([self.verdicts[name].correct for name in names]).all(dim=0)

    @property
    def _none_counts(self) -> str:
        """Say why no attack counts in the worst case; empty where one does, or none was run."""
        if self.counted or not self._threats:
            return ""
        told = ", ".join(f"{_shortened(name)} ({own})" for name, own in self._threats.items())
        if self.threat is None:
            return f"no attack has a radius; got {told}. Read each by its own name."
        return (
            f"`threat` must hold the ball of at least one attack; it is {self.threat}, they are "
            f"{told}. State the radius and the norm of the attacks?"
        )

    def broken_by(self) -> list[str | None]:
        """Name for every image the first attack of the worst case that broke it.

        Returns:
            A name for each of the N images, "clean" where the model errs without any attack; None
            where the image stayed right.
        """
        found: list[str | None] = [None] * len(self.worst_case())
        for name in reversed([*self._clean_name, *self.counted]):
            for row in (~self.verdicts[name].correct).nonzero().flatten().tolist():
                found[row] = name
        return found

    @property
    def _clean_name(self) -> list[str]:
        return [CLEAN] if CLEAN in self.verdicts else []

    def per_class(self, attack: str = CLEAN) -> list[ClassAccuracy]:
        """Give the accuracy over the images of each class; clean and attacked alike.

        Args:
            attack: Its name, "clean", or "worst case".

        Returns:
            A pair (n, accuracy) for each of the K classes; NaN for a class without an image.

        Raises:
            InputError: If no such attack was run, or the results hold no classes.
        """
        z, y = self._judged()
        return per_class_accuracy(self._correct(attack), y, num_classes=z.shape[1])

    @property
    def top5_error(self) -> float | None:
        """The share of clean images whose class is not among five guesses; None if K <= 5."""
        return top5_error(*self._judged())

    @property
    def ece(self) -> float:
        """The expected calibration error on clean images, 15 bins (Guo et al. 2017), in [0, 1]."""
        return expected_calibration_error(*self._judged())

    def _judged(self) -> tuple[Tensor, Tensor]:
        clean = self._clean()
        if clean is None:
            raise InputError(
                "these results hold no logits and classes of clean images; `evaluate` keeps them."
            )
        return clean

    def _clean(self) -> tuple[Tensor, Tensor] | None:
        verdict = self.verdicts.get(CLEAN)
        if verdict is None or verdict.logits is None or verdict.classes is None:
            return None
        return verdict.logits, verdict.classes

    @property
    def fingerprint(self) -> str | None:
        """Which images were judged, in which order; None where that is not known."""
        verdict = self.verdicts.get(CLEAN)
        return None if verdict is None or verdict.prints is None else fingerprint(verdict.prints)

    @property
    def records(self) -> list[Record]:
        """One record per attack, then those of corruptions; JSON-able, shares in [0, 1]."""
        several = len(self.verdicts) > 2 and self.counted
        names = [*self.verdicts, WORST] if several else [*self.verdicts]
        under = [] if self.corruptions is None else self.corruptions.records
        return [*(self._record(name) for name in names), *under]

    def _record(self, name: str) -> Record:
        correct = self._correct(name)
        right = accuracy(correct)
        clean, images = self._clean(), self.fingerprint
        return {
            "kind": "evaluation",
            "attack": name,
            "n": len(correct),
            "correct": int(correct.sum()),
            "accuracy": right,
            "error": 1 - right,
            **share_fields(correct),
            "clean_accuracy": self[CLEAN],
            "robustness_score": robustness_score(right, self[CLEAN]),
            **(_costs(self.verdicts[name]) if name in self.verdicts else self._worst()),
            **self._distance(name),
            **({} if images is None else {"images": images}),
            **(score_fields(*clean) if clean is not None and name == CLEAN else {}),
            **(per_class_fields(self.per_class(name)) if clean is not None else {}),
            **({"preflight": self._preflight(clean[0])} if clean and name == CLEAN else {}),
        }

    def _preflight(self, z: Tensor) -> list[Record]:
        correct = self.verdicts[CLEAN].correct
        guess = guessing(int(correct.sum()), len(correct), num_classes=z.shape[1])
        found = [outputs(z), *([] if guess is None else [guess])]
        return [dict(finding.record) for finding in found]

    def _distance(self, name: str) -> Record:
        """Tell how far the nearest error is of half of the images, of a search without a radius."""
        one = self.verdicts.get(name)
        if one is None or one.threat is None or one.threat.bounded:
            return {}
        far = torch.where(one.correct, torch.inf, one.norms)
        if CLEAN in self.verdicts:
            far = torch.where(self.verdicts[CLEAN].correct, far, 0.0)
        return {"distance_median": float(far.median())}

    def _worst(self) -> Record:
        inside = {name: self.verdicts[name].about for name in self.counted}
        left = {name: str(one) for name, one in self._threats.items() if name not in inside}
        return worst_fields(
            self.threat_model, counted=inside, left_out=left, broken_by=self.broken_by()
        )

    def to_jsonl(self, path: str | Path) -> None:
        """Append the records to a file of JSON lines.

        Args:
            path: The file, created when missing.
        """
        for record in self.records:
            records.append(Path(path), record)

    def __str__(self) -> str:
        """Write a small table of accuracies, errors and passes, and a line on clean images."""
        found = [record for record in self.records if record["kind"] == "evaluation"]
        names = [_shortened(record["attack"]) for record in found]
        wide = max(len(name) for name in names)
        head = f"{'attack':<{wide}} {'accuracy %':>10} {'error %':>8} {'n':>6} {'passes':>11}"
        rows = [
            f"{name:<{wide}} {100 * record['accuracy']:>10.2f} "
            f"{100 * record['error']:>8.2f} {record['n']:>6} {passes_each(record):>11}"
            for name, record in zip(names, found, strict=True)
        ]
        lacking = f"no worst case: {self._none_counts}" if self.threat and self._none_counts else ""
        feet = [told(found[0]), _left_out(found[-1]), lacking]
        under = [] if self.corruptions is None else ["", str(self.corruptions)]
        return "\n".join([head, *rows, *(foot for foot in feet if foot), *under])


def _shortened(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."


def passes_each(record: Record) -> str:
    """Write the passes of an image, one decimal at most.

    Args:
        record: A record of kind "evaluation".

    Returns:
        Such as "11+10", or "6.7+6.6" where images left on the way; empty where none were counted.

    Example:
        >>> passes_each({"n": 6, "forward": 40, "backward": 36})
        '6.7+6'
    """
    if "forward" not in record:
        return ""
    each = (record[way] / record["n"] for way in ("forward", "backward"))
    return "+".join(f"{one:.{0 if one == int(one) else 1}f}" for one in each)


def _left_out(last: Record) -> str:
    """Say at the foot of a table what the worst case does not count."""
    if not last.get("left_out"):
        return ""
    names = ", ".join(_shortened(name) for name in last["left_out"])
    return f"worst case: {last['threat']}; not in it: {names}"


def _costs(verdict: Verdicts) -> Record:
    return {
        **({} if verdict.about is None else about_fields(verdict.about)),
        **({} if verdict.broken_by is None else {"broken_by": dict(verdict.broken_by)}),
        "norm_median": float(verdict.norms.median()),
        "norm_max": float(verdict.norms.max()),
        "forward": verdict.forward,
        "backward": verdict.backward,
        "seconds": round(verdict.seconds, 3),
    }
