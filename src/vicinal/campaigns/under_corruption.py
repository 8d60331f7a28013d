"""Corruptions in tables: accuracy averaged over the five severities, beside the clean one.

What is measured is written "corrupted(by=fog)", which is its key in results; a frost whose texture
is computed says so, since its numbers cannot be compared with a paper's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vicinal._typing import Batches, Model, Passes
from vicinal.attacks.result import Result
from vicinal.corruptions import CORRUPTIONS, SEVERITIES, Corruption, draw_keys
from vicinal.evaluation import corrupted
from vicinal.gradients import clean_logits
from vicinal.recipes.calls import Call, read_call, write_call
from vicinal.records import Record

__all__ = ["AllSeverities", "is_corruption", "measure_corruption", "text_of"]

_NAME = "corrupted"


def text_of(name: str) -> str:
    """Write a corruption as the key of its measurement.

    Args:
        name: The corruption.

    Returns:
        The text.

    Example:
        >>> text_of("fog"), text_of("frost")
        ('corrupted(by=fog)', 'corrupted(by=frost, textures=procedural)')
    """
    corruption = CORRUPTIONS[name]
    computed = {} if getattr(corruption, "comparable", True) else {"textures": "procedural"}
    return write_call(Call(name=_NAME, arguments={"by": name, **computed}))


def is_corruption(text: str) -> bool:
    """Tell whether a measurement is under a corruption.

    Args:
        text: Its key.

    Returns:
        Whether it is.
    """
    return text.startswith(f"{_NAME}(")


def corruption_of(text: str) -> tuple[str, Corruption[Any, Any]]:
    """Find the corruption of a measurement.

    Args:
        text: Its key.

    Returns:
        Its name, and the corruption.
    """
    name = str(read_call(text).arguments["by"])
    return name, CORRUPTIONS[name]


def measure_corruption(
    model: nn.Module, batches: Batches, text: str, *, rng: torch.Generator
) -> Record:
    """Measure a model under one corruption.

    Args:
        model: The model.
        batches: The images.
        text: The measurement's key.
        rng: Where all draws come from.

    Returns:
        One record: accuracy and error as means over the five severities, R = A / A_clean, and the
        accuracy at each severity.
    """
    name, corruption = corruption_of(text)
    found = corrupted(model, batches, corruptions={name: corruption}, rng=rng, procedural=True)
    right = found.accuracy(name)
    return {
        "kind": "evaluation",
        "attack": text,
        "n": found.n,
        "accuracy": right,
        "error": 1 - right,
        "robustness_score": found.robustness(name),
        "clean_accuracy": found.clean,
        "by_severity": [found.accuracy(name, severity) for severity in SEVERITIES],
        "forward": found.forward,
        "backward": 0,
        "seconds": round(found.seconds, 3),
    }


@dataclass(frozen=True, kw_only=True)
class AllSeverities:
    """A corruption at all five severities in the form of an attack, to be timed before a campaign.

    Args:
        text: The measurement's key.
    """

    text: str

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Corrupt and judge one batch five times."""
        began, n = time.perf_counter(), x.shape[0]
        _, corruption = corruption_of(self.text)
        for severity in SEVERITIES:
            bad = corruption(x, severity=severity, keys=draw_keys(n, rng))
            z = clean_logits(model, bad)
        return Result(
            adv=bad,
            success=z.argmax(dim=1) != y,
            norms=torch.zeros(n),
            passes=Passes(len(SEVERITIES), 0),
            seconds=time.perf_counter() - began,
        )
