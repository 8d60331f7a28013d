"""What came out, for machines as lines of JSON and for people as a table."""

from __future__ import annotations

import dataclasses
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.settings import Settings
from benchmarks.timing import Comparison, Figure, Interval
from vicinal import records
from vicinal.recipes.environment import processor

__all__ = ["circumstances", "commit", "table", "write"]

_HEAD = """\
# {name}

`{command}`, commit {commit}, {date}.
{hardware}; threads: {threads}; torch {torch}, Python {python}.
"""
_PAIRS = """
Medians over {pairs} interleaved pairs; brackets: order-statistic interval of the median (coverage
{coverage:.1%}); noise: the base against itself in the same run.{repeats}

| candidate | over | time ratio | noise | candidate, s | base, s | target |
| --- | --- | ---: | ---: | ---: | ---: | --- |
"""
_FIGURES = """
| what | value | unit | how |
| --- | ---: | --- | --- |
"""


def circumstances(settings: Settings, command: str) -> dict[str, Any]:
    """Say under which circumstances a number comes about.

    Args:
        settings: The sizes.
        command: What was typed.

    Returns:
        Fields command, commit, date, hardware, threads, torch, python, device, settings.
    """
    cuda = settings.device.type == "cuda"
    chip = f"{processor()}, {os.cpu_count()} cores"
    sizes = {key: value for key, value in dataclasses.asdict(settings).items() if key != "device"}
    return {
        "command": command,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": f"{torch.cuda.get_device_name(settings.device)}; {chip}" if cuda else chip,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": str(settings.device),
        "settings": sizes,
    }


def commit() -> str:
    """Name the commit, with a mark where tracked files differ from it.

    Returns:
        Its short hash, "-changed" behind it where they do, or "unknown" outside of git.
    """
    here = Path(__file__).parent
    command = ["git", "describe", "--always", "--abbrev=10", "--exclude=*", "--dirty=-changed"]
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def write(
    name: str,
    found: Sequence[Comparison | Figure],
    facts: dict[str, Any],
    *,
    out: Path,
) -> None:
    """Append what was found to `<name>.jsonl` and write it as `<name>.md`, for the last run only.

    Args:
        name: The benchmark.
        found: Its answers.
        facts: The circumstances.
        out: The folder, made when missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    for row in found:
        kind = "comparison" if isinstance(row, Comparison) else "figure"
        met = {"met": row.met} if isinstance(row, Comparison) else {}
        line = {"kind": kind, "benchmark": name, **dataclasses.asdict(row), **met, **facts}
        records.append(out / f"{name}.jsonl", line)
    records.write_text(out / f"{name}.md", table(name, found, facts))


def table(name: str, found: Sequence[Comparison | Figure], facts: dict[str, Any]) -> str:
    """Write the answers as Markdown.

    Args:
        name: The benchmark.
        found: Its answers.
        facts: The circumstances.

    Returns:
        The page.
    """
    pairs = [row for row in found if isinstance(row, Comparison)]
    figures = [row for row in found if isinstance(row, Figure)]
    text = _HEAD.format(name=name, **facts)
    if pairs:
        coverage = min(row.interval.coverage for row in pairs)
        steps = facts["settings"]["repeats"]
        repeats = f" A run of a training step is {steps} of them." if steps > 1 else ""
        text += _PAIRS.format(pairs=pairs[0].pairs, coverage=coverage, repeats=repeats)
        text += "".join(f"{_row(row)}\n" for row in pairs)
    if figures:
        text += _FIGURES
        text += "".join(
            f"| {row.name} | {row.value:,.4g} | {row.unit} | {row.how} |\n" for row in figures
        )
    return text


def _row(row: Comparison) -> str:
    cells = (
        row.name,
        row.against,
        _with_interval(row.ratio, row.interval),
        _with_interval(row.noise, row.noise_interval),
        f"{row.seconds:.4g}",
        f"{row.base_seconds:.4g}",
        _target(row),
    )
    return f"| {' | '.join(cells)} |"


def _with_interval(value: float, interval: Interval) -> str:
    return f"{value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _target(row: Comparison) -> str:
    if row.met is None:
        return ""
    rule = f"<= {row.at_most:g}" if row.at_most is not None else f">= {row.at_least:g}"
    if not row.met:
        return f"{rule}: missed"
    over = row.at_most is not None and row.ratio > row.at_most
    return f"{rule}: met by the interval, not the median" if over else f"{rule}: met"
