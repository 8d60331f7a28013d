"""Suites: attacks by name, in the order of what they are worth, with their cost told beforehand.

"papers" holds each paper's own attacks at its own budget, "standard" what a strong evaluation
takes in minutes, "full" also AutoAttack's standard version and the long searches. An entry says
which threat model it belongs to: a worst case is over entries of one threat model only. With a
budget of seconds, entries are taken in their order while they fit, and the rest is named.

The order is that of what they are worth: first the attack that as a rule lowers accuracy most, then
what every paper reports, then what finds masked gradients, then the rest; the costliest come last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from vicinal._checks import InputError, choice, count, number
from vicinal._typing import Attack, Model, Norm, Passes
from vicinal.attacks import (
    APGD,
    CWL2,
    FGSM,
    FMN,
    MIFGSM,
    PGD,
    AutoAttack,
    Square,
    Transfer,
    UniformNoise,
)
from vicinal.attacks.nearest import check_radius
from vicinal.evaluation.costs import Pace, passes_of
from vicinal.evaluation.paper_attacks import paper_attacks
from vicinal.evaluation.threat import Threat, parameters, threat_of
from vicinal.records import Record

__all__ = ["SUITES", "Entry", "Suite", "suite"]

SUITES = ("papers", "standard", "full")
"""The suites that `suite` builds."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An attack of a suite.

    Args:
        name: Its name in the results.
        attack: The attack, every parameter set.
        passes: Forward and backward passes of an image that it never breaks.
        papers: The papers that report it, where it is one of theirs.
    """

    name: str
    attack: Attack
    passes: Passes
    papers: tuple[str, ...] = ()

    @property
    def threat(self) -> Threat | None:
        """The threat model: norm and radius."""
        return threat_of(self.attack)

    @property
    def record(self) -> Record:
        """The entry as data, JSON-able."""
        return {
            "name": self.name,
            "threat": str(self.threat),
            "forward": self.passes.forward,
            "backward": self.passes.backward,
            "papers": list(self.papers),
            "parameters": parameters(self.attack),
        }


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Attacks in the order of what they are worth.

    Args:
        name: Such as "standard".
        entries: Those to run, the most valuable first.
        left_out: Those that a time budget left no room for.

    Example:
        >>> chosen = suite("standard", eps=8 / 255)
        >>> chosen.entries[0].name, str(chosen.entries[0].threat)
        ('apgd-t', 'linf 8/255 (0.03137)')
    """

    name: str
    entries: tuple[Entry, ...]
    left_out: tuple[Entry, ...] = field(default=())

    @property
    def attacks(self) -> dict[str, Attack]:
        """The attacks by name, as `evaluate` takes them."""
        return {entry.name: entry.attack for entry in self.entries}

    @property
    def by_threat(self) -> dict[Threat | None, dict[str, Attack]]:
        """The attacks by threat model: a worst case is over one of these groups only."""
        found: dict[Threat | None, dict[str, Attack]] = defaultdict(dict)
        for entry in self.entries:
            found[entry.threat][entry.name] = entry.attack
        return dict(found)

    @property
    def passes(self) -> Passes:
        """Passes of an image that nothing breaks, all entries together."""
        each = [entry.passes for entry in self.entries]
        return Passes(sum(one.forward for one in each), sum(one.backward for one in each))

    @property
    def record(self) -> Record:
        """The suite as data, JSON-able."""
        return {
            "kind": "suite",
            "suite": self.name,
            "entries": [entry.record for entry in self.entries],
            "left_out": [entry.record for entry in self.left_out],
        }

    def within(self, seconds: float, *, pace: Pace, n: int) -> Suite:
        """Choose what fits a time budget: entry by entry in order, each if there is still room.

        The time of an entry is that of images it never breaks, so it is an upper bound.

        Args:
            seconds: The budget.
            pace: Seconds per pass on this machine, from `pace_of`.
            n: Images.

        Returns:
            The suite that fits; what does not is in `left_out`.

        Raises:
            InputError: If not one entry fits.

        Example:
            >>> pace = Pace(forward=1e-3, backward=2e-3)
            >>> chosen = suite("standard", eps=0.1).within(5, pace=pace, n=10)
            >>> [entry.name for entry in chosen.entries]
            ['pgd-20', 'fgsm', 'apgd-ce', 'noise']
        """
        left, chosen = number("seconds", seconds, low=0.0, open_low=True), list[Entry]()
        for entry in self.entries:
            cost = pace.seconds(entry.passes, n=count("n", n))
            if cost <= left:
                left -= cost
                chosen.append(entry)
        if not chosen:
            least = min(pace.seconds(entry.passes, n=n) for entry in self.entries)
            raise InputError(
                f"the budget must hold at least one attack: the cheapest takes about {least:.0f} s "
                f"on {n} images; got {seconds:g} s. Fewer images?"
            )
        rest = tuple(entry for entry in self.entries if entry not in chosen)
        return Suite(name=self.name, entries=tuple(chosen), left_out=self.left_out + rest)

    def told(self) -> str:
        """Say in a sentence what a budget left out.

        Returns:
            The sentence; empty where nothing was left out.
        """
        names = ", ".join(entry.name for entry in self.left_out)
        return f"Left out for want of time: {names}." if names else ""


