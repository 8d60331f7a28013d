"""FGSM, PGD and MI-FGSM beside torchattacks, iterate by iterate, on the reference nets.

    python -m benchmarks.gradient_attacks_against_peers --peers PEERS

PEERS/torchattacks holds torchattacks 3.5.1 (`pip install --no-deps --target PEERS/torchattacks
torchattacks==3.5.1`, for it pins packages that others need newer). For every number of steps: the
largest difference of a pixel, the share of pixels that differ by more than 1e-6, and on how many
images the verdicts agree. Starts are the images themselves, and the last iterate is compared.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import reference_nets
from benchmarks.attacks import add_common, told
from benchmarks.peers import rounds
from benchmarks.peers.budgets import RADII, Budget, budget
from benchmarks.peers.packages import PEERS, installed
from benchmarks.peers.process import Place, Worker
from benchmarks.peers.tables import agreement
from benchmarks.progress import Bar
from vicinal import records
from vicinal._checks import InputError, count
from vicinal.recipes.device import pick_device

__all__ = ["compared", "main"]

PEER = "torchattacks"
ROUNDING = 1e-6
"""Pixels differ where they are further apart."""

_HEAD = """
| net | attack | steps | largest difference | pixels that differ, % | verdicts agree, % |
| --- | --- | ---: | ---: | ---: | ---: |
"""


def budgets(net: str, steps: int) -> list[Budget]:
    """List what is compared on one net: every number of steps, FGSM at one.

    Args:
        net: A reference net.
        steps: The most steps.

    Returns:
        The budgets.
    """
    eps = RADII[net]
    counts = range(1, steps + 1)
    words = ("pgd-10", "mi-fgsm-10")
    many = [budget(word, eps=eps, steps=n, last=True) for word in words for n in counts]
    return [budget("fgsm", eps=eps, last=True), *many]


def compared(one: NDArray[Any], other: NDArray[Any]) -> tuple[float, float]:
    """Tell how far two batches of images are apart.

    Args:
        one: Images.
        other: Images of the same shape.

    Returns:
        The largest difference of a pixel, and in per cent how many differ by more than rounding.
    """
    apart = np.abs(one.astype(np.float64) - other)
    return float(apart.max()), 100 * float((apart > ROUNDING).mean())


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, and write it down.

    Args:
        argv: The command line's words; the process's own by default.

    Returns:
        0, 2 for a mistake in the arguments or where the peer is missing, 130 after Ctrl-C.
    """
    typed = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gradient_attacks_against_peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(parser, images=1000, repeats=1, tools=["vicinal, plain", PEER])
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="up to N steps")
    args = parser.parse_args(typed)
    command = told("python -m benchmarks.gradient_attacks_against_peers", typed)
    try:
        _play(args, command)
    except InputError as error:
        print(f"gradient_attacks_against_peers: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _play(args: argparse.Namespace, command: str) -> None:
    if not installed(PEER, args.peers):
        line = PEERS[PEER].pip(f"PEERS/{PEER}")
        raise InputError(f"{PEER} is not installed: `{line}`, then --peers PEERS.")
    plan = {net: budgets(net, count("steps", args.steps)) for net in args.nets}
    x, y = reference_nets.first_images(args.images, data_dir=args.data_dir)
    rows: list[str] = []
    with rounds.placed(x, y) as images, Bar(shown=not args.quiet) as bar:
        bar.begin("iterates", runs=sum(map(len, plan.values())))
        for net, asked in plan.items():
            place = _place(args, net, images)
            for row in _rows(place, asked, bar.tick):
                rows.append(row)
                if not args.quiet:
                    bar.say(row)
    facts = rounds.circumstances(command, place)
    args.out.mkdir(parents=True, exist_ok=True)
    records.write_text(args.out / "attacks-iterates.md", _page(rows, facts, args))


def _place(args: argparse.Namespace, net: str, images: Path) -> Place:
    return Place(
        net=net,
        images=images,
        batch=args.batch,
        device=str(pick_device(args.device)),
        threads=args.threads,
        peers=args.peers,
    )


def _rows(place: Place, asked: Sequence[Budget], tick: Callable[[], None]) -> Iterator[str]:
    """Run both tools on every budget, and hold their images against each other."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Worker.started("vicinal, plain", place) as ours,
        Worker.started(PEER, place) as theirs,
    ):
        files = (Path(folder) / "ours.npz", Path(folder) / "theirs.npz")
        for one in asked:
            own, other = (
                worker.ask(one, seed=0, save=file)
                for worker, file in zip((ours, theirs), files, strict=True)
            )
            failed = own.get("error") or other.get("error")
            if failed:
                raise InputError(f"{one.attack} failed: {failed}")
            largest, share = compared(*(np.load(file)["adv"] for file in files))
            same = agreement(own["fooled"], other["fooled"])
            name = one.kind
            yield (
                f"| {place.net} | {name} | {one.steps} | {largest:.1e} | {share:.4f} | {same:.1f} |"
            )
            tick()


def _page(rows: Sequence[str], facts: dict[str, Any], args: argparse.Namespace) -> str:
    radii = ", ".join(
        f"{Fraction(RADII[net]).limit_denominator(1000)} on {net}" for net in args.nets
    )
    return (
        f"# Iterates beside {PEERS[PEER].wanted[0]}\n\n`{facts['command']}`, commit "
        f"{facts['commit']}.\n{facts['hardware']}; torch {facts['torch']}.\n\nThe first "
        f"{args.images} test images of CIFAR-10; radius {radii}. Steps of a quarter of the radius "
        "(PGD), a tenth (MI-FGSM).\nTwo float32 evaluations of a gradient differ in its last bits; "
        "where an entry is that near to zero, its\nsign and with it a pixel may differ by a step "
        "or two, which later steps carry on.\ntorchattacks climbs the mean over a batch, vicinal "
        "the sum: the division is exact where batches hold a\npower of two (--batch 128 and a "
        "multiple of it as --images), and rounds elsewhere.\n" + _HEAD + "\n".join(rows) + "\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
