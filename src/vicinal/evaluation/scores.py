"""What a record says beyond right and wrong: of the logits, and of each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from torch import Tensor

from vicinal.evaluation.packing import pack
from vicinal.evaluation.threat import About, Threat
from vicinal.metrics import (
    ClassAccuracy,
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
    top_k_error,
    wilson,
)
from vicinal.records import Record

__all__ = ["about_fields", "per_class_fields", "score_fields", "share_fields", "told"]
__all__ += ["top5_error", "worst_fields"]

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


def share_fields(correct: Tensor) -> Record:
    """Write how sure an accuracy is, and the verdict on every image.

    Args:
        correct: Whether the model was right, shape (N,), bool.

    Returns:
        The fields: Wilson's interval at 95 %, and the verdicts as `packing.unpack` reads them.
    """
    low, high = wilson(int(correct.sum()), len(correct))
    return {"interval": [low, high], "right": pack(correct)}


def about_fields(about: About) -> Record:
    """Write what is said of an attack as fields of its record.

    Args:
        about: Threat model, access and parameters.

    Returns:
        The fields.
    """
    threat = about.threat
    return {
        "threat": None if threat is None else str(threat),
        "threat_model": "says no radius" if threat is None else threat.words,
        "access": about.access,
        "parameters": dict(about.parameters),
        **({} if about.source is None else {"source": about.source}),
    }


def worst_fields(
    threat: Threat | None,
    *,
    counted: Mapping[str, About | None],
    left_out: Mapping[str, str],
    broken_by: Sequence[str | None],
) -> Record:
    """Write which attacks make up the worst case, and which of them broke how many images.

    Args:
        threat: Its threat model.
        counted: The attacks within it, and what is said of each.
        left_out: The others, and their threat models.
        broken_by: For every image the first attack that broke it.

    Returns:
        The fields.
    """
    counts = Counter(name for name in broken_by if name is not None)
    ordered = {name: counts[name] for name in ("clean", *counted) if counts[name]}
    known = {name: about for name, about in counted.items() if about is not None}
    return {
        "threat": None if threat is None else str(threat),
        "threat_model": "says no radius" if threat is None else threat.words,
        "attacks": list(counted),
        "smaller": _smaller(known, threat),
        "digests": {name: about.digest for name, about in known.items()},
        "left_out": dict(left_out),
        "broken_by": ordered,
    }


def _smaller(known: Mapping[str, About], threat: Threat | None) -> dict[str, str]:
    """Name the attacks that search a part of the ball only, and their own balls."""
    own = {name: about.threat for name, about in known.items() if about.threat is not None}
    return {name: str(one) for name, one in own.items() if threat and not one.holds(threat)}


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
