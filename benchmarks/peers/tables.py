"""The lines of a comparison as a page to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.peers.packages import PEERS, installed
from benchmarks.timing import interval

__all__ = ["agreement", "page", "section"]

_HEAD = """
## {net}, {attack} at {eps}, {images} images, {where}

| tool | robust, % | ms an image | times ours | passes an image | peak, MiB | agrees, % | norm |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""
_ALIKE = ("net", "attack", "eps", "images", "device", "batch", "threads")
_HOW = """
robust: judged here in float32 after projection into the ball, mean over rounds, and their range;
ms an image: median over rounds, and its order-statistic interval; times ours: the median ratio
within a round, and its interval; passes: forward+backward as counted at the classifying layer,
those of the verdict that is made here not among them; peak: most memory beyond what was there
before; agrees: images on which the verdict is that of `{base}` in the same round; norm: median l2
size where the net was right and was fooled.
"""


def agreement(one: str, other: str) -> float:
    """Tell on how many images two verdicts agree.

    Args:
        one: A 0 or 1 for each image.
        other: Likewise.

    Returns:
        Per cent.
    """
    return 100 * mean(a == b for a, b in zip(one, other, strict=True))


def page(
    title: str,
    lines: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[str],
    peers: Path | None,
    base: str = "vicinal",
    more: str = "",
) -> str:
    """Write a comparison as Markdown.

    Args:
        title: Its title.
        lines: Its runs.
        tools: Every tool that was asked for, in the order of the rows.
        peers: Where each package has a folder of its own.
        base: The tool that the others are held against.
        more: What stands behind the tables.

    Returns:
        The page.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for line in lines:
        key = tuple(line[name] for name in _ALIKE)
        groups.setdefault(key, []).append(line)
    text = _told(title, lines) + _HOW.format(base=base)
    text += "".join(section(group, tools=tools, base=base) for group in groups.values())
    text += more
    absent = [name for name in tools if name in PEERS and not installed(name, peers)]
    for name in absent:
        text += f"\n{name}: not installed; `{PEERS[name].pip(f'PEERS/{name}')}`, `--peers PEERS`.\n"
    return text


def _told(title: str, lines: Sequence[Mapping[str, Any]]) -> str:
    if not lines:
        return f"# {title}\n\nNothing was run.\n"
    last = lines[-1]
    commits = ", ".join(sorted({line["commit"] for line in lines}))
    return (
        f"# {title}\n\n`{last['command']}`, commit {commits}, {last['date']}.\n{last['hardware']}; "
        f"device {last['device']}, threads {last['threads']}, batches of {last['batch']}; "
        f"torch {last['torch']}, Python {last['python']}.\n"
    )


def section(group: Sequence[Mapping[str, Any]], *, tools: Sequence[str], base: str) -> str:
    """Write one attack on one net as a table.

    Args:
        group: Its runs.
        tools: The order of the rows.
        base: The tool that the others are held against.

    Returns:
        Markdown.
    """
    first = group[0]
    eps = f"{Fraction(first['eps']).limit_denominator(1000)}"
    where = f"{first['device']}, threads {first['threads']}, batches of {first['batch']}"
    names = {name: first[name] for name in ("net", "attack", "images")}
    text = _HEAD.format(**names, eps=eps, where=where)
    own = {line["repeat"]: line for line in group if line["tool"] == base}
    notes = []
    for tool in tools:
        runs = [line for line in group if line["tool"] == tool]
        if runs:
            text += _row(tool, runs, own)
            told = [part for part in (_levers(runs[0]), runs[0]["note"]) if part]
            notes += [f"- {tool}: {'; '.join(told)}\n"] if told else []
    return text + ("\n" + "".join(notes) if notes else "")


def _levers(line: Mapping[str, Any]) -> str:
    return f"levers: {line['levers']}" if line["levers"] else ""


def _row(tool: str, runs: Sequence[Mapping[str, Any]], own: Mapping[int, Mapping[str, Any]]) -> str:
    n = runs[0]["images"]
    bare = tool == "bare passes"
    pairs = [(line, own[line["repeat"]]) for line in runs if line["repeat"] in own]
    ratios = [line["seconds"] / mine["seconds"] for line, mine in pairs]
    agrees = [agreement(line["fooled"], mine["fooled"]) for line, mine in pairs]
    norms = [line["norm"] for line in runs if line["norm"] is not None]
    peaks = [line["peak"] for line in runs if line["peak"] is not None]
    passes = "+".join(f"{mean(r[way] for r in runs) / n:.1f}" for way in ("forward", "backward"))
    version = runs[0]["version"]
    cells = (
        tool if version == "here" or bare else f"{tool} {version}",
        "-" if bare else _spread([line["robust"] for line in runs]),
        _centre([1000 * line["seconds"] / n for line in runs]),
        _centre(ratios),
        passes,
        f"{max(peaks) / 2**20:.0f}" if peaks else "-",
        f"{mean(agrees):.1f}" if agrees and not bare else "-",
        f"{median(norms):.4f}" if norms else "-",
    )
    return f"| {' | '.join(cells)} |\n"


def _spread(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{mean(values):.2f}" + (f" [{low:.1f}, {high:.1f}]" if len(values) > 1 else "")


def _centre(values: Sequence[float]) -> str:
    if not values:
        return "-"
    told = f"{median(values):.3g}"
    if len(values) == 1:
        return told
    ends = interval(values)
    return f"{told} [{ends.low:.3g}, {ends.high:.3g}]"
