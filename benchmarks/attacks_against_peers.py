"""Do our attacks find what the references find? The same nets, images and budgets, and verdicts.

    python -m benchmarks.attacks_against_peers --peers PEERS               # hours on one core
    python -m benchmarks.attacks_against_peers --only apgd-dlr-100 --repeats 3 --peers PEERS

CW-L2 is held against adv-lib: success, and median norm within 2 %. APGD on the cross-entropy, on
DLR and towards targets, FAB, Square and AutoAttack are held against pyautoattack: robust accuracy
at most 0.3 points above. Every round has a seed of its own. Runs that are finished are lines of
`attacks-equal.jsonl`; the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.attacks import add_common, play, told

__all__ = ["EQUAL", "main"]

EQUAL = (
    "cw-l2-40",
    "autoattack",
    "apgd-100",
    "apgd-dlr-100",
    "apgd-t-100",
    "fab-t-100",
    "square-1000",
    "square-5000",
)
"""What is compared when nothing is chosen."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is left to run, and write the table.

    Args:
        argv: What stands behind the command's name; the process's own when not given.

    Returns:
        0, 2 for a mistake in the arguments, 130 after Ctrl-C.
    """
    typed = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.attacks_against_peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(parser, images=1000, repeats=1, tools=["vicinal", "adv-lib", "pyautoattack"])
    parser.add_argument(
        "--only", nargs="+", choices=[*EQUAL, "square-500"], default=list(EQUAL),
        metavar="ATTACK", help=f"these alone: {', '.join(EQUAL)}, square-500",
    )  # fmt: skip
    args = parser.parse_args(typed)
    command = told("python -m benchmarks.attacks_against_peers", typed)
    return play(args, args.only, name="attacks-equal", command=command)


if __name__ == "__main__":
    raise SystemExit(main())
