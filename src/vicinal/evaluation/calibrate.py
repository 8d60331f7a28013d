r"""Ranges of M-TLAT's four corruptions for a net of one's own (Laugros et al. 2020, section 4.1).

The paper sets both ends of each range so that its standard ResNet-50 loses 5 % and 30 % of
accuracy. This is the same procedure for any net.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from vicinal._checks import InputError, count, images, labels, number
from vicinal._typing import Batch, Batches, Model
from vicinal.corruptions import fixed_keys
from vicinal.corruptions.shifts import Shift
from vicinal.evaluation.batches import on_device
from vicinal.gradients import clean_logits
from vicinal.maths.simplex import true_class

__all__ = ["Calibration", "calibrate"]

S = TypeVar("S", bound=Shift[Any])

_START = 1 / 16


@dataclass(frozen=True, kw_only=True)
class Calibration(Generic[S]):
    """A range of strengths, and the accuracies that it was found by."""

    corruption: S
    """The corruption with its new range, ready to call."""
    clean: float
    """Accuracy on clean images."""
    tried: tuple[tuple[float, float], ...]
    """Every strength that was tried, in order, and the accuracy under it."""

    def accuracy(self, strength: float) -> float:
        """Look up the accuracy under a strength that was tried, such as either end of the range.

        Args:
            strength: One of `tried`.

        Returns:
            The accuracy, in [0, 1].
        """
        return dict(self.tried)[strength]


def calibrate(
    model: Model,
    data: Batch | Batches,
    corruption: S,
    *,
    drops: Sequence[float] = (0.05, 0.30),
    steps: int = 6,
    seed: int = 0,
    report: Callable[[str, int], None] | None = None,
) -> Calibration[S]:
    """Find the range of a corruption that costs a net a small and a large share of its accuracy.

    For each end the strength is doubled until it costs enough, then the last interval is halved
    `steps` times; the end is the least strength tried that costs at least its drop. All images have
    the same strength, and keep their draws from one strength to the next.

    The paper leaves open what 5 % means; here drops are in points of accuracy (from 80 % to 75 %
    for 0.05), which agrees best with the scores of its table 1. The model is judged in eval mode
    and left as it was. The batches are held in memory.

    Args:
        model: Pixels in [0, 1] go in, logits come out.
        data: Batches (x, y), or one pair: images (N, C, H, W) in [0, 1] and classes (N,).
        corruption: Rotation(), Translation(), Occlusion() or ColorShift(); its range is replaced.
        drops: What the lower and the upper end cost, in points of accuracy, ascending.
        steps: Halvings; the ends are exact to a part in 2^(steps + 1) of themselves, or of a
            sixteenth of the corruption's limit where they lie below it.
        seed: Of the draws of all images.
        report: Called with the corruption's name and the number of images after every pass.

    Returns:
        The corruption with the range found, and every accuracy on the way.

    Raises:
        InputError: If drops are not two ascending numbers, or no strength costs so much.

    Example:
        >>> from vicinal.corruptions import Occlusion
        >>> class Bright(torch.nn.Module):
        ...     def forward(self, x):
        ...         share = x.mean(dim=(1, 2, 3))
        ...         return torch.stack((share - 0.6, 0.6 - share), dim=1)
        >>> x = torch.linspace(0.7, 1.0, 16).view(16, 1, 1, 1).expand(16, 3, 32, 32).contiguous()
        >>> found = calibrate(Bright(), (x, torch.zeros(16, dtype=torch.long)), Occlusion())
        >>> found.clean, found.accuracy(found.corruption.high) <= 0.7
        (1.0, True)

    Cost: a forward pass for the clean images and about 2 `steps` + 8 for the strengths.
    """
    if not isinstance(corruption, Shift):
        raise InputError(
            "`corruption` must be one that has a range: Rotation(), Translation(), Occlusion() or "
            f"ColorShift(); got {corruption!r}."
        )
    count("steps", steps)
    small, large = _checked_drops(drops)
    search = _Search(model, list(on_device(data, model)), corruption, seed, report)
    clean = search.accuracy(None)
    low = search.least(clean - small, below=0.0, steps=steps)
    enough = search.under(low) <= clean - large
    high = low if enough else search.least(clean - large, below=low, steps=steps)
    found = dataclasses.replace(corruption, low=low, high=high)
    return Calibration(corruption=found, clean=clean, tried=tuple(search.tried.items()))


def _checked_drops(drops: Sequence[float]) -> tuple[float, float]:
    pair = tuple(number("drops", drop, low=0.0, high=1.0, open_low=True) for drop in drops)
    if len(pair) != 2 or pair[0] > pair[1]:
        raise InputError(f"`drops` must be two ascending numbers; got {drops!r}.")
    return pair[0], pair[1]


class _Search(Generic[S]):
    """Accuracies of a net under strengths of a corruption, each computed once."""

    def __init__(
        self,
        model: Model,
        batches: list[Batch],
        corruption: S,
        seed: int,
        report: Callable[[str, int], None] | None,
    ) -> None:
        for x, y in batches:
            images(x)
            labels(y, n=x.shape[0])
        self.model, self.batches, self.corruption = model, batches, corruption
        self.seed, self.report = seed, report
        self.tried: dict[float, float] = {}

    def least(self, goal: float, *, below: float, steps: int) -> float:
        """Find the least strength that leaves at most `goal` of accuracy; `below` leaves more."""
        limit = self.corruption.limit
        above = min(2 * below or limit * _START, limit)
        while self.under(above) > goal:
            if above >= limit:
                raise InputError(
                    f"`drops` must be within what {self.corruption.name} can cost this model; got "
                    f"an accuracy of {self.under(limit):.3f} at its largest strength, {limit:g}, "
                    f"and none of {goal:.3f} or less. Is the drop too large?"
                )
            below, above = above, min(2 * above, limit)
        for _ in range(steps):
            middle = (below + above) / 2
            if self.under(middle) > goal:
                below = middle
            else:
                above = middle
        return above

    def under(self, strength: float) -> float:
        """Give the accuracy under a strength."""
        if strength not in self.tried:
            fixed = dataclasses.replace(self.corruption, low=strength, high=strength, ranged=False)
            self.tried[strength] = self.accuracy(fixed)
        return self.tried[strength]

    def accuracy(self, corruption: S | None) -> float:
        """Judge the model, on clean images without a corruption."""
        right, start = torch.zeros(()), 0
        for x, y in self.batches:
            n = x.shape[0]
            places = torch.arange(start, start + n)
            bad = x
            if corruption is not None:
                keys = fixed_keys(places, seed=self.seed, name=corruption.name, severity=1)
                bad = corruption(x, severity=1, keys=keys)
            guess = clean_logits(self.model, bad).argmax(dim=1)
            right = right.to(x.device) + (guess == true_class(y)).sum()
            start += n
            if self.report is not None:
                self.report(self.corruption.name, n)
        return float(right) / start
