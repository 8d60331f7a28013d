"""`--dry-run`: what a job would cost, as a small table or as JSON lines, and nothing is done."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vicinal.campaigns.forecast import CampaignForecast, TaskForecast
    from vicinal.recipes import Recipe
    from vicinal.recipes.forecast import TrainingForecast
    from vicinal.recipes.forecast_attack import AttackForecast
    from vicinal.recipes.forecast_memory import Memory

__all__ = ["add_dry_run", "campaign", "evaluation", "memory_words", "rows", "size", "training"]


def add_dry_run(
    parser: argparse.ArgumentParser, *, tells: str = "passes, memory and minutes"
) -> None:
    """Add --dry-run to a subcommand.

    Args:
        parser: The subcommand's parser.
        tells: What is told in every case, for the help.
    """
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help=f"tell {tells}, measured for some seconds on made-up images; do and write nothing",
    )


def training(recipe: Recipe, folder: Path, args: argparse.Namespace) -> int:
    """Tell what a training would cost.

    Args:
        recipe: The resolved recipe.
        folder: The run folder that it would write to.
        args: The parsed arguments.

    Returns:
        0.
    """
    from vicinal import engine, records
    from vicinal.recipes.folder import data_folder, run_device
    from vicinal.recipes.forecast import forecast_training

    _warn_of_absence(recipe, args)
    begun = (folder / "recipe.yaml").is_file()
    done = len(records.read(folder / engine.METRICS)) if begun else 0
    found = forecast_training(
        recipe,
        device=run_device(folder, args.device),
        data_dir=data_folder(folder, args.data_dir),
        done=done,
    )
    if args.json:
        print(records.line({**found.record, "run_dir": str(folder), "epochs_done": done}))
        return 0
    state = f"goes on after epoch {done}" if begun else "new"
    _print(f"dry run of {_named(recipe)}", [("run folder", f"{folder} ({state})"), *rows(found)])
    return 0


def _warn_of_absence(recipe: Recipe, args: argparse.Namespace) -> None:
    from vicinal.recipes.forecast_data import absence

    if args.data_dir is None or args.download:
        return
    lacking = absence(recipe, Path(args.data_dir))
    if lacking is not None:
        told = lacking.replace("`data_dir`", "`--data-dir`")
        print(f"vicinal: {told} The training itself would stop there.", file=sys.stderr)


def rows(found: TrainingForecast) -> list[tuple[str, str]]:
    """Write the forecast of a training as rows of a table.

    Args:
        found: The forecast.

    Returns:
        Each row's name and what it says.
    """
    from vicinal.campaigns.progress import duration

    recipe, shape = found.recipe, "x".join(str(side) for side in found.sizes.shape)
    told = [
        ("net", f"{recipe.model.name}, on {found.device}"),
        ("data", f"{found.images} images of {shape}, {recipe.dataset} {found.sizes.source}"),
        ("steps", f"{found.epochs} epochs of {found.steps}: {found.epochs * found.steps}"),
        (
            "passes",
            f"{found.passes} a step; over images {found.forward:,} forward, "
            f"{found.backward:,} backward",
        ),
        ("memory", memory_words(found.memory, found.free)),
        (
            "time",
            f"{duration(found.seconds)}: {found.step_seconds:.3g} s a step, from {found.timed}",
        ),
    ]
    if found.accumulate is not None:
        micro = -(-recipe.batch_size // found.accumulate)
        advice = f"--accumulate {found.accumulate}: micro-batches of {micro} would fit, within "
        told.append(("try", f"{advice}which BatchNorm and mixing then work"))
    return told


def evaluation(args: argparse.Namespace) -> int:
    """Tell what judging a run would cost.

    Args:
        args: The parsed arguments.

    Returns:
        0.
    """
    from vicinal import records
    from vicinal.recipes.forecast_attack import forecast_evaluation

    found = forecast_evaluation(
        args.run_dir, attacks=args.attack, n=args.n, data_dir=args.data_dir, device=args.device
    )
    if args.json:
        for each in found:
            print(records.line({**each.record, "run_dir": args.run_dir}))
    else:
        _attacks(found, args.run_dir)
    return 0


def campaign(args: argparse.Namespace, *, overrides: Mapping[str, Any]) -> int:
    """Tell what a campaign would cost.

    Args:
        args: The parsed arguments.
        overrides: Fields of every recipe by dotted name.

    Returns:
        0.
    """
    from vicinal import _checks, records
    from vicinal.campaigns.forecast import forecast
    from vicinal.campaigns.plan import Request
    from vicinal.campaigns.reproduce import seeds_of

    request = Request(
        table=args.table,
        scale=args.scale,
        seeds=seeds_of(args.seed or 0, args.seeds),
        out=Path(args.out),
        data_dir=None if args.data_dir is None else Path(args.data_dir),
        controls=args.controls,
        only=tuple(key for key in args.only.split(",") if key),
        models=tuple(name for name in args.models.split(",") if name),
        overrides=dict(overrides),
        device=args.device,
    )
    jobs = _checks.count("jobs", args.jobs)
    found = forecast(request, jobs=jobs, threads=args.threads or 1)
    if args.json:
        print(records.line(found.record))
    else:
        _campaign(found)
    return 0


def _campaign(found: CampaignForecast) -> None:
    from rich.console import Console
    from rich.table import Table

    from vicinal.campaigns.progress import duration

    title = f"dry run of {found.table}, {found.scale}"
    table = Table(title=title, title_justify="left")
    for column in ("left to do", "net", "method"):
        table.add_column(column, overflow="fold")
    for column in ("seeds", "forward", "backward", "memory", "time each"):
        table.add_column(column, justify="right")
    groups: dict[str, list[TaskForecast]] = {}
    for task in found.tasks:
        groups.setdefault(task.group, []).append(task)
    for group, tasks in groups.items():
        passes = (f"{sum(counts):,}" for counts in _columns(tasks))
        least = "" if all(task.known for task in tasks) else "at least "
        each = f"{least}{duration(max(task.seconds for task in tasks))}"
        memory = size(max(task.memory for task in tasks))
        table.add_row(*group.split(), str(len(tasks)), *passes, memory, each)
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    if found.tasks:
        console.print(table)
    for line in _summary(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _columns(tasks: Sequence[TaskForecast]) -> tuple[list[int], list[int]]:
    return [task.forward for task in tasks], [task.backward for task in tasks]


def _summary(found: CampaignForecast) -> list[str]:
    from vicinal.campaigns.progress import duration

    cells = ", ".join(f"{count} {state}" for state, count in found.cells.items())
    forward, backward = (sum(counts) for counts in _columns(found.tasks))
    beside = "" if found.free is None else f" of {size(found.free)} free"
    least = "" if all(task.known for task in found.tasks) else "at least "
    lines = [f"cells: {cells}", *(f"no data: {sentence}" for sentence in found.missing)]
    if not found.tasks:
        return [*lines, "nothing is left to do"]
    return [
        *lines,
        f"passes over images: {forward:,} forward, {backward:,} backward",
        f"memory: {size(found.memory)}{beside}, {found.jobs} at a time",
        f"time: {least}{duration(found.seconds)}, {found.jobs} at a time, if they do not slow "
        "each other",
    ]


def _attacks(found: Sequence[AttackForecast], run_dir: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from vicinal.campaigns.progress import duration

    title = f"dry run of judging {run_dir}"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("attack", overflow="fold")
    for column in ("images", "passes an image", "forward", "backward", "memory", "time", "from"):
        table.add_column(column, justify="right")
    for each in found:
        table.add_row(escape(each.attack), str(each.n), *_costs(each), each.timed)
    Console().print(table)
    known = [each.seconds for each in found if each.seconds is not None]
    more = "at least " if len(known) < len(found) else ""
    print(f"in all: {more}{duration(sum(known))}, {memory_words(_largest(found), found[0].free)}")


def _costs(each: AttackForecast) -> tuple[str, ...]:
    from vicinal.campaigns.progress import duration

    if each.forward is None or each.backward is None:
        passes = ("?", "?", "?")
    else:
        per_image = f"{each.forward:g}+{each.backward:g}"
        forward, backward = (f"{each.n * count:,.0f}" for count in (each.forward, each.backward))
        passes = (per_image, forward, backward)
    return (*passes, size(each.memory.total), duration(each.seconds))


def _largest(found: Sequence[AttackForecast]) -> Memory:
    return max((each.memory for each in found), key=lambda memory: memory.total)


def memory_words(memory: Memory, free: int | None) -> str:
    """Write memory in all and by parts.

    Args:
        memory: The parts.
        free: Bytes that are free, where that is known.

    Returns:
        The words.
    """
    parts = [f"{name} {size(count)}" for name, count in vars(memory).items() if count]
    beside = "" if free is None else f" of {size(free)} free"
    short = free is not None and memory.total > free
    return f"{size(memory.total)}{beside}: {', '.join(parts)}{'; does not fit' if short else ''}"


def size(count: int) -> str:
    """Write a number of bytes as people say it.

    Args:
        count: The number.

    Returns:
        The text.

    Example:
        >>> size(812), size(2_812_040), size(3_000_000_000)
        ('812 B', '2.8 MB', '3.0 GB')
    """
    for unit, one in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= one:
            return f"{count / one:.1f} {unit}"
    return f"{count} B"


def _named(recipe: Recipe) -> str:
    return f"{recipe.name}, {recipe.method}, {recipe.scale}, seed {recipe.seed}"


def _print(title: str, told: Sequence[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, words in told:
        table.add_row(name, escape(words))
    Console().print(table)
