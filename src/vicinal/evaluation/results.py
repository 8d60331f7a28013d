"""What an evaluation found: one record per attack, and what every single image went through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vicinal import records
from vicinal._checks import InputError, suggest
from vicinal.evaluation.scores import per_class_fields, score_fields, told, top5_error
from vicinal.metrics import (
    ClassAccuracy,
    accuracy,
    expected_calibration_error,
    per_class_accuracy,
    robustness_score,
)
from vicinal.records import Record

__all__ = ["CLEAN", "WORST", "Results", "Verdicts"]

CLEAN = "clean"
"""The name of the column without an attack."""

WORST = "worst case"
"""The name of the column in which an image counts only if no attack broke it."""


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
    """

    correct: Tensor
    norms: Tensor
    forward: int
    backward: int
    seconds: float
    logits: Tensor | None = None
    classes: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Results:
    """An evaluation: `results["pgd"]` is one attack's accuracy, `records` all of it as data.

    Args:
        verdicts: What each attack did, by name, "clean" first.

    Example:
        >>> right = torch.tensor([True, True, False, True])
        >>> clean = Verdicts(
        ...     correct=right, norms=torch.zeros(4), forward=4, backward=0, seconds=0.0
        ... )
        >>> Results(verdicts={"clean": clean})["clean"]
        0.75
    """

    verdicts: Mapping[str, Verdicts]

    def __getitem__(self, attack: str) -> float:
        """Give the accuracy under an attack, "clean", or "worst case".

        Args:
            attack: Its name.

        Returns:
            The share of images still right, in [0, 1].

        Raises:
            InputError: If no such attack was run.
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

    def worst_case(self) -> Tensor:
        """Tell which images every attack left right, clean included.

        Returns:
            Shape (N,), bool: the minimum over attacks image by image, never the minimum of means.
        """
        return torch.stack([verdict.correct for verdict in self.verdicts.values()]).all(dim=0)

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
    def records(self) -> list[Record]:
        """One record per attack, JSON-able; errors and accuracies are shares in [0, 1]."""
        names = [*self.verdicts, WORST] if len(self.verdicts) > 2 else [*self.verdicts]
        return [self._record(name) for name in names]

    def _record(self, name: str) -> Record:
        correct = self._correct(name)
        right = accuracy(correct)
        clean = self._clean()
        return {
            "kind": "evaluation",
            "attack": name,
            "n": len(correct),
            "correct": int(correct.sum()),
            "accuracy": right,
            "error": 1 - right,
            "robustness_score": robustness_score(right, self[CLEAN]),
            **(_costs(self.verdicts[name]) if name in self.verdicts else {}),
            **(score_fields(*clean) if clean is not None and name == CLEAN else {}),
            **(per_class_fields(self.per_class(name)) if clean is not None else {}),
        }

    def to_jsonl(self, path: str | Path) -> None:
        """Append the records to a file of JSON lines.

        Args:
            path: The file, created when missing.
        """
        for record in self.records:
            records.append(Path(path), record)

    def __str__(self) -> str:
        """Write a small table of accuracies, errors and passes, and a line on clean images."""
        found = self.records
        names = [_shortened(record["attack"]) for record in found]
        wide = max(len(name) for name in names)
        head = f"{'attack':<{wide}} {'accuracy %':>10} {'error %':>8} {'n':>6} {'passes':>11}"
        rows = [
            f"{name:<{wide}} {100 * record['accuracy']:>10.2f} "
            f"{100 * record['error']:>8.2f} {record['n']:>6} {_passes(record):>11}"
            for name, record in zip(names, found, strict=True)
        ]
        foot = told(found[0])
        return "\n".join([head, *rows, *([foot] if foot else [])])


def _shortened(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."


def _passes(record: Record) -> str:
    if "forward" not in record:
        return ""
    return f"{record['forward'] / record['n']:g}+{record['backward'] / record['n']:g}"


def _costs(verdict: Verdicts) -> Record:
    return {
        "norm_median": float(verdict.norms.median()),
        "norm_max": float(verdict.norms.max()),
        "forward": verdict.forward,
        "backward": verdict.backward,
        "seconds": round(verdict.seconds, 3),
    }
