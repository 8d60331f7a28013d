"""The command: which benchmarks, where, on how many threads, and where the results go."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import torch

from benchmarks import (
    attack_loop,
    augmentation,
    ceiling,
    engine_epoch,
    formats,
    objectives,
    report,
    settings,
    steps,
)
from benchmarks.progress import Bar
from benchmarks.timing import Comparison, Figure
from vicinal._checks import InputError, count
from vicinal.recipes.device import DEVICES, pick_device

__all__ = ["BENCHMARKS", "main"]

Measure: TypeAlias = Callable[[settings.Settings, Bar], list[Comparison | Figure]]
BENCHMARKS: dict[str, Measure] = {
    "steps": steps.measure,
    "objectives": objectives.measure,
    "engine": engine_epoch.measure,
    "attack": attack_loop.measure,
    "augmentation": augmentation.measure,
    "formats": formats.measure,
    "ceiling": ceiling.measure,
}
"""Every benchmark by the name that `--only` takes, in the order in which they run."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write them down.

    Args:
        argv: What stands behind the command's name; the process's own when not given.

    Returns:
        0, 2 for a mistake in the arguments, 130 after Ctrl-C.
    """
    typed = list(sys.argv[1:] if argv is None else argv)
    args = _parser().parse_args(typed)
    try:
        sizes = _settings(args)
        if args.threads is not None:
            torch.set_num_threads(count("threads", args.threads))
        names = args.only or list(BENCHMARKS)
        with Bar(shown=not args.quiet) as bar:
            for name in names:
                _run(
                    name, sizes, bar, command=" ".join(["python -m benchmarks", *typed]), args=args
                )
    except InputError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; what was finished before stands in its files", file=sys.stderr)
        return 130
    return 0


def _run(
    name: str, sizes: settings.Settings, bar: Bar, *, command: str, args: argparse.Namespace
) -> None:
    found = BENCHMARKS[name](sizes, bar)
    facts = report.circumstances(sizes, command)
    report.write(name, found, facts, out=args.out)
    if not args.quiet:
        bar.say(report.table(name, found, facts))


def _settings(args: argparse.Namespace) -> settings.Settings:
    device = pick_device(args.device)
    sizes = settings.quick(device) if args.quick else settings.usual(device)
    if args.pairs is not None:
        sizes = dataclasses.replace(sizes, pairs=count("pairs", args.pairs))
    return sizes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=list(BENCHMARKS), metavar="NAME",
        help=f"these alone: {', '.join(BENCHMARKS)} (default: all)",
    )  # fmt: skip
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where (default: cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: torch's)")
    parser.add_argument("--pairs", type=int, metavar="N", help="pairs per ratio (default: 30)")
    parser.add_argument("--quick", action="store_true", help="a smoke run of tiny nets, seconds")
    parser.add_argument(
        "--out", type=Path, default=Path("results/bench"), help="folder (default: results/bench)"
    )
    parser.add_argument("--quiet", action="store_true", help="no bar and no tables")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
