"""What a record says beyond right and wrong: of the logits, and of each class."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from vicinal.metrics import (
    ClassAccuracy,
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
    top_k_error,
)
from vicinal.records import Record

__all__ = ["per_class_fields", "score_fields", "told", "top5_error"]

_GUESSES = 5


def top5_error(z: Tensor, y: Tensor) -> float | None:
    """Give the top-5 error where five guesses can miss.

    Args:
        z: Logits, shape (N, K).
        y: Classes, shape (N,).

    Returns:
        The share, in [0, 1]; None with five classes or fewer.
    """
    return top_k_error(z, y, k=_GUESSES) if z.shape[1] > _GUESSES else None


def score_fields(z: Tensor, y: Tensor) -> Record:
    """Write what the logits of clean images say, as fields of their record.

    Args:
        z: Logits, shape (N, K).
        y: Classes, shape (N,).

    Returns:
        The fields; `top5_error` among them only with more than five classes.
    """
    top5 = top5_error(z, y)
    bins = reliability(z, y)
    return {
        **({} if top5 is None else {"top5_error": top5}),
        "ece": expected_calibration_error(z, y),
        "nll": negative_log_likelihood(z, y),
        "brier": brier_score(z, y),
        "reliability": {
            "n": [one.n for one in bins],
            "confidence": [one.confidence for one in bins],
            "accuracy": [one.accuracy for one in bins],
        },
    }


def told(clean: Record) -> str:
    """Write what the fields of `score_fields` say, for the foot of a table.

    Args:
        clean: The record of clean images.

    Returns:
        One line; empty where the record has none of them.

    Example:
        >>> told({"top5_error": 0.125, "ece": 0.0346, "nll": 0.5})
        'clean: top-5 error 12.50 %, calibration error (ECE) 3.46 %'
    """
    names = {"top5_error": "top-5 error", "ece": "calibration error (ECE)"}
    words = [f"{name} {100 * clean[key]:.2f} %" for key, name in names.items() if key in clean]
    return f"clean: {', '.join(words)}" if words else ""


def per_class_fields(found: Sequence[ClassAccuracy]) -> Record:
    """Write the accuracy over each class as a field of a record.

    Args:
        found: One pair per class.

    Returns:
        The field: two lists, one entry per class.
    """
    lists = {"n": [one.n for one in found], "accuracy": [one.accuracy for one in found]}
    return {"per_class": lists}
