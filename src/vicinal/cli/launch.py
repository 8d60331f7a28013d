"""The command as one of several processes that a launcher such as torchrun started."""

from __future__ import annotations

import argparse
import os
from contextlib import redirect_stdout

from vicinal._errors import InputError

__all__ = ["run", "speaker"]


def run(args: argparse.Namespace) -> int:
    """Run a subcommand; under a launcher together with its other processes.

    Only the first of them writes to stdout; it alone does what no training follows (`--dry-run`,
    `--print-config`).

    Args:
        args: The parsed arguments; `shared` says that the subcommand can be many processes' work.

    Returns:
        The exit code.

    Raises:
        InputError: If the subcommand is the work of one process.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        code: int = args.run(args)
        return code
    if not getattr(args, "shared", False):
        raise InputError(
            "only `vicinal train` and `vicinal evaluate` are shared by a launcher's processes. "
            "Run this without torchrun?"
        )
    if getattr(args, "dry_run", False) or getattr(args, "print_config", False):
        # It tells what one process can tell; the others have nothing to wait for.
        return int(args.run(args)) if os.environ.get("RANK", "0") == "0" else 0
    from vicinal import engine

    with engine.joined(args.device) as args.device:
        if engine.processes().first:
            code = args.run(args)
        else:
            with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
                code = args.run(args)
    return code


def speaker() -> str:
    """Name who speaks on stderr.

    Returns:
        "vicinal", and which process of several where it is not the first.
    """
    rank = os.environ.get("RANK", "0") if int(os.environ.get("WORLD_SIZE", "1")) > 1 else "0"
    return "vicinal" if rank == "0" else f"vicinal, process {rank}"
