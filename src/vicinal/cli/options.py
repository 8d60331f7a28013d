"""The options that every subcommand has: device, seed, threads, and JSON instead of tables."""

from __future__ import annotations

import argparse

__all__ = ["add_common", "check_common", "default_threads"]

_DEVICES = ("auto", "cpu", "cuda", "mps")


def add_common(parser: argparse.ArgumentParser, *, threads: str = "torch's") -> None:
    """Add --device, --seed, --threads and --json to a subcommand.

    Args:
        parser: The subcommand's parser.
        threads: How many there are where none are asked for, for the help.
    """
    group = parser.add_argument_group("everywhere")
    group.add_argument(
        "--device", choices=_DEVICES, default="auto", help="where to compute (default: the best)"
    )
    group.add_argument(
        "--seed", type=int, default=None, metavar="N", help="governs every draw (default: 0)"
    )
    group.add_argument(
        "--threads", type=int, default=None, metavar="N", help=f"CPU threads (default: {threads})"
    )
    group.add_argument(
        "--json", action="store_true", help="print JSON lines on stdout instead of tables"
    )


def check_common(args: argparse.Namespace) -> None:
    """Check the common options and set the number of threads.

    Args:
        args: The parsed arguments.

    Raises:
        InputError: If a number is out of range.
    """
    import torch

    from vicinal import _checks
    from vicinal._errors import InputError

    if args.seed is not None and _checks.count("seed", args.seed, low=0) >= 2**63:
        raise InputError(f"`seed` must be an integer below 2^63; got {args.seed}.")
    if args.threads is not None:
        torch.set_num_threads(_checks.count("threads", args.threads))


def default_threads(args: argparse.Namespace, threads: int | None) -> None:
    """Set the number of threads where --threads does not.

    Args:
        args: The parsed arguments.
        threads: The number; torch's own where there is none.
    """
    import torch

    if args.threads is None and threads is not None:
        torch.set_num_threads(threads)
