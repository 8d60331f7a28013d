"""Judge a classifier under corruptions: made on the fly, or published as files.

Every image's draws come from a key made of the seed, the corruption, the severity and its position
in the set, so the result does not depend on the batch size, the device, or on which other
corruptions are judged.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, cast

import torch
from torch import Tensor

from vicinal._checks import InputError, check_finite, choice, images, labels, logits
from vicinal._typing import Batch, Batches, Model
from vicinal.corruptions import CORRUPTIONS, SETS, SEVERITIES, draw_keys, fixed_keys
from vicinal.evaluation.corruption_results import CorruptionResults
from vicinal.evaluation.pieces import Pieces
from vicinal.gradients import clean_logits
from vicinal.maths.simplex import true_class
from vicinal.metrics import Baseline

__all__ = ["KeyedCorruption", "chosen", "corrupted", "on_files"]

Report: TypeAlias = Callable[[str, int], None]


class KeyedCorruption(Protocol):
    """What is judged under: any of `vicinal.corruptions`, or a function of one's own like it."""

    def __call__(self, x: Tensor, *, severity: int, keys: Tensor) -> Tensor:
        """Corrupt images (N, C, H, W), every one by its own key (N,)."""
        ...


def chosen(
    corruptions: str | Sequence[str] | Mapping[str, KeyedCorruption],
) -> dict[str, KeyedCorruption]:
    """Find the corruptions that are meant.

    Args:
        corruptions: "common", "all" or "extra"; names; or corruptions by name.

    Returns:
        Corruptions by name, in the order given.

    Raises:
        InputError: If there is no such set or corruption, or none is named.

    Example:
        >>> list(chosen(["gaussian_noise"]))
        ['gaussian_noise']
    """
    if isinstance(corruptions, Mapping):
        found = dict(corruptions)
    elif isinstance(corruptions, str):
        names = SETS[choice("corruptions", corruptions, SETS)]
        found = {name: CORRUPTIONS[name] for name in names if name in CORRUPTIONS}
    else:
        names = tuple(choice("corruptions", name, CORRUPTIONS) for name in corruptions)
        found = {name: CORRUPTIONS[name] for name in names}
    if not found:
        raise InputError("`corruptions` must name at least one corruption; got none.")
    return found


def corrupted(
    model: Model,
    data: Batch | Batches,
    *,
    corruptions: str | Sequence[str] | Mapping[str, KeyedCorruption] = "all",
    severities: Sequence[int] = SEVERITIES,
    rng: torch.Generator | None = None,
    procedural: bool = False,
    baseline: Baseline | None = None,
    report: Report | None = None,
) -> CorruptionResults:
    """Give the accuracy under every corruption and severity, and on the clean images.

    The model is judged in eval mode and left as it was. The data are run through once.

    Args:
        model: Pixels in [0, 1] go in, logits come out.
        data: Batches (x, y), or one pair: images (N, C, H, W) in [0, 1] and classes (N,).
        corruptions: "common" (the 15 of ImageNet-C), "all" (these and M-TLAT's four) or "extra";
            names; or corruptions by name, such as {"frost": Frost(textures=...)}.
        severities: Which of 1 to 5.
        rng: Gives one seed, from which all draws follow; torch's global generator when not given.
        procedural: Whether corruptions that say of themselves that they are not comparable, such
            as a frost of computed texture, count in the means all the same.
        baseline: The net that mCE compares with, such as `metrics.BASELINES["alexnet"]`.
        report: Called with the corruption's name and the number of images after every batch.

    Returns:
        The results.

    Raises:
        InputError: If images, labels, logits or severities are off, or there is no batch.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
        >>> x, y = torch.rand(8, 3, 8, 8), torch.tensor([0, 1] * 4)
        >>> found = corrupted(model, (x, y), corruptions=["gaussian_noise"], severities=[1, 5])
        >>> sorted(found.correct["gaussian_noise"])
        [1, 5]

    Cost: one forward pass for the clean images and one for each corruption and severity.
    """
    named, strengths = chosen(corruptions), _checked(severities)
    seed, tally, began = int(draw_keys(1, rng)), _Tally(model), time.perf_counter()
    start = 0
    for x, y in _batches(data, tally.device):
        indices = torch.arange(start, start + x.shape[0])
        start += x.shape[0]
        tally.add(None, x, y)
        for name, corruption in named.items():
            for severity in strengths:
                keys = fixed_keys(indices, seed=seed, name=name, severity=severity)
                tally.add((name, severity), corruption(x, severity=severity, keys=keys), y)
            if report is not None:
                report(name, x.shape[0] * len(strengths))
    aside = frozenset() if procedural else frozenset(n for n, c in named.items() if _is_aside(c))
    return tally.results(began, aside=aside, baseline=baseline)


