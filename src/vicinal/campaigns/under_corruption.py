"""Corruptions in tables: accuracy averaged over the five severities, beside the clean one.

What is measured is written "corrupted(by=fog)", which is its key in results; a frost whose texture
is computed says so, since its numbers cannot be compared with a paper's. A whole set is measured at
once as "corrupted(by=all)", its mean without what cannot be compared.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vicinal._typing import Batches, Model, Passes
from vicinal.attacks.result import Result
from vicinal.corruptions import CORRUPTIONS, SETS, SEVERITIES, Corruption, draw_keys
from vicinal.evaluation import corrupted
from vicinal.evaluation.corrupted import aside_of
from vicinal.gradients import clean_logits
from vicinal.recipes.calls import Call, read_call, write_call
from vicinal.records import Record

__all__ = ["AllSeverities", "accuracy_of", "is_corruption", "measure_corruption", "text_of"]

_NAME = "corrupted"


def text_of(name: str) -> str:
    """Write a corruption as the key of its measurement.

    Args:
        name: The corruption, or a set of them.

    Returns:
        The text.

    Example:
        >>> text_of("fog"), text_of("frost")
        ('corrupted(by=fog)', 'corrupted(by=frost, textures=procedural)')
    """
    computed = {"textures": "procedural"} if aside_of(_corruptions_of(name)) else {}
    return write_call(Call(name=_NAME, arguments={"by": name, **computed}))


def is_corruption(text: str) -> bool:
    """Tell whether a measurement is under a corruption.

    Args:
        text: Its key.

    Returns:
        Whether it is.
    """
    return text.startswith(f"{_NAME}(")


def _corruptions_of(name: str) -> dict[str, Corruption[Any, Any]]:
    return {one: CORRUPTIONS[one] for one in SETS.get(name, (name,))}


def corruptions_of(text: str) -> dict[str, Corruption[Any, Any]]:
    """Find the corruptions of a measurement.

    Args:
        text: Its key.

    Returns:
        One corruption, or those of a set, by name.
    """
    return _corruptions_of(_named(text))


def _named(text: str) -> str:
    return str(read_call(text).arguments["by"])


def measure_corruption(
    model: nn.Module, batches: Batches, text: str, *, rng: torch.Generator
) -> Record:
    """Measure a model under one corruption, or under a set of them.

    Args:
        model: The model.
        batches: The images.
        text: The measurement's key.
        rng: Where all draws come from.

    Returns:
        One record: accuracy and error as means over the five severities, R = A / A_clean, and the
        accuracy at each severity; of a set, means over those of ImageNet-C that can be
        compared, and `by_corruption`, the accuracies under each.
    """
    name, named = _named(text), corruptions_of(text)
    one = name not in SETS
    found = corrupted(model, batches, corruptions=named, rng=rng, procedural=one)
    each = {
        key: [found.accuracy(key, severity) for severity in SEVERITIES] for key in found.correct
    }
    details = {"by_severity": each[name]} if one else {"by_corruption": each}
    right = found.mean
    return {
        "kind": "evaluation",
        "attack": text,
        "n": found.n,
        "accuracy": right,
        "error": 1 - right,
        "robustness_score": right / found.clean if found.clean else None,
        "clean_accuracy": found.clean,
        **details,
        "forward": found.forward,
        "backward": 0,
        "seconds": round(found.seconds, 3),
    }


def accuracy_of(record: Mapping[str, Any], part: str) -> float | None:
    """Read one accuracy out of a measurement under a set of corruptions.

    Args:
        record: What was measured.
        part: A corruption, or "clean" for the same images as they are.

    Returns:
        The accuracy, of a corruption its mean over the severities; None where there is none.

    Example:
        >>> accuracy_of({"by_corruption": {"fog": [0.5, 0.25]}}, "fog")
        0.375
    """
    if part == "clean":
        found: float | None = record.get("clean_accuracy")
        return found
    each = record.get("by_corruption", {}).get(part)
    return statistics.fmean(each) if each else None


@dataclass(frozen=True, kw_only=True)
class AllSeverities:
    """Corruptions at all five severities in the form of an attack, to be timed before a campaign.

    Args:
        text: The measurement's key.
    """

    text: str

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Corrupt and judge one batch five times for each."""
        began, n = time.perf_counter(), x.shape[0]
        named = corruptions_of(self.text).values()
        for corruption, severity in itertools.product(named, SEVERITIES):
            bad = corruption(x, severity=severity, keys=draw_keys(n, rng))
            z = clean_logits(model, bad)
        return Result(
            adv=bad,
            success=z.argmax(dim=1) != y,
            norms=torch.zeros(n),
            passes=Passes(len(named) * len(SEVERITIES), 0),
            seconds=time.perf_counter() - began,
        )
