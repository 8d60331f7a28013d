"""Our attacks beside those of other packages: time, passes, memory, and what they find.

    make bench-attacks                                       # everything, hours on one core
    python -m benchmarks.attacks --only pgd-10 --images 100  # one attack, minutes
    python -m benchmarks.attacks --peers PEERS               # PEERS/art is a folder of pip's

Each package runs in a process of its own: `pip install --no-deps --target PEERS/art ...`, as the
page names it, keeps what it needs away from the rest. Runs that are finished are lines of
`attacks.jsonl`; the same command goes on where it was stopped. FGSM, PGD, MI-FGSM, CW-L2, APGD,
Square and AutoAttack are asked for with the same steps; a tool without one is left out.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import reference_nets
from benchmarks.peers import rounds, tables
from benchmarks.peers.budgets import ATTACKS, RADII, budget
from benchmarks.peers.packages import PEERS, TOOLS, installed
from benchmarks.peers.process import Place
from benchmarks.peers.targets import targets
from benchmarks.progress import Bar
from vicinal import records
from vicinal._checks import InputError, count
from vicinal.recipes.device import DEVICES, pick_device

__all__ = ["DEFAULT", "FOLDERS", "add_common", "main", "plan_of", "play", "told"]

DEFAULT = (
    "fgsm",
    "pgd-10",
    "pgd-100",
    "mi-fgsm-10",
    "cw-l2-40",
    "apgd-100",
    "square-1000",
    "autoattack",
)
"""What is run when nothing is chosen."""

FOLDERS = ("--peers", "--data-dir", "--out")
"""Options whose values are folders of a machine."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is left to run, and write the table.

    Args:
        argv: What stands behind the command's name; the process's own when not given.

    Returns:
        0, 2 for a mistake in the arguments, 130 after Ctrl-C.
    """
    typed = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.attacks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(parser, images=200, repeats=3, tools=[t for t in TOOLS if t != "vicinal, fp32"])
    parser.add_argument(
        "--only", nargs="+", choices=list(ATTACKS), default=list(DEFAULT), metavar="ATTACK",
        help=f"these alone: {', '.join(ATTACKS)}",
    )  # fmt: skip
    args = parser.parse_args(typed)
    command = told("python -m benchmarks.attacks", typed)
    return play(args, args.only, name="attacks", command=command)


def told(program: str, typed: Sequence[str]) -> str:
    """Write down what was typed, without the folders of this machine.

    Args:
        program: The command's name.
        typed: What stands behind it.

    Returns:
        One line.
    """
    words = [
        option.removeprefix("--").upper() if option in FOLDERS else word
        for option, word in zip(["", *typed], typed, strict=False)
    ]
    return shlex.join([*program.split(), *words])


def add_common(
    parser: argparse.ArgumentParser, *, images: int, repeats: int, tools: Sequence[str]
) -> None:
    """Give a parser the options that all comparisons with other packages take.

    Args:
        parser: The parser.
        images: Default number of test images.
        repeats: Default number of rounds.
        tools: The tools that run by default.
    """
    nets = list(reference_nets.NETS)
    parser.add_argument("--nets", nargs="+", choices=nets, default=nets, help="reference nets")
    parser.add_argument("--images", type=int, default=images, metavar="N", help="the first N")
    parser.add_argument("--repeats", type=int, default=repeats, metavar="N", help="rounds")
    parser.add_argument(
        "--tools", nargs="+", choices=list(TOOLS), default=list(tools), metavar="TOOL",
        help=f"of {', '.join(TOOLS)}",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=250, metavar="N", help="images per batch")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="DIR/TOOL holds each package")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where (default: cpu)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads")
    parser.add_argument("--data-dir", type=Path, help="where the data sets lie")
    parser.add_argument("--out", type=Path, default=Path("results/bench"), help="folder")
    parser.add_argument("--quiet", action="store_true", help="no bar and no tables")


def plan_of(args: argparse.Namespace, attacks: Sequence[str], *, name: str) -> rounds.Plan:
    """Make the plan of a command.

    Args:
        args: What was typed.
        attacks: The attacks.
        name: Of the file of lines.

    Returns:
        The plan, of the tools that are installed.
    """
    threads, batch = count("threads", args.threads), count("batch", args.batch)
    device = str(pick_device(args.device))
    return rounds.Plan(
        budgets={net: [budget(word, eps=RADII[net]) for word in attacks] for net in args.nets},
        tools=[tool for tool in args.tools if installed(tool, args.peers)],
        repeats=count("repeats", args.repeats),
        images=count("images", args.images),
        place=Place(
            net="", images=Path(), batch=batch, device=device, threads=threads, peers=args.peers
        ),
        file=args.out / f"{name}.jsonl",
    )


def play(args: argparse.Namespace, attacks: Sequence[str], *, name: str, command: str) -> int:
    """Run a plan with a bar, and write its page.

    Args:
        args: What was typed.
        attacks: The attacks.
        name: Of the files.
        command: What was typed, as one line.

    Returns:
        The exit status.
    """
    try:
        plan = plan_of(args, attacks, name=name)
        x, y = reference_nets.first_images(plan.images, data_dir=args.data_dir)
        _tell_missing(args)
        with Bar(shown=not args.quiet) as bar:
            bar.begin(name, runs=len(rounds.pending(plan)))

            def tick(one: rounds.Run, answer: Mapping[str, Any]) -> None:
                bar.tick()
                if not args.quiet:
                    bar.say(_line(one, answer))
                _write(plan, args, name)

            rounds.run(plan, x, y, command=command, tick=tick)
        _write(plan, args, name)
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _tell_missing(args: argparse.Namespace) -> None:
    for tool in args.tools:
        if tool in PEERS and not installed(tool, args.peers):
            line = PEERS[tool].pip(f"{args.peers or 'PEERS'}/{tool}")
            print(f"{tool}: not installed; `{line}` and --peers", file=sys.stderr)


def _line(one: rounds.Run, answer: Mapping[str, Any]) -> str:
    head = f"{one.net} {one.budget.attack} {one.tool} #{one.repeat}:"
    if "missing" in answer:
        return f"{head} has no such attack"
    if "error" in answer:
        return f"{head} failed: {answer['error']}"
    return f"{head} robust {answer['robust']:.1f} %, {answer['seconds']:.1f} s"


def _write(plan: rounds.Plan, args: argparse.Namespace, name: str) -> None:
    """Write the page of all lines there, those of other commands into the same file too."""
    lines = list(rounds.finished(plan).values())
    args.out.mkdir(parents=True, exist_ok=True)
    page = tables.page(name, lines, tools=list(TOOLS), peers=args.peers, more=targets(lines))
    records.write_text(args.out / f"{name}.md", page)


if __name__ == "__main__":
    raise SystemExit(main())
