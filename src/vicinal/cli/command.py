"""The command `vicinal`: parse, run one subcommand, end with one clear line where it fails.

A subcommand is a module with `add_parser(subparsers)`, which sets `run`: a function of the parsed
arguments that returns an exit code. The user's mistakes end with 2, an interruption with 130.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from vicinal._errors import InputError
from vicinal._version import __version__
from vicinal.cli import compare, corrupt, evaluate, launch, reproduce, train
from vicinal.cli import list as list_command
from vicinal.cli.fields import take_fields

__all__ = ["main", "parse"]

_EPILOG = """first steps:
  vicinal list                                      what there is
  vicinal reproduce alps/table-2 --scale smoke      a paper's table in a minute, on bundled images
  vicinal train alps/cifar10-preactresnet18 --data-dir DIR --scale small
  vicinal evaluate RUN --attack fgsm --attack 'pgd(eps=4/255, step_size=1/255, steps=10)'

each subcommand explains itself: vicinal train --help
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments after the program's name; those of the process by default.

    Returns:
        The exit code: 0, 2 for a mistake in the input, 130 after Ctrl-C.
    """
    return _run(parse(sys.argv[1:] if argv is None else argv))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse a command line without running it.

    Args:
        argv: The arguments after the program's name.

    Returns:
        The arguments; `fields` are those of a recipe as written, `run` is what they ask for,
        `words` what was typed.
    """
    words = list(argv)
    parser, subparsers = _parser()
    fields: dict[str, str] = {}
    if words and words[0] in _FIELD_TAKERS:
        words, fields = take_fields(words, options=_options(subparsers.choices[words[0]]))
    args = parser.parse_args(words)
    args.fields, args.words = fields, list(argv)
    return args


_FIELD_TAKERS = ("train",)


def _parser() -> tuple[
    argparse.ArgumentParser, argparse._SubParsersAction[argparse.ArgumentParser]
]:
    parser = argparse.ArgumentParser(
        prog="vicinal",
        description="Train image classifiers on vicinal distributions, attack them, and print "
        "papers' tables beside what came out.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"vicinal {__version__}")
    subparsers = parser.add_subparsers(metavar="SUBCOMMAND", required=True)
    for module in (train, evaluate, compare, corrupt, reproduce, list_command):
        module.add_parser(subparsers)
    return parser, subparsers


def _options(parser: argparse.ArgumentParser) -> dict[str, bool]:
    """Every option of a subcommand, and whether a value follows it."""
    return {name: action.nargs != 0 for action in parser._actions for name in action.option_strings}


def _run(args: argparse.Namespace) -> int:
    try:
        code = launch.run(args)
    except InputError as error:
        print(f"{launch.speaker()}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interruption:
        hint = f"; {interruption}" if str(interruption) else ""
        print(f"\nvicinal: interrupted{hint}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # What reads our output has gone, as in `vicinal list | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
