"""`vicinal evaluate`: a run's model, clean and under attacks, as a table and as records."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vicinal.cli import dry_run
from vicinal.cli.dry_run import add_dry_run
from vicinal.cli.fetching import add_data, fetched
from vicinal.cli.options import add_common, check_common, default_threads

if TYPE_CHECKING:
    from vicinal.records import Record

__all__ = ["add_parser"]

_EPILOG = """examples:
  vicinal evaluate RUN
  vicinal evaluate RUN --attack fgsm --attack pgd
  vicinal evaluate RUN --attack 'pgd(eps=4/255, step_size=1/255, steps=10)' --n 2000
  vicinal evaluate RUN --attack 'pgd(eps=inf, step_size=0.01, steps=200, random_start=False)'
  vicinal evaluate RUN --attack 'transfer(source="OTHER_RUN", attack=pgd)'
  vicinal evaluate RUN --attack fgsm --per-class
  torchrun --nproc-per-node 2 -m -- vicinal evaluate RUN --attack pgd --n 2000

Budgets are in the unit of the pixels, which lie in [0, 1]: 8/255 is 8 grey levels. What an
attack leaves out of eps, step_size and steps is that of the run's recipe. `vicinal list attacks`
names the attacks and their arguments. The clean error is over all test images, and so are the
top-5 error, where there are more than five classes, and the calibration error (ECE, 15 bins).
Records are appended to RUN/results.jsonl.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand.

    Args:
        subparsers: Where to add it.
    """
    parser = subparsers.add_parser(
        "evaluate",
        help="measure the clean and the attacked error of a run",
        description="Measure the error of a run's model on clean test images and under attacks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("run_dir", metavar="RUN", help="the run folder that `vicinal train` made")
    parser.add_argument(
        "--attack", action="append", default=[], metavar="ATTACK", help="may be given several times"
    )
    parser.add_argument(
        "--n", type=int, metavar="N", help="attack the first N test images (default: the recipe's)"
    )
    parser.add_argument(
        "--per-class", action="store_true", help="also show the accuracy of each class"
    )
    add_data(parser)
    add_dry_run(parser)
    add_common(parser, threads="the run's")
    parser.set_defaults(run=run, shared=True)


def run(args: argparse.Namespace) -> int:
    """Evaluate.

    Args:
        args: The parsed arguments.

    Returns:
        0.
    """
    check_common(args)
    from vicinal import _checks
    from vicinal.recipes import judge, recorded_threads
    from vicinal.records import line

    if args.n is not None:
        _checks.count("n", args.n)
    default_threads(args, recorded_threads(Path(args.run_dir)))
    if args.dry_run:
        return dry_run.evaluation(args)
    work = partial(
        judge.evaluate_run,
        args.run_dir,
        attacks=args.attack,
        n=args.n,
        data_dir=args.data_dir,
        device=args.device,
        seed=args.seed or 0,
        progress=not args.json,
    )
    found = fetched(work, args, folder=Path(args.run_dir))
    if args.json:
        for record in found:
            print(line(record))
    else:
        _print(found, per_class=args.per_class)
        print(f"records: {args.run_dir}/results.jsonl")
    return 0


def _print(found: list[Record], *, per_class: bool) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from vicinal import report
    from vicinal.evaluation.scores import told

    first = found[0]
    title = (
        f"{first['recipe']} {first['method']}, {first['scale']}, seed {first['train_seed']}: "
        f"{first['model']} on {first['dataset']}"
    )
    table = Table(title=title, title_justify="left", caption=told(first), caption_justify="left")
    table.add_column("attack", overflow="fold")
    for column in ("error %", "accuracy %", "images", "passes", "seconds"):
        table.add_column(column, justify="right")
    for record in found:
        table.add_row(escape(record["attack"]), *_cells(record))
    Console().print(table)
    if per_class:
        Console().print(report.rich_table(report.per_class(found)))


def _cells(record: Record) -> list[str]:
    passes, seconds = "", ""
    if "forward" in record:
        passes = f"{record['forward'] / record['n']:g}+{record['backward'] / record['n']:g}"
        seconds = f"{record['seconds']:.1f}"
    shares = [f"{100 * record[field]:.2f}" for field in ("error", "accuracy")]
    return [*shares, str(record["n"]), passes, seconds]
