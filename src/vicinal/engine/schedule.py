"""Learning-rate schedules as pure functions: how far the run is goes in, a factor comes out.

Progress is counted in epochs and is real-valued: step i (from 0) of S steps in epoch e (from 1)
stands at e - 1 + (i + 1/2) / S, the middle of the step. So a schedule that starts or ends at zero
gives neither the first nor the last step a rate of exactly zero, and a drop at a milestone acts
from the first step of the epoch on. All landmarks are fractions of the run, so a recipe trained for
fewer epochs keeps its shape: 100 and 150 of 200 epochs are (0.5, 0.75).

No state: a resumed run finds its rate by asking again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from vicinal._checks import InputError, number

__all__ = ["SCHEDULES", "Constant", "Cosine", "Cyclic", "Schedule", "Step"]


class Schedule(Protocol):
    """Which part of the peak rate a step takes."""

    def factor(self, progress_epochs: float, epochs: int) -> float:
        """Return the factor, at progress in [0, epochs]."""
        ...


@dataclass(frozen=True, kw_only=True)
class Step:
    """The rate drops by `gamma` at each milestone and is constant between.

    Args:
        milestones: Fractions of the run, increasing, each inside (0, 1).
        gamma: The factor of one drop, in (0, 1].

    Raises:
        InputError: If a number is out of its range or the milestones do not increase.

    Example:
        >>> [Step().factor(epoch, 200) for epoch in (99.9, 100.0, 149.9)]
        [1.0, 0.1, 0.1]
    """

    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1

    def __post_init__(self) -> None:
        """Check the numbers; a list of milestones, as files hold it, becomes a tuple.

        Raises:
            InputError: If the milestones do not increase.
        """
        number("gamma", self.gamma, low=0.0, high=1.0, open_low=True)
        hint = "Milestones are fractions of the run: epoch 100 of 200 is 0.5."
        for milestone in self.milestones:
            name = "milestones"
            number(name, milestone, low=0.0, high=1.0, open_low=True, open_high=True, hint=hint)
        found = tuple(float(milestone) for milestone in self.milestones)
        if sorted(set(found)) != list(found):
            raise InputError(f"`milestones` must increase; got {found}.")
        object.__setattr__(self, "milestones", found)

    def factor(self, progress_epochs: float, epochs: int) -> float:
        """Return gamma to the number of milestones passed; at a milestone it counts as passed.

        Args:
            progress_epochs: Epochs done, in [0, epochs].
            epochs: Length of the run.

        Returns:
            The factor, in (0, 1].
        """
        # A fraction such as 0.07 of 100 is a little more than 7 in floating point.
        passed = sum(progress_epochs >= part * epochs - 1e-9 for part in self.milestones)
        return float(self.gamma**passed)


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """Linear from 0 to 1 over the warm-up, then half a cosine down to 0.

    Args:
        warmup: Fraction of the run, in [0, 1).

    Raises:
        InputError: If the fraction is out of its range.

    Example:
        >>> [round(Cosine().factor(epoch, 10), 3) for epoch in (0, 5, 10)]
        [1.0, 0.5, 0.0]
    """

    warmup: float = 0.0

    def __post_init__(self) -> None:
        """Check the fraction."""
        number("warmup", self.warmup, low=0.0, high=1.0, open_high=True)

    def factor(self, progress_epochs: float, epochs: int) -> float:
        """Return the factor.

        Args:
            progress_epochs: Epochs done, in [0, epochs].
            epochs: Length of the run.

        Returns:
            The factor, in [0, 1].
        """
        done = progress_epochs / epochs
        if done < self.warmup:
            return done / self.warmup
        return 0.5 + 0.5 * math.cos(math.pi * (done - self.warmup) / (1 - self.warmup))


@dataclass(frozen=True, kw_only=True)
class Cyclic:
    """One triangle: linear from 0 to 1 over the fraction `peak` of the run, then linear to 0.

    Fast adversarial training peaks at 0.4, our small scale at 0.15.

    Args:
        peak: Where the rate is highest, as a fraction of the run, in [0, 1).

    Raises:
        InputError: If the fraction is out of its range.

    Example:
        >>> [Cyclic(peak=0.4).factor(epoch, 15) for epoch in (0, 3, 6, 15)]
        [0.0, 0.5, 1.0, 0.0]
    """

    peak: float = 0.5

    def __post_init__(self) -> None:
        """Check the fraction."""
        number("peak", self.peak, low=0.0, high=1.0, open_high=True)

    def factor(self, progress_epochs: float, epochs: int) -> float:
        """Return the factor.

        Args:
            progress_epochs: Epochs done, in [0, epochs].
            epochs: Length of the run.

        Returns:
            The factor, in [0, 1].
        """
        done = progress_epochs / epochs
        return done / self.peak if done < self.peak else (1 - done) / (1 - self.peak)


@dataclass(frozen=True, kw_only=True)
class Constant:
    """The peak rate throughout.

    Example:
        >>> Constant().factor(3.5, 10)
        1.0
    """

    def factor(self, progress_epochs: float, epochs: int) -> float:
        """Return 1.

        Args:
            progress_epochs: Epochs done; not looked at.
            epochs: Length of the run; not looked at.

        Returns:
            One.
        """
        return 1.0


SCHEDULES: dict[str, type[Step] | type[Cosine] | type[Cyclic] | type[Constant]] = {
    "step": Step,
    "cosine": Cosine,
    "cyclic": Cyclic,
    "constant": Constant,
}
"""The schedules that a recipe can name."""
