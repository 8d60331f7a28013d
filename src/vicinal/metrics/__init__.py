"""Figures of merit: tensors go in, floats come out."""

from vicinal.metrics.accuracy import accuracy, top_k_error
from vicinal.metrics.robustness import robustness_score

__all__ = ["accuracy", "robustness_score", "top_k_error"]
