"""What an evaluation found: one record per attack, and what every single image went through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vicinal import records
from vicinal._checks import InputError, suggest
from vicinal.metrics import accuracy, robustness_score
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
    """

    correct: Tensor
    norms: Tensor
    forward: int
    backward: int
    seconds: float


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
        if attack == WORST:
            return accuracy(self.worst_case())
        if attack not in self.verdicts:
            raise InputError(f"no attack {attack!r} in these results.{suggest(attack, self)}")
        return accuracy(self.verdicts[attack].correct)

    def __iter__(self) -> Iterator[str]:
        """Run through the attacks' names, "clean" first."""
        return iter(self.verdicts)

    def worst_case(self) -> Tensor:
        """Tell which images every attack left right, clean included.

        Returns:
            Shape (N,), bool: the minimum over attacks image by image, never the minimum of means.
        """
        return torch.stack([verdict.correct for verdict in self.verdicts.values()]).all(dim=0)

    @property
    def records(self) -> list[Record]:
        """One record per attack, JSON-able; errors and accuracies are shares in [0, 1]."""
        found = [_record(name, verdict, self[CLEAN]) for name, verdict in self.verdicts.items()]
        if len(self.verdicts) > 2:
            worst = accuracy(self.worst_case())
            n = len(self.worst_case())
            found.append({
                "kind": "evaluation",
                "attack": WORST,
                "n": n,
                "correct": int(self.worst_case().sum()),
                "accuracy": worst,
                "error": 1 - worst,
                "robustness_score": robustness_score(worst, self[CLEAN]),
            })
        return found

    def to_jsonl(self, path: str | Path) -> None:
        """Append the records to a file of JSON lines.

        Args:
            path: The file, created when missing.
        """
        for record in self.records:
            records.append(Path(path), record)

    def __str__(self) -> str:
        """Write a small table: attack, accuracy and error in per cent, images, passes per image."""
        found = self.records
        names = [_shortened(record["attack"]) for record in found]
        wide = max(len(name) for name in names)
        head = f"{'attack':<{wide}} {'accuracy %':>10} {'error %':>8} {'n':>6} {'passes':>11}"
        rows = [
            f"{name:<{wide}} {100 * record['accuracy']:>10.2f} "
            f"{100 * record['error']:>8.2f} {record['n']:>6} {_passes(record):>11}"
            for name, record in zip(names, found, strict=True)
        ]
        return "\n".join([head, *rows])


def _shortened(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."


def _passes(record: Record) -> str:
    if "forward" not in record:
        return ""
    return f"{record['forward'] / record['n']:g}+{record['backward'] / record['n']:g}"


def _record(name: str, verdict: Verdicts, clean: float) -> Record:
    right = accuracy(verdict.correct)
    return {
        "kind": "evaluation",
        "attack": name,
        "n": len(verdict.correct),
        "correct": int(verdict.correct.sum()),
        "accuracy": right,
        "error": 1 - right,
        "robustness_score": robustness_score(right, clean),
        "norm_median": float(verdict.norms.median()),
        "norm_max": float(verdict.norms.max()),
        "forward": verdict.forward,
        "backward": verdict.backward,
        "seconds": round(verdict.seconds, 3),
    }
