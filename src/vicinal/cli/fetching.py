"""Where the data sets lie, and `--download`, without which nothing is ever fetched."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["add_data", "fetched"]

T = TypeVar("T")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --data-dir and --download to a subcommand.

    Args:
        parser: The subcommand's parser.
    """
    parser.add_argument("--data-dir", metavar="DIR", help="where the data sets lie")
    parser.add_argument(
        "--download",
        action="store_true",
        help="fetch a set that is missing there, through torchvision (never without this)",
    )


def fetched(
    work: Callable[[], T], args: argparse.Namespace, *, folder: Path, dataset: str | None = None
) -> T:
    """Do the work of a subcommand; with --download, fetch a set that it misses and do it again.

    Args:
        work: What to do.
        args: The parsed arguments.
        folder: The run folder, which knows where its data lay when it began.
        dataset: The set's name; that of the run folder's recipe when not given.

    Returns:
        What the work gave.
    """
    if not args.download:
        return work()
    from vicinal import recipes
    from vicinal.recipes.fetching import or_download
    from vicinal.recipes.folder import data_folder

    name = recipes.read(folder / "recipe.yaml").dataset if dataset is None else dataset
    where = data_folder(folder, args.data_dir)
    return or_download(work, dataset=name, data_dir=where, download=True)
