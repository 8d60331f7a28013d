r"""Errors under corruptions, and the two ways to set them against a baseline net.

.. math:: CE_c = \frac{\sum_s E_{s,c}}{\sum_s E^{base}_{s,c}}, \qquad
          CE^{rel}_c = \frac{\sum_s (E_{s,c} - E_{clean})}{\sum_s (E^{base}_{s,c} -
          E^{base}_{clean})}

(D. Hendrycks, T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", 2019, section 4). Their means over the 15 corruptions are mCE and relative mCE. The
scale is the baseline's, so a baseline has a name, and two figures with different ones must not be
compared. CIFAR-10-C has no baseline: its figure is the plain mean error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from vicinal._checks import InputError

__all__ = ["BASELINES", "Baseline", "corruption_error", "mean_corruption_error"]
__all__ += ["mean_error", "relative_corruption_error", "relative_mean_corruption_error"]

Errors = Mapping[str, Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What a reference net does under every corruption.

    Args:
        name: What net it is, and whose numbers.
        errors: Mean error over the five severities of each corruption, in [0, 1].
        clean: Its clean error, in [0, 1]; None where it is not known.
    """

    name: str
    errors: Mapping[str, float]
    clean: float | None = None


def _per_cent(*values: float) -> dict[str, float]:
    return dict(zip(_FIFTEEN, (value / 100 for value in values), strict=True))


_FIFTEEN = (
    *("gaussian_noise", "shot_noise", "impulse_noise"),
    *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness"),
    *("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
)

BASELINES: dict[str, Baseline] = {
    "alexnet": Baseline(
        name="AlexNet on ImageNet-C (Hendrycks & Dietterich 2019)",
        errors=_per_cent(
            *(88.6428, 89.4468, 92.2640),
            *(81.9880, 82.6268, 78.5948, 79.8360),
            *(86.6816, 82.6572, 81.9324, 56.4592),
            *(85.3204, 64.6056, 71.7840, 60.6500),
        ),
        clean=0.435,
    ),
    "alexnet-robustbench": Baseline(
        name="AlexNet of torchvision on 5,000 images of ImageNet-C (RobustBench)",
        errors=_per_cent(
            *(88.16, 88.83, 91.72),
            *(82.20, 83.08, 78.72, 79.57),
            *(86.80, 83.15, 82.36, 55.85),
            *(85.43, 64.80, 71.86, 60.68),
        ),
    ),
}
"""The baselines that mCE figures are published with; their scales differ."""


def mean_error(errors: Errors) -> float:
    """Give the plain mean over corruptions and severities, as it is reported for CIFAR-10-C.

    Args:
        errors: For each corruption its error at each severity, in [0, 1].

    Returns:
        The mean over corruptions of the means over severities, in [0, 1].

    Raises:
        InputError: If there is no corruption.

    Example:
        >>> mean_error({"fog": [0.25, 0.75], "snow": [0.0, 0.0]})
        0.25
    """
    if not errors:
        raise InputError("`errors` must hold at least one corruption; got none.")
    return fmean(fmean(values) for values in errors.values())


def corruption_error(errors: Sequence[float], corruption: str, baseline: Baseline) -> float:
    """Give a net's errors under a corruption over the baseline's.

    Args:
        errors: The error at each of the five severities, in [0, 1].
        corruption: Which corruption.
        baseline: The reference net.

    Returns:
        CE_c as a ratio: 1 is the baseline itself; NaN where that never errs.

    Raises:
        InputError: If the baseline has no such corruption, or not all severities are there.

    Example:
        >>> half = Baseline(name="half", errors={"fog": 0.5})
        >>> corruption_error([0.1, 0.2, 0.3, 0.4, 0.5], "fog", half)
        0.6
    """
    below = 5 * _of(baseline, corruption)
    return sum(_five(errors)) / below if below else math.nan


def mean_corruption_error(errors: Errors, baseline: Baseline) -> float:
    """Give mCE: the mean of the corruption errors over the baseline's corruptions, in per cent.

    Args:
        errors: For each corruption its error at each of the five severities, in [0, 1].
        baseline: The reference net.

    Returns:
        mCE in per cent, 100 for the baseline itself; NaN where a corruption of the baseline is
        missing, since a mean over others is another figure. Further corruptions are left out.
    """
    if not errors.keys() >= baseline.errors.keys():
        return math.nan
    return 100 * fmean(corruption_error(errors[name], name, baseline) for name in baseline.errors)


def relative_corruption_error(
    errors: Sequence[float], clean: float, corruption: str, baseline: Baseline
) -> float:
    """Give what a corruption adds to a net's clean error, over what it adds to the baseline's.

    Args:
        errors: The error at each of the five severities, in [0, 1].
        clean: The net's clean error, in [0, 1].
        corruption: Which corruption.
        baseline: The reference net.

    Returns:
        The ratio; NaN where the baseline's clean error is not known, or nothing is added to it.
    """
    if baseline.clean is None:
        return math.nan
    added = sum(_five(errors)) - 5 * clean
    below = 5 * (_of(baseline, corruption) - baseline.clean)
    return added / below if below else math.nan


def relative_mean_corruption_error(errors: Errors, clean: float, baseline: Baseline) -> float:
    """Give relative mCE in per cent: how much a net degrades, beside how much the baseline does.

    Args:
        errors: For each corruption its error at each of the five severities, in [0, 1].
        clean: The net's clean error, in [0, 1].
        baseline: The reference net.

    Returns:
        Relative mCE in per cent; NaN where a corruption of the baseline is missing, or the
        baseline's clean error is not known.
    """
    if not errors.keys() >= baseline.errors.keys():
        return math.nan
    return 100 * fmean(
        relative_corruption_error(errors[name], clean, name, baseline) for name in baseline.errors
    )


def _five(errors: Sequence[float]) -> Sequence[float]:
    if len(errors) != 5:
        raise InputError(
            f"`errors` must hold one error for each of five severities; got {len(errors)}."
        )
    return errors


def _of(baseline: Baseline, corruption: str) -> float:
    if corruption not in baseline.errors:
        known = ", ".join(baseline.errors)
        raise InputError(f"{baseline.name} has no {corruption!r}; it has {known}.")
    return baseline.errors[corruption]
