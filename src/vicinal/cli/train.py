"""`vicinal train`: one recipe, one method, one seed, one run folder; or a run resumed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vicinal._errors import InputError
from vicinal.cli import dry_run
from vicinal.cli.dry_run import add_dry_run
from vicinal.cli.fetching import add_data, fetched
from vicinal.cli.fields import read_fields
from vicinal.cli.launch import speaker
from vicinal.cli.options import add_common, check_common, default_threads

if TYPE_CHECKING:
    from vicinal.recipes import Recipe
    from vicinal.records import Record

__all__ = ["add_parser"]

_EPILOG = """any field of the recipe can be given, with dots for the fields of a part:
  vicinal train alps/cifar10-preactresnet18 --data-dir DIR
  vicinal train alps/cifar10-preactresnet18 --data-dir DIR --method mixup --scale small --seed 1
  vicinal train alps/cifar10-preactresnet18 --data-dir DIR --epochs 15 --objective.eps 0.3
  vicinal train alps/cifar10-preactresnet18 --data-dir DIR --preset tuned
  vicinal train alps/cifar10-preactresnet18 --scale smoke --print-config
  vicinal train alps/cifar10-preactresnet18 --scale small --dry-run
  vicinal train --resume runs/RUN
  torchrun --nproc-per-node 2 -m vicinal train alps/cifar10-preactresnet18 --data-dir DIR

scales: smoke (seconds, on bundled digits), small (minutes on a CPU), medium, full (the paper's).
A set of your own (npz, image-folder) with fewer images than small's 10,000 is trained on whole.
A run folder holds recipe.yaml, metrics.jsonl, checkpoint.pt, weights.safetensors and
environment.json. Ctrl-C leaves a run that --resume, or the same command, takes further.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand.

    Args:
        subparsers: Where to add it.
    """
    parser = subparsers.add_parser(
        "train",
        help="train a recipe, or go on with a run",
        description="Train one method of a recipe; the result is a run folder.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "recipe", nargs="?", help="its name (vicinal list recipes), or a .yaml file"
    )
    parser.add_argument("--method", metavar="KEY", help="the row (default: the paper's method)")
    parser.add_argument(
        "--preset",
        choices=("paper", "tuned"),
        help="paper: as published (default); tuned: weight decay 5e-4, averaged weights, bf16, the "
        "best epoch on held-out training images, 8/255 for methods that attack",
    )
    parser.add_argument(
        "--scale",
        choices=("smoke", "small", "medium", "full"),
        help="how much of the paper's setting (default: full)",
    )
    add_data(parser)
    parser.add_argument("--run-dir", metavar="DIR", help="the run folder (default: under runs/)")
    parser.add_argument("--resume", metavar="RUN", help="go on with the run in this folder")
    parser.add_argument(
        "--tensorboard", action="store_true", help="write scalars into RUN/tensorboard too"
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the resolved recipe and stop"
    )
    add_dry_run(parser)
    add_common(parser, threads="the run's where there is one; 1 at smoke; else torch's")
    parser.set_defaults(run=run, shared=True)


def run(args: argparse.Namespace) -> int:
    """Train.

    Args:
        args: The parsed arguments; `fields` are the recipe's fields as written.

    Returns:
        0.

    Raises:
        InputError: If the data are not at hand.
        KeyboardInterrupt: After Ctrl-C; its text says how to go on.
    """
    check_common(args)
    from vicinal import data, recipes

    chosen, folder = _chosen(args)
    if args.print_config:
        print(_config(chosen, as_json=args.json), end="")
        return 0
    # Another number of threads gives other bits; tiny nets are slowest with many.
    usual = 1 if chosen.scale == "smoke" else None
    default_threads(args, recipes.recorded_threads(folder) or usual)
    if args.dry_run:
        return dry_run.training(chosen, folder, args)
    try:
        last = _trained(chosen, folder, args)
    except data.MissingData as error:
        told = str(error).replace("`data_dir`", "`--data-dir`")
        raise InputError(f"{told} `--scale smoke` needs none.") from None
    except KeyboardInterrupt:
        begun = (folder / "recipe.yaml").is_file()
        hint = f"go on with: vicinal train --resume {folder}" if begun else "nothing was begun yet"
        raise KeyboardInterrupt(hint) from None
    if not args.json:
        _tell(folder, last)
    return 0


def _trained(chosen: Recipe, folder: Path, args: argparse.Namespace) -> Record | None:
    """Train, and return the last epoch's record, if there was one to do."""
    from vicinal import recipes
    from vicinal.recipes import own_set
    from vicinal.recipes.failures import warning
    from vicinal.recipes.folder import data_folder

    steps = recipes.stream if args.json else recipes.follow

    def work() -> Record | None:
        lines: list[str] = []
        fitted = chosen
        if args.resume is None:
            where = data_folder(folder, args.data_dir)
            fitted = own_set.fitted(chosen, given=args.fields, data_dir=where, tell=lines.append)
        records = steps(
            fitted,
            run_dir=folder,
            data_dir=args.data_dir,
            device=args.device,
            tensorboard=args.tensorboard,
            begin=lambda: _begin([*lines, warning(fitted)]),
        )
        return _last(records, as_json=args.json)

    return fetched(work, args, dataset=chosen.dataset, folder=folder)


def _begin(lines: list[str]) -> None:
    """Say once, on stderr, what is trained on, and what stronger attacks leave of the method."""
    for line in lines:
        if line and speaker() == "vicinal":
            print(f"vicinal: {line}", file=sys.stderr)


def _chosen(args: argparse.Namespace) -> tuple[Recipe, Path]:
    from vicinal import recipes

    if args.resume is not None:
        beside = (args.recipe, args.method, args.preset, args.scale, args.fields, args.run_dir)
        if any(beside) or args.seed is not None:
            raise InputError(
                "`--resume` goes on with the recipe of its run folder and takes no recipe, method, "
                "preset, scale, seed or field beside it."
            )
        folder = Path(args.resume)
        return recipes.read(folder / "recipe.yaml"), folder
    if args.recipe is None:
        raise InputError("`recipe` must be given, or --resume; `vicinal list recipes` names them.")
    chosen = recipes.recipe(
        args.recipe,
        method=args.method,
        preset=args.preset or "paper",
        scale=args.scale or "full",
        seed=args.seed or 0,
        overrides=read_fields(args.fields),
    )
    return chosen, Path(args.run_dir) if args.run_dir else recipes.default_folder(chosen)


def _config(recipe: Recipe, *, as_json: bool) -> str:
    from vicinal import recipes

    return recipe.model_dump_json() + "\n" if as_json else recipes.write(recipe)


def _last(records: Iterator[Record], *, as_json: bool) -> Record | None:
    """Run through the epochs and return the last one's record, if there was one to do."""
    from vicinal.records import line

    last = None
    for last in records:
        if as_json:
            print(line(last), flush=True)
    return last


def _tell(folder: Path, last: Record | None) -> None:
    print(f"run folder: {folder}")
    if last is None:
        print("nothing left to train: the run is complete")
    print(f"next: vicinal evaluate {folder} --attack fgsm --attack pgd")
