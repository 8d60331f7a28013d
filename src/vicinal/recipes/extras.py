"""What a job can look at beside its attacks: the masking verdict, curves, input gradients.

Each is a function of the job that gives records; they are kept with the attacks' records. Whatever
attacks they run is kept in the job's ledger batch by batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn

from vicinal import engine
from vicinal._checks import InputError, choice
from vicinal._typing import Batch, Norm, Passes
from vicinal.attacks import PGD, AutoAttack
from vicinal.evaluation.curves import Curve, over_eps, over_restarts, over_steps, radii
from vicinal.evaluation.gradients import InputGradients, input_gradients
from vicinal.evaluation.identity import keys_of
from vicinal.evaluation.ledger import Ledger
from vicinal.evaluation.preflight import device_of
from vicinal.evaluation.results import CLEAN, Results, Verdicts
from vicinal.evaluation.threat import Threat, threat_of
from vicinal.evaluation.trials import verdict_passes
from vicinal.evaluation.verdict import Verdict, verdict
from vicinal.recipes import together
from vicinal.recipes.progress import counting
from vicinal.records import Record

if TYPE_CHECKING:
    from vicinal.recipes.job import Job

__all__ = ["CURVES", "Extras", "Found"]

CURVES = ("eps", "steps", "restarts")
"""The curves that there are."""

Told = Callable[[str, int], None]
"""Told what is being done, and of how many images it is done."""

_STEPS, _MANY, _RESTARTS = 20, 100, 10


@dataclass(kw_only=True)
class Found:
    """What was found, as objects; empty where an earlier call had written it down.

    Args:
        verdict: The masking verdict.
        curves: The curves.
        gradients: Input gradients by loss.
    """

    verdict: Verdict | None = None
    curves: list[Curve] = field(default_factory=list)
    gradients: Mapping[str, InputGradients] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Extras:
    """Which of them are wanted, and in which ball.

    Args:
        eps: The radius.
        norm: "linf" or "l2".
        verdict: Whether the masking verdict is. An AutoAttack that the job runs in the same ball
            counts in it.
        curves: Which curves are, of `CURVES`.
        gradients: Whether input gradients are.
        images: How many of the first images the verdict looks at.
        source: Another model, whose adversarial images the verdict tries.
        progress: Whether to show progress bars on stderr.
        found: Takes what is found.

    Cost: `evaluation.verdict`'s on 200 images; of the attacked images a curve over eps is PGD-20
    for every radius, over steps one PGD-100, over restarts ten PGD-20; input gradients two forward
    and backward passes.
    """

    eps: float
    norm: Norm = "linf"
    verdict: bool = False
    curves: Sequence[str] = ()
    gradients: bool = False
    images: int = 200
    source: nn.Module | None = None
    progress: bool = field(default=False, repr=False)
    found: Found = field(default_factory=Found, repr=False)

    def __post_init__(self) -> None:
        for word in self.curves:
            choice("curve", word, CURVES)
        if engine.processes().several and self.wanted:
            raise InputError("verdict, curves and gradients are the work of one process; got more.")

    @property
    def wanted(self) -> dict[str, Callable[[Job], list[Record]]]:
        """Every part that is wanted, by the kind of its records."""
        parts = {
            "verdict": (self.verdict, self._verdict),
            "curve": (bool(self.curves), self._curves),
            "input_gradients": (self.gradients, self._gradients),
        }
        return {kind: work for kind, (is_wanted, work) in parts.items() if is_wanted}

    def costs(self, *, n: int, num_classes: int = 10) -> dict[str, tuple[int, Passes]]:
        """Tell what the wanted parts cost, of images that nothing breaks.

        Args:
            n: How many images are attacked.
            num_classes: K; some attacks aim at several classes in turn.

        Returns:
            By name: how many images, and the passes of each.

        Example:
            >>> Extras(eps=0.1, gradients=True, curves=["restarts"]).costs(n=50)["input gradients"]
            (50, Passes(forward=2, backward=2))
        """
        found: dict[str, tuple[int, Passes]] = {}
        if self.verdict:
            spent = verdict_passes(num_classes=num_classes, source=self.source is not None)
            found["verdict"] = (min(self.images, n), spent)
        climbs = {
            "eps": (len(self._radii), _STEPS),
            "steps": (1, _MANY),
            "restarts": (_RESTARTS, _STEPS),
        }
        for word in self.curves:
            times, steps = climbs[word]
            found[f"curve over {word}"] = (n, Passes(times * (steps + 1) + 1, times * steps))
        if self.gradients:
            found["input gradients"] = (n, Passes(2, 2))
        return found

    @property
    def _radii(self) -> tuple[float, ...]:
        return radii(self.eps, largest=1.0 if self.norm == "linf" else 32 * self.eps)

    def _verdict(self, job: Job) -> list[Record]:
        n = min(self.images, len(job.few))
        strongest, known = self._autoattack(job, n)
        with self._bar(n) as report:
            found = verdict(
                job.model,
                job.batches(job.few),
                eps=self.eps,
                norm=self.norm,
                n=n,
                source=self.source,
                strongest=strongest,
                known=known,
                rng=self._rng(job, "verdict"),
                report=report,
                ledger=_ledger(job, "verdict"),
            )
        self.found.verdict = found
        return [found.record]

    def _autoattack(self, job: Job, n: int) -> tuple[AutoAttack | None, Results | None]:
        """Take the verdicts of an AutoAttack that the job has run in the same ball, if there is."""
        ball, ran = Threat(norm=self.norm, eps=self.eps), job.attacks.items()
        whole = {k: one for k, one in ran if isinstance(one, AutoAttack) and one.attacks is None}
        name = next((k for k, one in whole.items() if threat_of(one) == ball), None)
        if name is None or job.kept is None:
            return None, None
        attacks = {name: whole[name]}
        # The job keeps its batches there, so that no pass is taken again.
        ledger = Ledger(
            folder=job.kept / "attacked", keys=keys_of(attacks, device=device_of(job.model))
        )
        batches = job.batches(job.few)
        found = together.evaluate(
            job.model, batches, keys=job.keys, attacks=attacks, ledger=ledger
        ).verdicts
        rows = {CLEAN: _first(found[CLEAN], n), "autoattack": _first(found[name], n)}
        return whole[name], Results(verdicts=rows)

    def _curves(self, job: Job) -> list[Record]:
        for word in self.curves:
            with self._bar(len(job.few)) as report:
                batches = _told(job.batches(job.few), f"curve over {word}", report)
                self.found.curves.append(self._curve(job, word, batches))
        return [curve.record for curve in self.found.curves]

    def _curve(self, job: Job, word: str, batches: Iterable[Batch]) -> Curve:
        rng, ledger = self._rng(job, f"curve over {word}"), _ledger(job, f"curve-{word}")
        if word == "eps":
            return over_eps(job.model, batches, self._pgd, eps=self._radii, rng=rng, ledger=ledger)
        if word == "steps":
            attack = PGD(eps=self.eps, step_size=self.eps / 4, steps=_MANY, norm=self.norm)
            return over_steps(job.model, batches, attack, rng=rng, ledger=ledger)
        attack = self._pgd(self.eps)
        return over_restarts(job.model, batches, attack, restarts=_RESTARTS, rng=rng, ledger=ledger)

    def _pgd(self, eps: float) -> PGD:
        return PGD(eps=eps, step_size=eps / 4, steps=_STEPS, norm=self.norm, compact_every=5)

    def _gradients(self, job: Job) -> list[Record]:
        self.found.gradients = input_gradients(job.model, job.batches(job.few))
        # A record's `scale` is that of the recipe.
        return [
            {**one.record, "scale": None, "pixel_scale": one.record["scale"]}
            for one in self.found.gradients.values()
        ]

    def _bar(self, n: int) -> AbstractContextManager[Told | None]:
        return counting(n) if self.progress else nullcontext()

    @staticmethod
    def _rng(job: Job, what: str) -> torch.Generator:
        return engine.generator(job.seed, what)


def _ledger(job: Job, part: str) -> Ledger | None:
    return None if job.kept is None else Ledger(folder=job.kept / part)


def _first(found: Verdicts, n: int) -> Verdicts:
    """Cut verdicts to the first images; what they cost is told where they were found."""
    return Verdicts(
        correct=found.correct[:n],
        norms=found.norms[:n],
        prints=None if found.prints is None else found.prints[:n],
        about=found.about,
        forward=0,
        backward=0,
        seconds=0.0,
    )


def _told(batches: Iterable[Batch], name: str, report: Told | None) -> Iterator[Batch]:
    """Report batches as they are done."""
    for x, y in batches:
        yield x, y
        if report is not None:
            report(name, len(y))
