"""The switches of a training run as one frozen value, all of them off by default."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from vicinal._checks import choice, count, number
from vicinal.engine.precision import Precision
from vicinal.maths.share import Scope

__all__ = ["Select", "Switches"]

Select: TypeAlias = Literal["last", "best"]
"""Which epoch's weights a run ends with: the last one's, or the one's that scored best."""

_ON_ANY_DEVICE = ("channels_last",)
"""Switches that may differ when a run is resumed: they lay out memory and change no rule."""


@dataclass(frozen=True, kw_only=True)
class Switches:
    """How a step is computed and which weights come out; each is off unless it is given.

    Args:
        precision: Of matrix products and convolutions, "fp32" or "bf16".
        channels_last: Whether convolutions see their weights and images channels-last.
        ema: Decay of the averaged weights, in (0, 1); None keeps no average.
        accumulate: Into how many micro-batches a step's batch is cut.
        compile: The backend that compiles the model, such as "inductor"; None compiles nothing.
        select: "last", or "best" by the score of a validation after every epoch.
        mix_scope: Of several processes: whether partners come from the own rows of a batch,
            "local", or from all of them, "global".

    Raises:
        InputError: If a value is out of its range.

    Example:
        >>> Switches(ema=0.995, accumulate=2).words()
        {'precision': 'fp32', 'ema': 0.995, 'accumulate': 2}
    """

    precision: Precision = "fp32"
    channels_last: bool = False
    ema: float | None = None
    accumulate: int = 1
    compile: str | None = None
    select: Select = "last"
    mix_scope: Scope = "local"

    def __post_init__(self) -> None:
        """Check the values."""
        choice("precision", self.precision, get_args(Precision))
        choice("select", self.select, get_args(Select))
        choice("mix_scope", self.mix_scope, get_args(Scope))
        count("accumulate", self.accumulate)
        if self.ema is not None:
            number("ema", self.ema, low=0.0, high=1.0, open_low=True, open_high=True)

    def words(self) -> dict[str, int | float | str]:
        """Say what must be the same for a run to be resumed.

        Returns:
            The precision, and every switch that is on: folders of before there was a switch do not
            mention it.
        """
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in _ON_ANY_DEVICE
            and (field.name == "precision" or getattr(self, field.name) != field.default)
        }
