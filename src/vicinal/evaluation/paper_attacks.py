"""The attacks that the papers report, each at its paper's budget or all at one.

Written as multiples of a budget: all of them step by a quarter of it, but where a table says
otherwise. The last iterate is judged, as theirs is. Not here: the margin clamped at 50 of BAT's and
AVmixup's CW attack; unclamped it is no weaker.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from vicinal._checks import number
from vicinal._typing import Attack, Model
from vicinal.attacks import CWL2, FGSM, MIFGSM, PGD, Transfer

__all__ = ["PAPERS", "paper_attacks"]

PAPERS = {"ALPS": 4 / 255, "BAT": 8 / 255, "AVmixup": 8 / 255, "M-TLAT": 0.04}
"""The papers and the radius of their tables, in pixel units."""


@dataclass(frozen=True, kw_only=True)
class _Listed:
    """An attack as a table lists it, its radius and step in units of the paper's budget."""

    name: str
    papers: tuple[str, ...]
    kind: str = "pgd"
    steps: int = 1
    step: float = 0.25
    random_start: bool = True
    loss: str = "ce"
    target: str | None = None
    radius: float = 1.0
    transferred: bool = False


_LISTED = (
    _Listed(name="fgsm", papers=("ALPS", "BAT", "AVmixup"), kind="fgsm"),
    _Listed(name="pgd-20", papers=("BAT", "AVmixup"), steps=20),
    _Listed(name="cw-20", papers=("BAT", "AVmixup"), steps=20, loss="margin"),
    _Listed(name="pgd-10", papers=("ALPS", "AVmixup", "M-TLAT"), steps=10),
    _Listed(name="pgd-least-likely", papers=("M-TLAT",), steps=10, target="least_likely"),
    _Listed(name="cw-l2", papers=("M-TLAT",), kind="cw-l2"),
    _Listed(name="pgd-100", papers=("BAT", "AVmixup"), steps=100),
    _Listed(name="cw-100", papers=("BAT", "AVmixup"), steps=100, loss="margin"),
    _Listed(name="transfer-fgsm", papers=("ALPS", "BAT"), kind="fgsm", transferred=True),
    _Listed(name="transfer-pgd-10", papers=("ALPS",), steps=10, transferred=True),
    _Listed(name="transfer-pgd-20", papers=("BAT", "AVmixup"), steps=20, transferred=True),
    _Listed(name="transfer-mi-fgsm", papers=("M-TLAT",), kind="mi-fgsm", transferred=True),
    _Listed(
        name="transfer-mi-fgsm-twice",
        papers=("M-TLAT",),
        kind="mi-fgsm",
        radius=2.0,
        transferred=True,
    ),
    _Listed(name="unbounded-pgd", papers=("ALPS",), kind="unbounded"),
    _Listed(name="pgd-7", papers=("BAT",), steps=7),
    _Listed(name="pgd-7-no-start", papers=("BAT",), steps=7, random_start=False),
    _Listed(name="pgd-2", papers=("BAT",), steps=2, step=1.0),
    _Listed(name="r-fgsm", papers=("BAT",), step=1.0),
    _Listed(
        name="one-step-mc", papers=("BAT",), step=1.0, random_start=False, target="most_confusing"
    ),
    _Listed(name="one-step-mc-start", papers=("BAT",), step=1.0, target="most_confusing"),
    _Listed(
        name="one-step-ll", papers=("BAT",), step=1.0, random_start=False, target="least_likely"
    ),
    _Listed(name="one-step-ll-start", papers=("BAT",), step=1.0, target="least_likely"),
    _Listed(name="cw-200", papers=("BAT",), steps=200, loss="margin"),
    _Listed(name="pgd-1000", papers=("BAT",), steps=1000),
    _Listed(name="cw-1000", papers=("BAT",), steps=1000, loss="margin"),
)
"""Ordered by what they are worth; BAT's attacks on ImageNet at 16/255 are not among them."""


def paper_attacks(
    eps: float | None, source: Model | None
) -> Iterator[tuple[str, Attack, tuple[str, ...]]]:
    """Run through the attacks of the papers.

    Args:
        eps: One radius for all; each paper's own when not given.
        source: Where transferred examples are made; without it they are left out.

    Yields:
        A name, the attack, and the papers that report it. At the papers' own radii a name says
        which of them it is, "alps/fgsm", and attacks that are the same are joined.
    """
    if eps is not None:
        number("eps", eps, low=0.0, high=1.0, open_low=True)
    for listed in _LISTED:
        if listed.transferred and source is None:
            continue
        groups: dict[float, list[str]] = {}
        for paper in listed.papers:
            groups.setdefault(PAPERS[paper] if eps is None else eps, []).append(paper)
        for radius, papers in groups.items():
            owner = "+".join(papers).lower()
            name = listed.name if eps is not None else f"{owner}/{listed.name}"
            attack = _attack(listed, radius)
            if listed.transferred and source is not None:
                attack = Transfer(source=source, attack=attack)
            yield name, attack, tuple(papers)


def _attack(listed: _Listed, eps: float) -> Attack:
    if listed.kind == "fgsm":
        return FGSM(eps=eps)
    if listed.kind == "mi-fgsm":
        return MIFGSM(eps=min(listed.radius * eps, 1.0), iterate="last")
    if listed.kind == "cw-l2":
        return CWL2.m_tlat()
    if listed.kind == "unbounded":
        return PGD(eps=math.inf, step_size=0.01, steps=200, random_start=False, iterate="last")
    return PGD(
        eps=eps,
        step_size=listed.step * eps,
        steps=listed.steps,
        random_start=listed.random_start,
        loss=listed.loss,
        target=listed.target,
        iterate="last",
    )
