"""A cell: one number of a table, with its exact attack and what the paper says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vicinal.campaigns.gradient_norms import norm_in
from vicinal.campaigns.threats import Threat
from vicinal.campaigns.under_corruption import accuracy_of

__all__ = ["FIELDS", "RATIOS", "SPREADS", "Cell"]

FIELDS = {
    "top1_error": "error",
    "top5_error": "top5_error",
    "accuracy": "accuracy",
    "robustness_score": "robustness_score",
    "squared_l2_input_gradient_min": "squared_l2_input_gradient",
    "squared_l2_input_gradient_mean": "squared_l2_input_gradient",
    "squared_l2_input_gradient_max": "squared_l2_input_gradient",
}
"""The field of an evaluation's record that a metric is."""

RATIOS = frozenset({"robustness_score"})
"""Metrics that are an accuracy over another."""

SPREADS = frozenset(name for name in FIELDS if name.startswith("squared_l2_input_gradient"))
"""Metrics of input gradients: least, mean and largest."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number of a table: what is measured, on what, and what the paper says.

    Args:
        table: The table's name, "alps/table-2".
        dataset: As the paper prints it.
        model: As the paper prints it.
        method: The row as the paper prints it.
        key: The row's `--method`.
        condition: Clean, or the attack in words.
        metric: "top1_error", "top5_error", "accuracy", "robustness_score", one of
            `SPREADS`, or one not built yet.
        threat: The attack; None for clean images.
        paper: The paper's number, if it has one.
        paper_std: Its spread, if it has one.
        decimals: Digits after the point.
        decimals_std: Digits after the point of the paper's spread.
        recipe: The recipe that trains it; None where there is none.
        part: Of a measurement under several corruptions, which one, or "clean"; empty for all.
        lacking: What must be built before it can be measured, in words; empty where nothing must.
    """

    table: str
    dataset: str
    model: str
    method: str
    key: str
    condition: str
    metric: str
    threat: Threat | None
    paper: float | None = None
    paper_std: float | None = None
    decimals: int = 2
    decimals_std: int = 3
    recipe: str | None = None
    part: str = ""
    lacking: str = ""

    @property
    def recipes(self) -> tuple[str, ...]:
        """The recipes that it needs: its own first, then that of a source of another net."""
        if self.recipe is None:
            return ()
        other = "" if self.threat is None else self.threat.source_recipe
        return (self.recipe, other) if other else (self.recipe,)

    @property
    def unit(self) -> int:
        """By what tables multiply: 100 for shares, printed in per cent, 1 for all else."""
        return 1 if self.metric in RATIOS | SPREADS else 100

    def number_in(self, record: Mapping[str, Any]) -> float | None:
        """Read this number.

        Args:
            record: What was measured.

        Returns:
            The number as it was measured; None where the record holds none.
        """
        if self.metric in SPREADS:
            return norm_in(dict(record), self.metric, condition=self.condition)
        if self.part:
            return accuracy_of(record, self.part)
        found: float | None = record.get(FIELDS.get(self.metric, ""))
        return found

    def is_in(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a measurement holds this number; older versions kept no top-5 error.

        Args:
            record: What was measured under the cell's attack.

        Returns:
            Whether it is there, or would be no more there if measured again.

        Example:
            >>> from vicinal.campaigns import cells_of
            >>> cells = cells_of("alps/table-4", scale="full")
            >>> [cell.is_in({"attack": "clean", "error": 0.5}) for cell in cells[:2]]
            [True, False]
        """
        return self.metric != "top5_error" or FIELDS[self.metric] in record or "ece" in record
