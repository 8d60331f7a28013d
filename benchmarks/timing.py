r"""Two pieces of work side by side: pairs, ratios, an interval, the machine's own noise.

A machine's speed drifts by more than what is measured here, so nothing is timed alone. A round runs
each candidate next to the base, in the order `B A | A B | B A | A B ...`, and the next round runs
the same sequence backwards: in every pair the two stand side by side, and which of them comes first
alternates. At the seam of the first two pairs the base stands next to itself; the ratio of those
two runs, which ought to be 1, is the noise.

Of n ratios the median is told, and the interval between the order statistics k and n + 1 - k

.. math:: P(R_{(k)} \le m \le R_{(n+1-k)}) \ge 1 - 2 \sum_{i<k} \binom{n}{i} 2^{-n}

with the largest k for which that is at least 95 %. It holds for any distribution of the ratios.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

import torch

__all__ = [
    "Comparison",
    "Figure",
    "Interval",
    "Samples",
    "Work",
    "compare",
    "interleave",
    "interval",
    "seconds",
]

Work: TypeAlias = Callable[[], object]
"""What is timed: a call without arguments."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval of a median.

    Args:
        low: Its lower end.
        high: Its upper end.
        coverage: The probability that it holds the median, at least.
    """

    low: float
    high: float
    coverage: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A candidate's time over a base's time, with the base's over its own beside it.

    Args:
        name: The candidate.
        against: The base.
        pairs: How many ratios.
        ratio: Their median.
        interval: Of that median.
        noise: The median of the base against itself, in the same run.
        noise_interval: Of that median.
        seconds: Median time of the candidate.
        base_seconds: Median time of the base beside it.
        at_most: What the interval ought to reach from above, where there is such a target.
        at_least: What the whole interval ought to exceed, where there is such a target.
    """

    name: str
    against: str
    pairs: int
    ratio: float
    interval: Interval
    noise: float
    noise_interval: Interval
    seconds: float
    base_seconds: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.at_most is not None:
            return self.interval.low <= self.at_most
        return None if self.at_least is None else self.interval.low >= self.at_least


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number that is no ratio of a pair.

    Args:
        name: Of what.
        value: The number.
        unit: Its unit.
        how: How it came about, in a few words.
    """

    name: str
    value: float
    unit: str
    how: str


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Seconds of every run, one of each list per round.

    Args:
        candidates: Of every candidate.
        bases: Of the base in the pair of that candidate.
        noise: Of the base next to itself, in the two orders by turns.
        alongside: Of what ran once per round, in no pair.
    """

    candidates: dict[str, list[float]]
    bases: dict[str, list[float]]
    noise: tuple[list[float], list[float]]
    alongside: dict[str, list[float]]


def seconds(work: Work, device: torch.device) -> float:
    """Time one run, from an idle device to an idle device, with the garbage collector off.

    Args:
        work: What is timed.
        device: Where it computes.

    Returns:
        Wall seconds.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        return time.perf_counter() - began
    finally:
        if collecting:
            gc.enable()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def interleave(
    base: Work,
    candidates: Mapping[str, Work],
    *,
    pairs: int,
    device: torch.device,
    warmup: int = 2,
    alongside: Mapping[str, Work] | None = None,
    tick: Callable[[], None] | None = None,
) -> Samples:
    """Time candidates in pairs with a base; an odd one is joined by the base itself.

    Args:
        base: What every candidate is held against.
        candidates: The candidates by name.
        pairs: Rounds, each with one pair per candidate.
        device: Where the work computes.
        warmup: Runs of everything before the first round.
        alongside: Work that is timed once per round, after the pairs.
        tick: Called after each timed run, for a progress bar.

    Returns:
        The seconds of every run.
    """
    works = dict(candidates) if len(candidates) % 2 == 0 else {**candidates, "itself": base}
    others = dict(alongside or {})
    for work in (base, *works.values(), *others.values()) * warmup:
        work()
    own: dict[str, list[float]] = {name: [] for name in works}
    bases: dict[str, list[float]] = {name: [] for name in works}
    extra: dict[str, list[float]] = {name: [] for name in others}
    for round_number in range(pairs):
        for name, is_base in _sequence(list(works), backwards=round_number % 2 == 1):
            spent = seconds(base if is_base else works[name], device)
            (bases if is_base else own)[name].append(spent)
            if tick is not None:
                tick()
        for name, work in others.items():
            extra[name].append(seconds(work, device))
    first, second = list(works)[:2]
    noise = (bases[second], bases[first])
    return Samples(candidates=own, bases=bases, noise=noise, alongside=extra)


def _sequence(names: Sequence[str], *, backwards: bool) -> list[tuple[str, bool]]:
    """Say who runs when: (candidate, whether the base of its pair runs)."""
    forwards = [
        (name, is_base)
        for position, name in enumerate(names)
        for is_base in ((False, True) if position % 2 == 0 else (True, False))
    ]
    return forwards[::-1] if backwards else forwards


def interval(values: Sequence[float], *, level: float = 0.95) -> Interval:
    """Give the order-statistic interval of the median.

    Args:
        values: Independent draws, at least one.
        level: The coverage asked for.

    Returns:
        The narrowest symmetric pair of order statistics that covers as much; below six values no
        pair reaches 95 %, and the extremes stand with the coverage that they have.

    Example:
        >>> interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        Interval(low=1.0, high=6.0, coverage=0.96875)
    """
    ordered, n = sorted(values), len(values)
    below = 0.0
    rank = 0
    for candidate in range((n + 1) // 2):
        tail = below + math.comb(n, candidate) / 2**n
        if rank > 0 and 1 - 2 * tail < level:
            break
        below, rank = tail, candidate + 1
    coverage = max(0.0, 1 - 2 * below)
    return Interval(low=ordered[rank - 1], high=ordered[n - rank], coverage=coverage)


def compare(
    samples: Samples,
    name: str,
    *,
    against: str,
    label: str | None = None,
    plus: str | None = None,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Comparison:
    """Sum up one candidate's pairs.

    Args:
        samples: What `interleave` gave.
        name: The candidate.
        against: What the base is called.
        label: What the candidate is called in the report; its name when not given.
        plus: Work alongside whose time is added to the base's, round by round.
        at_most: A target.
        at_least: A target.

    Returns:
        Median ratio, interval and noise.
    """
    own, bases = samples.candidates[name], samples.bases[name]
    if plus is not None:
        bases = [a + b for a, b in zip(bases, samples.alongside[plus], strict=True)]
    ratios = _ratios(own, bases)
    noise = _ratios(*samples.noise)
    return Comparison(
        name=label or name,
        against=against,
        pairs=len(ratios),
        ratio=median(ratios),
        interval=interval(ratios),
        noise=median(noise),
        noise_interval=interval(noise),
        seconds=median(own),
        base_seconds=median(bases),
        at_most=at_most,
        at_least=at_least,
    )


def _ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]
