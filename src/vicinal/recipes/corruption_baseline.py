"""The net that mCE compares with: a published one, or a run judged under corruptions before.

mCE divides errors by errors, so both must be of the same images at the same severities. Whatever
differs is told before anything is judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from vicinal import metrics, records
from vicinal._checks import InputError, choice
from vicinal.corruptions import SEVERITIES
from vicinal.records import Record

__all__ = ["Setting", "baseline_of", "fitting"]

IMAGENET = ("imagenet", "imagenet-100", "imagenet-c")
"""The images that the published errors may stand beside."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What an evaluation under corruptions is of.

    Args:
        dataset: The data set of the model, whose images are corrupted.
        files: The published set that is judged instead; None where there is none.
        split: "test" or "validation".
        n: How many images, of each corruption and severity.
        severities: Which of 1 to 5.
    """

    dataset: str
    files: str | None = None
    split: str
    n: int
    severities: tuple[int, ...] = SEVERITIES


def baseline_of(text: str) -> metrics.Baseline:
    """Find the net that mCE compares with.

    Args:
        text: A key of `metrics.BASELINES`, or a run folder that was judged under corruptions.

    Returns:
        The baseline; a run's is named by its folder, and is what its last evaluation under
        corruptions found, of those that the mean there is over.

    Raises:
        InputError: If it is neither, or was not judged at all five severities.

    Example:
        >>> baseline_of("alexnet").clean
        0.435
    """
    if not Path(text).is_dir():
        return metrics.BASELINES[choice("baseline", text, metrics.BASELINES)]
    summary, errors = _last(text)
    if tuple(summary["severities"]) != SEVERITIES:
        raise InputError(
            f"`baseline` must have been judged at all five severities; {text} was at "
            f"{summary['severities']}."
        )
    clean = summary["clean_accuracy"]
    name = Path(text).resolve().name
    return metrics.Baseline(name=name, errors=errors, clean=None if clean is None else 1 - clean)


def fitting(text: str, own: Setting, over: Sequence[str]) -> metrics.Baseline:
    """Find the baseline, and see that it was judged on what the run is to be judged on.

    Args:
        text: As for `baseline_of`.
        own: What the run is judged on.
        over: The corruptions that its mean is over.

    Returns:
        The baseline; a run's of those corruptions alone.

    Raises:
        InputError: If the two must not be compared.

    Example:
        >>> fitting("alexnet", Setting(dataset="imagenet", split="test", n=100), ["fog"]).clean
        0.435
    """
    found = baseline_of(text)
    if own.severities != SEVERITIES:
        raise InputError(
            "`severities` must be 1-5 beside a baseline, whose errors are means over five; got "
            f"{_told(own.severities)}."
        )
    if not Path(text).is_dir():
        return _published(text, own, found)
    _check_same(text, own)
    missing = [name for name in over if name not in found.errors]
    if missing:
        raise InputError(
            f"`baseline` must have been judged under the corruptions that the run is; {text} was "
            f"not, or not comparably, under {', '.join(missing)}, only {', '.join(found.errors)}."
        )
    errors = {name: found.errors[name] for name in over}
    return metrics.Baseline(name=found.name, errors=errors, clean=found.clean)


def _published(text: str, own: Setting, found: metrics.Baseline) -> metrics.Baseline:
    images = own.files or own.dataset
    if images not in IMAGENET:
        raise InputError(
            f"`baseline` must be a run judged on {images}; {text} has errors on ImageNet-C, which "
            f"go with {', '.join(IMAGENET)} alone."
        )
    return found


def _check_same(text: str, own: Setting) -> None:
    """Compare setting by setting; what differs is told in one sentence."""
    summary, _ = _last(text)
    names = [field.name for field in fields(Setting)]
    pairs = {name: (_told(summary.get(name)), _told(getattr(own, name))) for name in names}
    unlike = [f"{name} {its}, not {here}" for name, (its, here) in pairs.items() if its != here]
    if unlike:
        raise InputError(
            f"`baseline` must have been judged on what the run is; {text} was last on "
            f"{' and '.join(unlike)}. Judge it anew in the same way?"
        )


def _told(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _last(text: str) -> tuple[Record, dict[str, float]]:
    """Read the last evaluation under corruptions: what closes it, and its errors."""
    found = records.read(Path(text) / "results.jsonl", keep=_is_of_corruptions)
    ends = [k for k, record in enumerate(found) if record["kind"] == "corruptions"]
    summary: Record = found[ends[-1]] if ends else {"over": []}
    # One evaluation writes its records with the same facts; of namesakes the nearest is its own.
    means = {
        str(record["corruption"]): float(record["error"])
        for record in (found[: ends[-1]] if ends else [])
        if record["kind"] == "corruption" and _is_mean_of(summary, record)
    }
    errors = {name: means[name] for name in summary["over"] if name in means}
    if not errors or len(errors) < len(summary["over"]):
        raise InputError(
            f"`baseline` must have been judged under corruptions; {text} has no such records. "
            f"Did you mean vicinal evaluate {text} --corruptions all, first?"
        )
    return summary, errors


def _is_of_corruptions(record: Mapping[str, Any]) -> bool:
    return record.get("kind") in ("corruption", "corruptions")


def _is_mean_of(summary: Record, record: Record) -> bool:
    """Tell whether a record is a corruption's mean of the evaluation that the summary closes."""
    if record.get("severity") is not None:
        return False
    shared = summary.keys() & record.keys() - _FIGURES
    same = all(summary[name] == record[name] for name in shared)
    return same and record["n"] == summary["n"] * len(summary["severities"])


_FIGURES = {"kind", "n", "accuracy", "error", "robustness_score", "ece"}
"""Fields of both kinds of records that differ within one evaluation."""
