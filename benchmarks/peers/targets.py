"""What the comparison ought to show, and whether it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any

from benchmarks.peers.packages import PEERS
from benchmarks.timing import Interval, interval

__all__ = ["POINTS", "ratio", "targets"]

POINTS = 0.3
"""By how many points a robust accuracy may lie above the reference's."""

_MARGIN, _OF_AUTOATTACK, _OF_BARE, _OF_NORM = 0.15, 0.6, 1.05, 1.02

_HEAD = """
## Targets

| net | attack | where | target | found | met |
| --- | --- | --- | --- | --- | --- |
"""

_ALIKE = ("net", "attack", "eps", "images", "device", "batch", "threads")
"""What runs must have in common to be divided by each other."""

Lines = Sequence[Mapping[str, Any]]


def targets(lines: Lines) -> str:
    """Hold every attack against its target.

    Args:
        lines: The runs.

    Returns:
        Markdown; nothing where no target applies.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for line in lines:
        key = tuple(line[name] for name in _ALIKE)
        groups.setdefault(key, []).append(line)
    rows = [row for group in groups.values() for row in _rows(group)]
    if not rows:
        return ""
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rows(group: Lines) -> list[tuple[str, ...]]:
    net, attack, kind = group[0]["net"], group[0]["attack"], group[0]["kind_of_attack"]
    found = [*_plain(group), *_robust(group)]
    if kind == "pgd":
        found += _fast(group)
    if kind == "standard":
        found += _autoattack(group)
    if kind == "cw-l2":
        found += _near(group)
    first = group[0]
    where = f"{first['device']}, threads {first['threads']}, batches of {first['batch']}"
    return [(net, attack, f"{first['images']} images, {where}", *row) for row in found]


def ratio(group: Lines, above: str, below: str) -> tuple[float, Interval] | None:
    """Give the time of one tool over another's, round by round.

    Args:
        group: Runs of one attack on one net.
        above: The tool.
        below: The tool that it is held against.

    Returns:
        The median and its interval; None where no round has both.
    """
    seconds = {(line["tool"], line["repeat"]): line["seconds"] for line in group}
    pairs = [(t, r) for t, r in seconds if t == above and (below, r) in seconds]
    ratios = [seconds[pair] / seconds[below, pair[1]] for pair in pairs]
    return (median(ratios), interval(ratios)) if ratios else None


def _plain(group: Lines) -> list[tuple[str, str, str]]:
    found = ratio(group, "vicinal, plain", "bare passes")
    if found is None:
        return []
    value, ends = found
    rule = f"a plain loop takes at most {_OF_BARE} of its bare passes"
    return [(rule, f"{value:.3f} [{ends.low:.3f}, {ends.high:.3f}]", _met(ends.low <= _OF_BARE))]


def _robust(group: Lines) -> list[tuple[str, str, str]]:
    """Hold the accuracy against the strictest peer's with the same steps."""
    own = [line["robust"] for line in group if line["tool"] == "vicinal"]
    peers: dict[str, list[float]] = {}
    for line in group:
        if line["tool"] in PEERS and not line["note"]:
            peers.setdefault(line["tool"], []).append(line["robust"])
    if not own or not peers:
        return []
    lowest = min(peers, key=lambda name: mean(peers[name]))
    above = mean(own) - mean(peers[lowest])
    rule = f"robust accuracy at most {POINTS} points above the lowest peer's"
    return [(rule, f"{above:+.2f} against {lowest}", _met(above <= POINTS + 1e-9))]


def _fast(group: Lines) -> list[tuple[str, str, str]]:
    found = {name: ratio(group, "vicinal", name) for name in PEERS}
    ratios = {name: value[0] for name, value in found.items() if value is not None}
    if not ratios:
        return []
    fastest = max(ratios, key=lambda name: ratios[name])
    robust = mean(line["robust"] for line in group if line["tool"] == "vicinal") / 100
    limit, value = robust + _MARGIN, ratios[fastest]
    rule = f"at most r + {_MARGIN} = {limit:.3f} of the fastest peer's time"
    return [(rule, f"{value:.3f} of {fastest}'s", _met(value <= limit))]


def _autoattack(group: Lines) -> list[tuple[str, str, str]]:
    found = ratio(group, "vicinal", "pyautoattack")
    if found is None:
        return []
    rule = f"at most {_OF_AUTOATTACK} of pyautoattack's time"
    return [(rule, f"{found[0]:.3f}", _met(found[0] <= _OF_AUTOATTACK))]


def _near(group: Lines) -> list[tuple[str, str, str]]:
    """Hold the median size of what fools against that of the original's nearest relative."""
    norms: dict[str, list[float]] = {}
    for line in group:
        if line["norm"] is not None:
            norms.setdefault(line["tool"], []).append(line["norm"])
    if "vicinal" not in norms or "adv-lib" not in norms:
        return []
    value = median(norms["vicinal"]) / median(norms["adv-lib"])
    rule = f"median norm at most {_OF_NORM} of adv-lib's"
    return [(rule, f"{value:.4f}", _met(value <= _OF_NORM))]


def _met(right: bool) -> str:
    return "yes" if right else "no"