def on_files(
    model: Model,
    parts: Iterable[tuple[str, int, Batches]],
    *,
    clean: Batch | Batches = (),
    baseline: Baseline | None = None,
    report: Report | None = None,
) -> CorruptionResults:
    """Give the accuracy on corrupted images that are there already, such as CIFAR-10-C.

    Args:
        model: Pixels in [0, 1] go in, logits come out; judged in eval mode and left as it was.
        parts: Of each corruption and severity its name, the severity and the batches.
        clean: Batches of the clean twins; where there are none, A_clean and R are NaN.
        baseline: The net that mCE compares with.
        report: Called with the corruption's name and the number of images after every batch.

    Returns:
        The results.

    Raises:
        InputError: If two parts have different numbers of images, or there is no part.

    Cost: one forward pass for every image.
    """
    tally, began = _Tally(model), time.perf_counter()
    for x, y in _batches(clean, tally.device):
        tally.add(None, x, y)
    for name, severity, batches in parts:
        for x, y in _batches(batches, tally.device):
            tally.add((name, severity), x, y)
            if report is not None:
                report(name, x.shape[0])
    return tally.results(began, aside=frozenset(), baseline=baseline)


def _checked(severities: Sequence[int]) -> tuple[int, ...]:
    found = tuple(dict.fromkeys(severities))
    off = [one for one in found if one not in SEVERITIES or isinstance(one, bool)]
    if off or not found:
        got = repr(off[0]) if off else "none"
        raise InputError(f"`severities` must be some of 1, 2, 3, 4, 5; got {got}.")
    return tuple(sorted(found))


def _is_aside(corruption: object) -> bool:
    """Tell whether a corruption says of itself that it cannot be compared with the literature."""
    return not getattr(corruption, "comparable", True)


def _batches(data: Batch | Batches, device: torch.device) -> Iterator[Batch]:
    pair = isinstance(data, (tuple, list)) and len(data) == 2 and isinstance(data[0], Tensor)
    for x, y in cast(Batches, [data] if pair else data):
        images(x)
        labels(y, n=x.shape[0])
        yield x.to(device), y.to(device)


Place: TypeAlias = tuple[str, int] | None
"""A corruption and its severity; None for clean images."""


class _Tally:
    """Counts who is right, on the model's device.

    The host reads no logits before the end; it waits for clean batches, whose labels are checked,
    and for the first of every corruption and severity.
    """

    def __init__(self, model: Model) -> None:
        weight = next(model.parameters(), None)
        self.device = torch.device("cpu") if weight is None else weight.device
        self._model, self._pieces = model, Pieces()
        self._right: dict[Place, Any] = defaultdict(int)
        self._images: dict[Place, int] = defaultdict(int)
        self._bad: Any = 0

    def add(self, place: Place, x: Tensor, y: Tensor) -> None:
        """Judge one batch."""
        n = x.shape[0]
        z = self._pieces.run(lambda wrap: clean_logits(wrap(self._model), x), n=n, rng=None)
        logits(z, n=n, values=False)
        self._bad += (~torch.isfinite(z)).any(dim=1).sum()
        labels(y, n=n, num_classes=z.shape[1], values=place is None or place not in self._images)
        self._right[place] += (z.argmax(dim=1) == true_class(y)).sum()
        self._images[place] += n

    def results(
        self, began: float, *, aside: frozenset[str], baseline: Baseline | None
    ) -> CorruptionResults:
        """Sum up."""
        check_finite(int(self._bad), sum(self._images.values()))
        sizes = {place: n for place, n in self._images.items() if place is not None}
        if not sizes:
            raise InputError("`data` must hold at least one batch; got none.")
        n = next(iter(sizes.values()))
        odd = [place for place, size in sizes.items() if size != n]
        if odd:
            (first, low), (name, severity) = next(iter(sizes)), odd[0]
            raise InputError(
                f"every corruption and severity must have as many images as {first} {low}, {n}; "
                f"{name} {severity} has {sizes[odd[0]]}."
            )
        correct: dict[str, dict[int, int]] = {}
        for name, severity in sizes:
            correct.setdefault(name, {})[severity] = int(self._right[name, severity])
        return CorruptionResults(
            correct=correct,
            n=n,
            clean_correct=int(self._right[None]),
            clean_n=self._images[None],
            aside=aside,
            baseline=baseline,
            forward=sum(self._images.values()),
            seconds=time.perf_counter() - began,
        )
