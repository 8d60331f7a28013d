"""Figures of merit: tensors go in, floats come out."""

from vicinal.metrics.accuracy import (
    ClassAccuracy,
    accuracy,
    in_top_k,
    per_class_accuracy,
    top_k_error,
)
from vicinal.metrics.calibration import (
    Bin,
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
)
from vicinal.metrics.corruption import (
    BASELINES,
    Baseline,
    corruption_error,
    mean_corruption_error,
    mean_error,
    relative_corruption_error,
    relative_mean_corruption_error,
)
from vicinal.metrics.intervals import Interval, fisher_exact, mcnemar, wilson
from vicinal.metrics.robustness import robustness_score

__all__ = ["Bin", "ClassAccuracy", "Interval", "accuracy", "brier_score"]
__all__ += ["expected_calibration_error", "fisher_exact", "in_top_k", "mcnemar"]
__all__ += ["negative_log_likelihood", "per_class_accuracy", "reliability", "robustness_score"]
__all__ += ["top_k_error", "wilson"]
__all__ += ["BASELINES", "Baseline", "corruption_error", "mean_corruption_error", "mean_error"]
__all__ += ["relative_corruption_error", "relative_mean_corruption_error"]