def suite(
    name: str,
    *,
    eps: float | None = None,
    norm: Norm = "linf",
    source: Model | None = None,
    num_classes: int = 10,
) -> Suite:
    """Build a suite for a budget.

    Args:
        name: "papers", "standard" or "full".
        eps: Radius in pixel units; "papers" has each paper's own when not given.
        norm: "linf" or "l2"; the papers attack in linf.
        source: Another model, on which transferred examples are made; without it they are missing.
        num_classes: K, by which passes are counted.

    Returns:
        The suite.

    Raises:
        InputError: If there is no such suite, or it needs a radius, or has none in this norm.

    Example:
        >>> len(suite("full", eps=0.5, norm="l2").entries) > len(suite("papers").entries) / 3
        True
    """
    if choice("suite", name, SUITES) == "papers":
        if norm != "linf":
            raise InputError(f"the papers attack in linf; got norm {norm!r}. Did you mean full?")
        return _of_papers(eps, source, num_classes)
    if eps is None:
        raise InputError(f"the suite {name!r} must be given eps, such as 8/255.")
    check_radius(eps, norm, unbounded=False)
    attacks = _standard(eps, norm, source)
    if name == "full":
        attacks |= _long(eps, norm)
    return Suite(name=name, entries=_entries(list(attacks.items()), num_classes))


def _entries(pairs: Sequence[tuple[str, Attack]], num_classes: int) -> tuple[Entry, ...]:
    return tuple(
        Entry(name=name, attack=attack, passes=passes_of(attack, num_classes=num_classes))
        for name, attack in pairs
    )


def _of_papers(eps: float | None, source: Model | None, num_classes: int) -> Suite:
    found: dict[str, Entry] = {}
    for name, attack, papers in paper_attacks(eps, source):
        cost = passes_of(attack, num_classes=num_classes)
        found[name] = Entry(name=name, attack=attack, passes=cost, papers=papers)
    return Suite(name="papers", entries=tuple(found.values()))


def _standard(eps: float, norm: Norm, source: Model | None) -> dict[str, Attack]:
    """Give the strong attacks, ordered by what they are worth."""
    pgd = _pgd(eps, norm)
    found: dict[str, Attack] = {
        "apgd-t": APGD(eps=eps, norm=norm, loss="dlr", targets=9),
        "pgd-20": pgd(steps=20),
        "fgsm": _one_step(eps, norm),
        "apgd-ce": APGD(eps=eps, norm=norm),
        "square": Square(eps=eps, norm=norm, queries=1000),
        "noise": UniformNoise(eps=eps, norm=norm),
        "pgd-20-margin": pgd(steps=20, loss="margin"),
        "mi-fgsm": MIFGSM(eps=eps, norm=norm, compact_every=5),
        "pgd-20-least-likely": pgd(steps=20, target="least_likely"),
        "fmn": FMN(norm=norm),
        "pgd-100x5": pgd(steps=100, restarts=5),
    }
    if source is not None:
        attack = PGD(eps=eps, step_size=eps / 4, steps=20, norm=norm)
        found["transfer-pgd-20"] = Transfer(source=source, attack=attack)
    return found


def _pgd(eps: float, norm: Norm) -> Callable[..., PGD]:
    """Build searches in one ball by steps of a quarter of its radius, 2/255 at 8/255."""
    return partial(PGD, eps=eps, step_size=eps / 4, norm=norm, compact_every=5)


def _one_step(eps: float, norm: Norm) -> Attack:
    if norm == "linf":
        return FGSM(eps=eps)
    return PGD(eps=eps, step_size=eps, steps=1, norm=norm, random_start=False, iterate="last")


def _long(eps: float, norm: Norm) -> dict[str, Attack]:
    """Give what only a full evaluation has time for."""
    pgd = _pgd(eps, norm)
    return {
        "autoattack": AutoAttack(eps=eps, norm=norm),
        "pgd-100x5-margin": pgd(steps=100, loss="margin", restarts=5),
        "cw-l2": CWL2(),
        "pgd-1000": pgd(steps=1000),
        "pgd-1000-margin": pgd(steps=1000, loss="margin"),
    }
