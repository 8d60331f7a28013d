"""Judge a classifier under corruptions: made on the fly, or published as files.

Every image's draws come from a key made of the seed, the corruption, the severity and its position
in the set, so the result does not depend on the batch size, the device, or on which other
corruptions are judged.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias, cast

import torch
from torch import Tensor

from vicinal._checks import InputError, check_finite, choice, images, labels, logits
from vicinal._typing import Batch, Batches, Model
from vicinal.corruptions import CORRUPTIONS, SETS, SEVERITIES, draw_keys, fixed_keys
from vicinal.evaluation.corruption_results import CorruptionResults
from vicinal.evaluation.identity import identity
from vicinal.evaluation.ledger import Ledger, content
from vicinal.evaluation.pieces import Pieces
from vicinal.evaluation.results import CLEAN, Verdicts
from vicinal.evaluation.sureness import Sureness, confidence
from vicinal.gradients import clean_logits
from vicinal.maths.simplex import true_class
from vicinal.metrics import Baseline

__all__ = ["KeyedCorruption", "aside_of", "chosen", "corrupted", "on_files"]

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


def aside_of(named: Mapping[str, object], *, procedural: bool = False) -> frozenset[str]:
    """Find those that say of themselves that they cannot be compared with the literature.

    Args:
        named: Corruptions by name.
        procedural: Whether they count in the means all the same.

    Returns:
        The names of what is in no mean.

    Example:
        >>> sorted(aside_of(chosen("all")))
        ['frost']
    """
    if procedural:
        return frozenset()
    return frozenset(
        name for name, corruption in named.items() if not getattr(corruption, "comparable", True)
    )


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
    ledger: Ledger | None = None,
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
        ledger: Keeps finished batches of this model, and knows those of an earlier call; the host
            then reads every batch's verdicts.

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
    seed, tally, began = int(draw_keys(1, rng)), _Tally(model, ledger), time.perf_counter()
    words = {name: f"{name}(seed={seed}, {_told(one, ledger)})" for name, one in named.items()}
    start = 0
    for x, y in _batches(data, tally.device):
        indices = torch.arange(start, start + x.shape[0])
        tally.clean(x, y, start=start)
        for name, corruption in named.items():
            draws = partial(fixed_keys, indices, seed=seed, name=name)
            tally.add(
                [(name, severity) for severity in strengths],
                (corruption(x, severity=one, keys=draws(severity=one)) for one in strengths),
                y,
                word=words[name],
            )
            if report is not None:
                report(name, x.shape[0] * len(strengths))
        start += x.shape[0]
    aside = aside_of(named, procedural=procedural)
    return tally.results(began, aside=aside, baseline=baseline)


def on_files(
    model: Model,
    parts: Iterable[tuple[str, int, Batches]],
    *,
    clean: Batch | Batches = (),
    baseline: Baseline | None = None,
    report: Report | None = None,
    ledger: Ledger | None = None,
) -> CorruptionResults:
    """Give the accuracy on corrupted images that are there already, such as CIFAR-10-C.

    Args:
        model: Pixels in [0, 1] go in, logits come out; judged in eval mode and left as it was.
        parts: Of each corruption and severity its name, the severity and the batches.
        clean: Batches of the clean twins; where there are none, A_clean and R are NaN.
        baseline: The net that mCE compares with.
        report: Called with the corruption's name and the number of images after every batch.
        ledger: Keeps finished batches of this model, and knows those of an earlier call; the host
            then reads every batch's verdicts.

    Returns:
        The results.

    Raises:
        InputError: If two parts have different numbers of images, or there is no part.

    Cost: one forward pass for every image.
    """
    tally, began = _Tally(model, ledger), time.perf_counter()
    for k, (x, y) in enumerate(_batches(clean, tally.device)):
        tally.clean(x, y, start=k)
    for name, severity, batches in parts:
        for k, (x, y) in enumerate(_batches(batches, tally.device)):
            tally.at(x, y, start=k)
            tally.add([(name, severity)], [x], y, word=f"{name}(files)")
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


def _batches(data: Batch | Batches, device: torch.device) -> Iterator[Batch]:
    pair = isinstance(data, (tuple, list)) and len(data) == 2 and isinstance(data[0], Tensor)
    for x, y in cast(Batches, [data] if pair else data):
        images(x)
        labels(y, n=x.shape[0])
        yield x.to(device), y.to(device)


Place: TypeAlias = tuple[str, int] | None
"""A corruption and its severity; None for clean images."""


def _told(corruption: object, ledger: Ledger | None) -> str:
    """Tell a corruption from its namesakes, where that matters."""
    if ledger is None:
        return ""
    # The content alone does not tell paths apart, such as those of two folders of textures.
    return (
        f"{corruption!r} {identity(corruption)}"
        if is_dataclass(corruption)
        else identity(corruption)
    )


class _Tally:
    """Counts who is right, on the model's device.

    The host reads no logits before the end; it waits for clean batches, whose labels are checked,
    and for the first of every corruption and severity; with a ledger for every verdict.
    """

    def __init__(self, model: Model, ledger: Ledger | None) -> None:
        weight = next(model.parameters(), None)
        self.device = torch.device("cpu") if weight is None else weight.device
        self._model, self._pieces, self._ledger = model, Pieces(), ledger
        self._right: dict[Place, Any] = defaultdict(int)
        self._images: dict[Place, int] = defaultdict(int)
        self._sure = Sureness()
        self._bad: Any = 0
        self._start, self._of = 0, ""

    def at(self, x: Tensor, y: Tensor, *, start: int) -> None:
        """Note where the batch begins that comes next, and what it is."""
        self._start = start
        self._of = "" if self._ledger is None else content(x, y)

    def clean(self, x: Tensor, y: Tensor, *, start: int) -> None:
        """Judge one clean batch; what is added next is made of it."""
        self.at(x, y, start=start)
        self.add([None], [x], y, word=f"{CLEAN}()")

    def add(
        self, places: Sequence[Place], moved: Iterable[Tensor], y: Tensor, *, word: str
    ) -> None:
        """Judge one batch at some severities, or take it from the ledger."""
        word = f"{word}, severities={[place and place[1] for place in places]}"
        found = self._found(word, (y.shape[0], len(places)))
        if found is None:
            rows = [self._judged(*one, y) for one in zip(places, moved, strict=True)]
            found = tuple(torch.stack(part, dim=1) for part in zip(*rows, strict=True))
            self._keep(word, *found)
        for place, right, sure in zip(places, *(part.unbind(dim=1) for part in found), strict=True):
            self._right[place] += right.sum()
            self._images[place] += y.shape[0]
            self._sure.add(place, sure, right)

    def _judged(self, place: Place, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Tell for every image whether the model is right, and how sure it is, each (N,)."""
        n = x.shape[0]
        z = self._pieces.run(lambda wrap: clean_logits(wrap(self._model), x), n=n, rng=None)
        logits(z, n=n, values=False)
        self._bad += (~torch.isfinite(z)).any(dim=1).sum()
        labels(y, n=n, num_classes=z.shape[1], values=place is None or place not in self._images)
        return z.argmax(dim=1) == true_class(y), confidence(z)

    def _found(self, word: str, shape: tuple[int, int]) -> tuple[Tensor, ...] | None:
        if self._ledger is None:
            return None
        found = self._ledger.found(word, self._start, n=shape[0], of=self._of)
        if found is None or found.verdicts.correct.shape != shape or found.verdicts.noted is None:
            return None
        return found.verdicts.correct.to(self.device), found.verdicts.noted.to(self.device)

    def _keep(self, word: str, right: Tensor, sure: Tensor) -> None:
        # What is no number is told at the end, and must be judged again the next time.
        if self._ledger is None or int(self._bad):
            return
        n, strengths = right.shape
        verdicts = Verdicts(
            correct=right.cpu(),
            norms=torch.zeros(n),
            forward=n * strengths,
            backward=0,
            seconds=0.0,
            noted=sure.cpu(),
        )
        self._ledger.keep(word, self._start, verdicts, of=self._of)

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
        ece: dict[str, dict[int, float]] = {}
        for name, severity in sizes:
            correct.setdefault(name, {})[severity] = int(self._right[name, severity])
            ece.setdefault(name, {})[severity] = self._sure.error((name, severity))
        return CorruptionResults(
            correct=correct,
            n=n,
            clean_correct=int(self._right[None]),
            clean_n=self._images[None],
            aside=aside,
            baseline=baseline,
            ece=ece,
            clean_ece=self._sure.error(None),
            forward=sum(self._images.values()),
            seconds=time.perf_counter() - began,
        )
