"""The options that every subcommand has: device, seed, threads, and JSON instead of tables."""

from __future__ import annotations

import argparse

__all__ = ["add_common", "check_common"]

_DEVICES = ("auto", "cpu", "cuda", "mps")


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add --device, --seed, --threads and --json to a subcommand.

    Args:
        parser: The subcommand's parser.
    """
    group = parser.add_argument_group("everywhere")
    group.add_argument(
        "--device", choices=_DEVICES, default="auto", help="where to compute (default: the best)"
    )
    group.add_argument(
        "--seed", type=int, default=None, metavar="N", help="governs every draw (default: 0)"
    )
    group.add_argument(
        "--threads", type=int, default=None, metavar="N", help="CPU threads (default: torch's)"
    )
    group.add_argument(
        "--json", action="store_true", help="print JSON lines on stdout instead of tables"
    )


def check_common(args: argparse.Namespace) -> None:
    """Check the common options and set the number of threads.

    Args:
        args: The parsed arguments.
    """
    import torch

    from vicinal import _checks

    if args.seed is not None:
        _checks.count("seed", args.seed, low=0)
    if args.threads is not None:
        torch.set_num_threads(_checks.count("threads", args.threads))
