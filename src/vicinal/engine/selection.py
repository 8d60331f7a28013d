"""Which weights a run ends with: the last, or those of the epoch that scored best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from vicinal._checks import InputError, number
from vicinal._typing import Model
from vicinal.records import Record

__all__ = ["SCORE", "Best", "Validate"]

SCORE = "score"
"""The field of a validation's record that `Best` compares; larger is better."""


class Validate(Protocol):
    """Judges the weights after an epoch, on images that are neither trained nor tested on."""

    def __call__(self, model: Model, epoch: int) -> Record:
        """Return fields for the epoch's record, `score` among them where weights are selected."""
        ...


class Best:
    """The weights of the epoch with the highest score so far; of equal scores the earlier stays.

    Example:
        >>> import torch
        >>> net, best = torch.nn.Linear(1, 1), Best()
        >>> for epoch, score in enumerate([0.5, 0.7, 0.7], 1):
        ...     best.see(net, {"epoch": epoch, "score": score})
        >>> best.epoch
        2
    """

    def __init__(self) -> None:
        self.epoch, self.score = 0, float("-inf")
        self.weights: dict[str, Tensor] = {}

    def see(self, model: Model, record: Record) -> None:
        """Keep a copy of the model's weights if its score is the highest so far.

        Args:
            model: The model that was judged.
            record: The epoch's record with its `score`.

        Raises:
            InputError: If there is no score, or it is no number.
        """
        if SCORE not in record:
            raise InputError(
                f"`validate` must return a record with a `{SCORE}` to select by; got "
                f"{sorted(record)}."
            )
        score = number(SCORE, record[SCORE])
        if score > self.score:
            self.epoch, self.score = record["epoch"], score
            self.weights = {name: w.detach().clone() for name, w in model.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Say what a resume needs.

        Returns:
            The epoch, its score and its weights.
        """
        return {"epoch": self.epoch, "score": self.score, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state.

        Args:
            state: What `state_dict` gave.
        """
        self.epoch, self.score = int(state["epoch"]), float(state["score"])
        self.weights = dict(state["weights"])
