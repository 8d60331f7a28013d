"""Our corruptions in batches beside imagecorruptions 1.1.2, image by image, in one interleaved run.

CPU time of each process on one thread, ms per image of 8 bits, severity 3: medians over rounds in
which each corruption is timed ours first, then theirs. CPU time, since it counts on a busy machine
too, if less exactly there; the header tells the load. Every corruption's figures are written as
soon as they stand. Without `--peer` the other column holds figures noted earlier on another quiet
machine, marked as such.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import report, settings
from benchmarks.progress import Bar
from benchmarks.timing import Interval, interval
from vicinal import records
from vicinal._checks import InputError, count
from vicinal.corruptions import CORRUPTIONS, SETS, fixed_keys

__all__ = ["Row", "geometric_mean", "main", "measure", "table"]

_WORKER = Path(__file__).parent / "peers" / "imagecorruptions_worker.py"
_NAMES = SETS["common"]
_OWN_FOUR = tuple(name for name in SETS["all"] if name not in SETS["common"])
_GOALS = {32: 4.0, 224: 5.0}
_LIMITS = {"jpeg_compression": 2.0, "pixelate": 2.0}
_LIMIT = 1.2
_SECONDS = 0.5
_STOPPED = 130
_OUT = Path("results/bench")

_NOTED: dict[int, dict[str, float]] = {
    32: {
        "glass_blur": 11.7, "zoom_blur": 1.1, "brightness": 0.27, "frost": 4.5, "shot_noise": 0.19,
        "elastic_transform": 0.31, "snow": 0.46, "motion_blur": 0.57, "gaussian_noise": 0.07,
        "impulse_noise": 0.08, "fog": 0.30, "defocus_blur": 0.16, "contrast": 0.05,
        "jpeg_compression": 0.12, "pixelate": 0.03,
    },
    224: {
        "glass_blur": 686, "zoom_blur": 43, "brightness": 16, "frost": 12.8, "shot_noise": 10.3,
        "elastic_transform": 9.1, "snow": 6.6, "motion_blur": 5.3, "gaussian_noise": 3.9,
        "impulse_noise": 3.5, "fog": 3.4, "defocus_blur": 2.8, "contrast": 1.4,
        "jpeg_compression": 0.28, "pixelate": 0.22,
    },
}  # fmt: skip
"""Milliseconds per image of imagecorruptions 1.1.2, patched, noted earlier on one thread."""

Peer = Callable[[str, int, int, int], float]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One corruption at one size.

    Args:
        name: The corruption.
        side: Pixels of the sides.
        ours: Our milliseconds per image.
        peer: The other's; None where it has no such corruption.
        noted: Whether the other's was not measured in this run.
        ratios: Theirs over ours, round by round; empty where not measured.
    """

    name: str
    side: int
    ours: float
    peer: float | None
    noted: bool
    ratios: tuple[float, ...] = ()

    @property
    def speedup(self) -> float | None:
        """How many times faster ours is: the median over the rounds."""
        if self.peer is None:
            return None
        return statistics.median(self.ratios) if self.ratios else self.peer / self.ours

    @property
    def interval(self) -> Interval | None:
        """Where that median lies, by its order statistics."""
        return interval(self.ratios) if self.ratios else None

    @property
    def too_slow(self) -> bool:
        """Whether ours is slower than it may be."""
        limit = _LIMITS.get(self.name, _LIMIT)
        return self.speedup is not None and self.speedup < 1 / limit


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write them down.

    Args:
        argv: What stands behind the command's name; the process's own when not given.

    Returns:
        0, or 2 for a mistake in the arguments.
    """
    typed = list(sys.argv[1:] if argv is None else argv)
    args = _parser().parse_args(typed)
    torch.set_num_threads(1)
    facts = _facts(args, typed)
    rows: list[Row] = []
    try:
        with Bar(shown=not args.quiet) as bar:
            for row in measure(args, bar):
                rows.append(row)
                _keep(args.out, rows, facts)
    except InputError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"benchmarks: stopped; {len(rows)} lines are in {args.out}.", file=sys.stderr)
        return _STOPPED
    if not args.quiet:
        print(table(rows, facts))
    return 0


def _facts(args: argparse.Namespace, typed: Sequence[str]) -> dict[str, Any]:
    """Say what was typed and where, without the paths of a machine."""
    hidden = {str(args.peer): "PYTHON", str(args.out): "DIR"}
    if args.out == _OUT:
        hidden.pop(str(args.out))
    words = [hidden.get(word, word) for word in typed]
    command = " ".join(["python -m benchmarks.corruptions", *words])
    facts = report.circumstances(settings.usual(torch.device(args.device)), command)
    known = ("sizes", "only", "batch", "severity", "rounds")
    facts["settings"] = {key: getattr(args, key) for key in known}
    with suppress(OSError, AttributeError):
        facts["load"] = round(os.getloadavg()[0], 1)
    return facts


def measure(args: argparse.Namespace, bar: Bar) -> Iterator[Row]:
    """Time every corruption at every size, ours and theirs in turns.

    Args:
        args: The parsed arguments.
        bar: Shows how far it is.

    Yields:
        One row per corruption and size, as soon as it is known.
    """
    for name in ("batch", "rounds", "severity"):
        count(name, getattr(args, name))
    names = [*(_NAMES if not args.only else args.only), *(() if args.only else _OWN_FOUR)]
    with _started(args.peer) as peer:
        for side in args.sizes:
            x = _images(args.batch, side).to(args.device)
            for name in names:
                if not args.quiet:
                    bar.say(f"{name}, {side} pixels")
                yield _row(name, x, args, peer)


def _row(name: str, x: torch.Tensor, args: argparse.Namespace, peer: Peer | None) -> Row:
    side, ours, theirs = x.shape[-1], [], []
    _ours(name, x, args.severity)
    images = 0
    if peer is not None and name in _NAMES:
        first = peer(name, side, args.severity, 2)
        # The other works image by image: as many as a few seconds allow.
        images = max(2, min(len(x), round(_SECONDS / max(first, 1e-6))))
    for _ in range(args.rounds):
        ours.append(_ours(name, x, args.severity))
        if peer is not None and images:
            theirs.append(peer(name, side, args.severity, images))
    noted = _NOTED.get(side, {}).get(name) if peer is None else None
    other = 1000 * statistics.median(theirs) if theirs else noted
    mine = 1000 * statistics.median(ours)
    ratios = tuple(b / a for a, b in zip(ours, theirs, strict=False))
    return Row(name=name, side=side, ours=mine, peer=other, noted=not theirs, ratios=ratios)


def _ours(name: str, x: torch.Tensor, severity: int) -> float:
    """Give seconds per image: CPU time, or on an accelerator wall time."""
    keys = fixed_keys(torch.arange(len(x)), seed=0, name=name, severity=severity)
    cuda = x.device.type == "cuda"
    clock = time.perf_counter if cuda else time.process_time
    began = clock()
    CORRUPTIONS[name](x, severity=severity, keys=keys)
    if cuda:
        torch.cuda.synchronize()
    return (clock() - began) / len(x)


def _images(n: int, side: int) -> torch.Tensor:
    coarse = torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    large = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return large.mul_(255).floor_().div_(255)


@contextmanager
def _started(python: str | None) -> Generator[Peer | None]:
    """Run the other package's process, where one is given, until it is no longer needed."""
    if python is None:
        yield None
        return
    try:
        process = subprocess.Popen(
            [python, str(_WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    except OSError as error:
        raise InputError(
            f"`--peer` must be a Python interpreter; got {python}: {error.strerror}."
        ) from error
    try:
        ask = partial(_ask, process, python)
        ask("brightness", 32, 1, 2)
        yield ask
    finally:
        process.kill()
        process.communicate()


def _ask(
    process: subprocess.Popen[str], python: str, name: str, side: int, severity: int, images: int
) -> float:
    """Have the other package corrupt some images, and hear the seconds for each."""
    answer = ""
    if process.stdin is not None and process.stdout is not None:
        with suppress(OSError):
            process.stdin.write(f"{name} {side} {severity} {images}\n")
            process.stdin.flush()
        answer = process.stdout.readline()
    if not answer:
        raise InputError(
            f"`--peer` must be a Python with imagecorruptions 1.1.2 and its patch; {python} "
            f"failed at {name}."
        )
    return float(answer)


def geometric_mean(values: Sequence[float]) -> float:
    """Give the geometric mean.

    Args:
        values: Positive numbers.

    Returns:
        Their geometric mean; NaN of none.

    Example:
        >>> geometric_mean([1.0, 4.0])
        2.0
    """
    return math.exp(statistics.fmean(map(math.log, values))) if values else math.nan


def _keep(out: Path, rows: Sequence[Row], facts: Mapping[str, Any]) -> None:
    """Write the newest row down, and the page anew."""
    out.mkdir(parents=True, exist_ok=True)
    row = rows[-1]
    line = {"kind": "corruption-time", **vars(row), "speedup": row.speedup, **facts}
    records.append(out / "corruptions.jsonl", line)
    records.write_text(out / "corruptions.md", table(rows, facts))


def table(rows: Sequence[Row], facts: Mapping[str, Any]) -> str:
    """Write the answers as Markdown.

    Args:
        rows: One per corruption and size.
        facts: The circumstances.

    Returns:
        The page.
    """
    text = (
        f"# corruptions\n\n`{facts['command']}`, commit {facts['commit']}, {facts['date']}.\n"
        f"{facts['hardware']}; threads: {facts['threads']}; torch {facts['torch']}, Python "
        f"{facts['python']}; {facts['device']}. {_load(facts)}\n"
    )
    for side in dict.fromkeys(row.side for row in rows):
        text += _part([row for row in rows if row.side == side], side)
    return text


def _load(facts: Mapping[str, Any]) -> str:
    load = facts.get("load")
    if load is None:
        return ""
    return f"Other work ran beside it: load {load:g} at the start, so only CPU time is told."


def _part(rows: Sequence[Row], side: int) -> str:
    noted = any(row.noted and row.peer is not None for row in rows)
    how = "noted earlier on another machine, not measured here" if noted else "in the same run"
    rounds = max((len(row.ratios) for row in rows), default=0)
    if rounds:
        how += f"; medians over {rounds} rounds, in brackets the interval of the median ratio"
    text = (
        f"\n## {side} pixels\n\nCPU milliseconds per image; imagecorruptions 1.1.2 {how}.\n\n"
        "| corruption | ours | imagecorruptions | times faster | |\n"
        "| --- | ---: | ---: | ---: | --- |\n"
    )
    for row in rows:
        cells = ("", "") if row.peer is None else (f"{row.peer:.3f}", _times(row))
        text += f"| {row.name} | {row.ours:.3f} | {' | '.join(cells)} | {_mark(row)} |\n"
    both = [row for row in rows if row.peer is not None]
    ratios = [row.speedup for row in both if row.speedup is not None]
    if not ratios:
        return text
    ours, peer = sum(row.ours for row in both), sum(row.peer or 0.0 for row in both)
    mean, goal = geometric_mean(ratios), _GOALS.get(side)
    told = "" if goal is None else f", goal {goal:g}: {'met' if mean >= goal else 'missed'}"
    return (
        f"{text}| total of {len(both)} | {ours:.2f} | {peer:.2f} | {peer / ours:.2f} | |\n\n"
        f"Geometric mean over {len(both)}: {mean:.2f} times faster{told}.\n"
    )


def _times(row: Row) -> str:
    where = row.interval
    return f"{row.speedup:.2f}" + (f" [{where.low:.2f}, {where.high:.2f}]" if where else "")


def _mark(row: Row) -> str:
    return "slower than allowed" if row.too_slow else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corruptions", description=__doc__)
    parser.add_argument("--peer", metavar="PYTHON", help="interpreter with imagecorruptions 1.1.2")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 224], metavar="N")
    parser.add_argument("--only", nargs="+", choices=sorted(CORRUPTIONS), metavar="NAME")
    parser.add_argument("--batch", type=int, default=128, metavar="N", help="default: 128")
    parser.add_argument("--severity", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--rounds", type=int, default=6, metavar="N", help="default: 6")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, default=_OUT, metavar="DIR")
    parser.add_argument("--quiet", action="store_true", help="no bar and no tables")
    return parser


if __name__ == "__main__":
    sys.exit(main())
