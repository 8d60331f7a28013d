"""Norms of input gradients in tables: BAT's table 2, least, mean and largest of all test images.

What is measured is written "input_gradients(loss=ce)", which is its key in results. One measurement
holds every number of a net: of all images, of those that it gets right, and of the others.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vicinal._typing import Batches, Model, Passes
from vicinal.attacks.result import Result
from vicinal.evaluation import input_gradients
from vicinal.recipes.calls import Call, write_call
from vicinal.records import Record

__all__ = ["NORMS", "Gradients", "measure_norms", "norm_in"]

_LOSS = "ce"

NORMS = write_call(Call(name="input_gradients", arguments={"loss": _LOSS}))
"""The key of the measurement."""

_FIELD = "squared_l2_input_gradient"


def norm_in(record: Record, metric: str, *, condition: str) -> float | None:
    """Read one number of a measurement.

    Args:
        record: What was measured.
        metric: Such as "squared_l2_input_gradient_mean".
        condition: Of which images, as the paper says it, such as "wrong test images".

    Returns:
        The squared norm; None where it was not measured, or there is no such image.

    Example:
        >>> record = {"squared_l2_input_gradient": {"wrong": {"min": 0.5}}}
        >>> norm_in(record, "squared_l2_input_gradient_min", condition="wrong test images")
        0.5
    """
    spread = record.get(_FIELD, {}).get(condition.partition(" ")[0], {})
    found: float | None = spread.get(metric.rpartition("_")[2])
    return found


def measure_norms(model: nn.Module, batches: Batches) -> Record:
    """Measure the gradients of a model's cross-entropy at its clean images.

    Args:
        model: The model.
        batches: The images.

    Returns:
        One record of kind "input_gradients", its scale named.

    Cost: one forward and one backward pass.
    """
    began = time.perf_counter()
    record = input_gradients(model, batches, losses=(_LOSS,))[_LOSS].record
    # In a run's records `scale` is the recipe's.
    scale, n = record.pop("scale"), record["n"]
    spent = {"forward": n, "backward": n, "seconds": round(time.perf_counter() - began, 3)}
    return {**record, "attack": NORMS, "pixel_scale": scale, **spent}


@dataclass(frozen=True, kw_only=True)
class Gradients:
    """The measurement in the form of an attack, to be timed before a campaign."""

    def __call__(
        self, model: Model, x: Tensor, y: Tensor, *, rng: torch.Generator | None = None
    ) -> Result:
        """Take the gradients of one batch."""
        del rng
        began, n = time.perf_counter(), x.shape[0]
        found = input_gradients(model, (x, y), losses=(_LOSS,))[_LOSS]
        return Result(
            adv=x,
            success=~found.correct.to(x.device),
            norms=torch.zeros(n),
            passes=Passes(1, 1),
            seconds=time.perf_counter() - began,
        )
