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
from vicinal.metrics.robustness import robustness_score

__all__ = ["Bin", "ClassAccuracy", "accuracy", "brier_score", "expected_calibration_error"]
__all__ += ["in_top_k", "negative_log_likelihood", "per_class_accuracy", "reliability"]
__all__ += ["robustness_score", "top_k_error"]
