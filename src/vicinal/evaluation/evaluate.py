"""Judge a classifier on clean images and under attacks."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import torch
from torch import Tensor

from vicinal._checks import InputError, labels, logits
from vicinal._typing import Attack, Batch, Batches, Model, Passes
from vicinal.evaluation.batches import checked
from vicinal.evaluation.corrupted import KeyedCorruption, chosen, corrupted
from vicinal.evaluation.identity import source_of
from vicinal.evaluation.ledger import Images, Ledger, content
from vicinal.evaluation.packing import prints
from vicinal.evaluation.pieces import Pieces, Wrap, with_source
from vicinal.evaluation.preflight import asked, device_of, outputs
from vicinal.evaluation.results import CLEAN, WORST, Results, Verdicts
from vicinal.evaluation.streams import Streams
from vicinal.evaluation.threat import Threat, about, check_inside, threat_of
from vicinal.maths.losses import widen
from vicinal.maths.simplex import true_class

__all__ = ["evaluate"]


def evaluate(
    model: Model,
    data: Batch | Batches,
    *,
    attacks: Mapping[str, Attack] | Sequence[Attack] = (),
    rng: torch.Generator | None = None,
    report: Callable[[str, int], None] | None = None,
    threat: Threat | None = None,
    ledger: Ledger | None = None,
    corruptions: str | Sequence[str] | Mapping[str, KeyedCorruption] | None = None,
) -> Results:
    """Give the accuracy on clean images and under every attack, image by image.

    Top-5 error, calibration and the accuracy of each class come from the same passes.

    The model is judged in eval mode and left as it was: mode, BatchNorm statistics, gradients.
    Where the logits of the clean images are probabilities, which attacks by gradients climb badly,
    it warns, and the clean record says so (`preflight`); with a ledger, only the record does.

    Batches are moved to the model's device; one that does not fit in its memory is attacked as a
    whole all the same, with the same draws, while the model takes it piece by piece (`pieces`).

    Args:
        model: Pixels in [0, 1] go in, logits come out.
        data: Batches (x, y), or one pair: images (N, C, H, W) in [0, 1] and classes (N,).
        attacks: Attacks by name, or a sequence, which is named by what the attacks are.
        rng: Where random starts come from; torch's global generator when not given. Every attack
            draws from it as it stands at the call, whatever other attacks there are.
        report: Called with the attack's name and the number of images after every attacked batch.
        threat: The threat model of the worst case; by default that which most attacks share.
        ledger: Where finished batches are kept and looked for, so that a call that was interrupted
            goes on where it stopped; the model and the seed must be the same, and `rng` be given.
            A batch of other images is judged anew.
        corruptions: "common" (the 15 of ImageNet-C), "all" (these and M-TLAT's four) or "extra",
            names, or corruptions by name: what `Results.corruptions` is about. The data are run
            through once more.

    Returns:
        The results, "clean" first.

    Raises:
        InputError: If images, labels or logits are not what they must be, there is no batch, or
            batches that can be run through once only are to be corrupted too.

    Example:
        >>> from vicinal.attacks import FGSM
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
        >>> x, y = torch.rand(8, 1, 4, 4), torch.tensor([0, 1] * 4)
        >>> results = evaluate(model, (x, y), attacks={"fgsm": FGSM(eps=0.5)})
        >>> results["fgsm"] <= results["clean"]
        True

    Cost: one forward pass for the clean images, and the attacks' own passes; with corruptions, one
    more for the clean images and one for each corruption and severity.
    """
    named = _named(attacks)
    if corruptions is not None:
        _check_twice(data)
        corruptions = chosen(corruptions)
    parts: dict[str, list[Verdicts]] = {name: [] for name in (CLEAN, *named)}
    desk, device = _Desk(rng, ledger), device_of(model)
    for number, (x, y) in enumerate(_batches(data, device)):
        desk.take(number, x, y)
        parts[CLEAN].append(desk.clean(partial(_clean, model, x, y)))
        for name, attack in named.items():
            judge = partial(_attacked, (name, attack), model, x, y, rng)
            parts[name].append(desk.attacked(name, judge))
            if report is not None:
                report(name, x.shape[0])
    if not parts[CLEAN]:
        raise InputError("`data` must hold at least one batch; got none.")
    found = None
    if corruptions is not None:
        with desk.streams.of(_CORRUPTIONS):
            found = corrupted(model, data, corruptions=corruptions, rng=rng, report=report)
    desk.streams.close()
    verdicts = {name: _joined(found) for name, found in parts.items()}
    _warn(verdicts[CLEAN], quiet=ledger is not None)
    for name, attack in named.items():
        said = replace(about(attack, device=device), source=source_of(attack))
        verdicts[name] = replace(verdicts[name], about=said)
    return Results(verdicts=verdicts, threat=threat, corruptions=found)


def _warn(clean: Verdicts, *, quiet: bool) -> None:
    """Say what weakens attacks; who keeps a ledger has asked `preflight` and says so itself."""
    if quiet or clean.logits is None:
        return
    found = outputs(clean.logits)
    if found.state == "warn":
        warnings.warn(found.words, UserWarning, stacklevel=3)


_CORRUPTIONS = "corruptions"
"""The name of the stream that corruptions draw from."""


def _check_twice(data: Batch | Batches) -> None:
    """Refuse what can be run through once only: corruptions take the images another time."""
    if isinstance(data, Iterator):
        raise InputError(
            "`data` must be run through twice for `corruptions`, and an iterator ends after once; "
            f"got {type(data).__name__}. Hand over a list of batches, or a loader?"
        )


class _Desk:
    """Hands out the work of a call: what the ledger holds is not done again."""

    def __init__(self, rng: torch.Generator | None, ledger: Ledger | None) -> None:
        self._rng, self._ledger = rng, ledger
        self._pieces, self.streams = Pieces(), Streams(rng)

    def take(self, number: int, x: Tensor, y: Tensor) -> None:
        """Lay a batch on the desk."""
        self._number, self._y = number, y
        self._of = "" if self._ledger is None else content(x, y)

    def clean(self, judge: Callable[[Wrap], Verdicts]) -> Verdicts:
        number, n, ledger = self._number, len(self._y), self._ledger
        found = None if ledger is None else ledger.found(CLEAN, number, n=n, of=self._of)
        if found is not None:
            return found.verdicts
        verdicts = self._pieces.run(judge, n=n, rng=self._rng)
        if ledger is not None:
            ledger.keep(CLEAN, number, verdicts, of=self._of)
        return verdicts

    def attacked(self, name: str, judge: Callable[[Wrap], tuple[Verdicts, Tensor]]) -> Verdicts:
        number, n, ledger, of = self._number, len(self._y), self._ledger, self._of
        found = None if ledger is None else ledger.found(name, number, n=n, of=of)
        with self.streams.of(name):
            if found is not None:
                self.streams.put(found.states)
                return found.verdicts
            verdicts, adv = self._pieces.run(judge, n=n, rng=self._rng)
            if ledger is not None:
                states, images = self.streams.states(), Images(adv, self._y)
                ledger.keep(name, number, verdicts, states=states, images=images, of=of)
        return verdicts


def _named(attacks: Mapping[str, Attack] | Sequence[Attack]) -> dict[str, Attack]:
    if not isinstance(attacks, (Mapping, Sequence)):
        raise InputError(
            f"`attacks` must be attacks by name, or a list of them; got {attacks!r}. "
            "Did you mean attacks=[...]?"
        )
    pairs = attacks.items() if isinstance(attacks, Mapping) else [(repr(a), a) for a in attacks]
    named: dict[str, Attack] = {}
    for name, attack in pairs:
        _check_attack(attack)
        if name in {CLEAN, WORST}:
            raise InputError(f"`attacks` must not be named {name!r}: that column has its meaning.")
        if name in named:
            raise InputError(
                f"`attacks` must have different names; got two of {name}. "
                "Hand over a dict of names and attacks?"
            )
        named[name] = attack
    return named


def _check_attack(attack: object) -> None:
    if isinstance(attack, type):
        name = attack.__name__
        raise InputError(
            f"`attacks` must hold attacks, not their classes; got {name}. "
            f"Did you mean {name}(eps=...)?"
        )
    if not callable(attack):
        raise InputError(f"`attacks` must hold attacks, e.g. FGSM(eps=8/255); got {attack!r}.")


def _batches(data: Batch | Batches, device: torch.device) -> Iterator[Batch]:
    before = 0
    for x, y in _pairs(data):
        checked(x, before=before)
        labels(y, n=x.shape[0])
        before += x.shape[0]
        yield x.to(device), y.to(device)


def _pairs(data: Batch | Batches) -> Batches:
    if isinstance(data, (tuple, list)) and len(data) == 2 and isinstance(data[0], Tensor):
        return [(data[0], data[1])]
    return cast(Batches, data)


def _clean(model: Model, x: Tensor, y: Tensor, wrap: Wrap) -> Verdicts:
    began = time.perf_counter()
    z = logits(asked(wrap(model), x), n=x.shape[0])
    labels(y, n=x.shape[0], num_classes=z.shape[1])
    classes = true_class(y)
    correct = (z.argmax(dim=1) == classes).cpu()
    seconds = time.perf_counter() - began
    return Verdicts(
        correct=correct,
        norms=torch.zeros(x.shape[0]),
        forward=x.shape[0],
        backward=0,
        seconds=seconds,
        logits=widen(z).cpu(),
        classes=classes.cpu(),
        prints=prints(x, classes),
    )


def _attacked(
    named: tuple[str, Attack],
    model: Model,
    x: Tensor,
    y: Tensor,
    rng: torch.Generator | None,
    wrap: Wrap,
) -> tuple[Verdicts, Tensor]:
    name, attack = named
    result = with_source(attack, wrap)(wrap(model), x, y, rng=rng)
    check_inside(name, result.adv, x, threat=threat_of(attack), fooled=result.success)
    # Where images leave the batch once fooled, an attack of ours adds up what each of them cost.
    own = Passes(result.passes.forward * x.shape[0], result.passes.backward * x.shape[0])
    spent = getattr(result, "image_passes", own)
    verdicts = Verdicts(
        correct=(~result.success).cpu(),
        norms=result.norms.float().cpu(),
        forward=spent.forward,
        backward=spent.backward,
        seconds=result.seconds,
        broken_by=_counted(getattr(result, "broken_by", None)),
        trail=getattr(result, "trail", None),
        noted=getattr(result, "heights", None),
    )
    return verdicts, result.adv


def _counted(names: Sequence[str | None] | None) -> dict[str, int] | None:
    return None if names is None else dict(Counter(name for name in names if name is not None))


def _joined(parts: list[Verdicts]) -> Verdicts:
    return Verdicts(
        correct=torch.cat([part.correct for part in parts]),
        norms=torch.cat([part.norms for part in parts]),
        forward=sum(part.forward for part in parts),
        backward=sum(part.backward for part in parts),
        seconds=sum(part.seconds for part in parts),
        logits=_end_to_end([part.logits for part in parts]),
        classes=_end_to_end([part.classes for part in parts]),
        prints=_end_to_end([part.prints for part in parts]),
        broken_by=_added_up([part.broken_by for part in parts]),
        trail=_end_to_end([part.trail for part in parts]),
        noted=_end_to_end([part.noted for part in parts]),
    )


def _end_to_end(parts: list[Tensor | None]) -> Tensor | None:
    there = [part for part in parts if part is not None]
    return torch.cat(there) if there else None


def _added_up(parts: list[Mapping[str, int] | None]) -> dict[str, int] | None:
    there = [Counter(part) for part in parts if part is not None]
    return dict(sum(there, Counter())) if there else None
