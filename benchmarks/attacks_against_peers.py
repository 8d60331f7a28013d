"""Our strong attacks beside the same of other libraries, on one trained run and the same images.

    python -m benchmarks.attacks_against_peers RUN --n 200 --eps 1/255 --eps 8/255

For each attack and budget: robust accuracy here and there, on how many images the two verdicts
agree, passes per image as a counting model sees them (forward+backward), the most that one image
can cost, and seconds. The two are run one right after the other, ours first in every other pair. A
peer that cannot be imported is left out and named.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vicinal import data
from vicinal._typing import Attack, Norm
from vicinal.attacks.apgd import APGD
from vicinal.attacks.autoattack import AutoAttack
from vicinal.attacks.fab import FAB
from vicinal.attacks.result import Result
from vicinal.attacks.square import Square
from vicinal.recipes import files, load, loading
from vicinal.recipes.folder import data_folder

__all__ = ["Counting", "Row", "main"]

NAMES = ("apgd-ce", "apgd-dlr", "apgd-t", "fab-t", "square", "standard")

Call = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""A model, images and classes to whether the model errs on what was found, (N,)."""


class Counting(nn.Module):
    """A model that counts the images that pass it, and the gradients that come back."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.forwards, self.backwards = net, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        """Run the net."""
        self.forwards += len(x)
        z: Tensor = self.net(x)
        if z.requires_grad:
            z.register_hook(self._back)  # type: ignore[no-untyped-call]
        return z

    def _back(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One attack, here and there."""

    name: str
    ours: Attack
    theirs: Call | None


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one attack found and cost."""

    fooled: Tensor
    passes: str
    seconds: float

    @property
    def robust(self) -> float:
        """Robust accuracy in per cent."""
        return 100 * (1 - float(self.fooled.double().mean()))


def _pyautoattack(name: str, eps: float, norm: Norm) -> Call | None:
    """AutoAttack's own code, one of its parts or all of them."""
    try:
        peer: Any = importlib.import_module("pyautoattack")
    except ImportError:
        return None
    chosen = {"version": name} if name == "standard" else {"version": "custom", "attacks": [name]}

    def call(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        attack = peer.AutoAttack(
            model, norm=norm.capitalize(), eps=eps, device=x.device, seed=0, **chosen
        )
        attack.apgd.n_restarts = attack.fab.n_restarts = 1
        adv, _ = attack.run_standard_evaluation(x, y, batch_size=len(x))
        with torch.no_grad():
            fooled: Tensor = model(adv).argmax(dim=1) != y
        return fooled

    return call


def _rows(eps: float, norm: Norm, names: Sequence[str]) -> list[Row]:
    ours: dict[str, Attack] = {
        "apgd-ce": APGD(eps=eps, norm=norm),
        "apgd-dlr": APGD(eps=eps, norm=norm, loss="dlr"),
        "apgd-t": APGD(eps=eps, norm=norm, loss="dlr", targets=9),
        "fab-t": FAB(eps=eps, norm=norm),
        "square": Square(eps=eps, norm=norm),
        "standard": AutoAttack(eps=eps, norm=norm),
    }
    return [Row(name=n, ours=ours[n], theirs=_pyautoattack(n, eps, norm)) for n in names]


def _run(call: Callable[[nn.Module], Tensor], model: nn.Module) -> Run:
    counting = Counting(model).eval()
    began = time.perf_counter()
    fooled = call(counting)
    seconds = time.perf_counter() - began
    n = len(fooled)
    passes = f"{counting.forwards / n:.1f}+{counting.backwards / n:.1f}"
    return Run(fooled=fooled, passes=passes, seconds=seconds)


def _measured(row: Row, model: nn.Module, x: Tensor, y: Tensor, *, pairs: int) -> str:
    results: list[Result] = []

    def ours(net: nn.Module) -> Tensor:
        result = row.ours(net, x, y, rng=torch.Generator().manual_seed(0))
        results.append(result)  # type: ignore[arg-type]
        return result.success

    theirs = row.theirs
    mine: list[Run] = []
    peers: list[Run] = []
    for pair in range(pairs):
        if theirs is not None and pair % 2:
            peers.append(_run(lambda net: theirs(net, x, y), model))
        mine.append(_run(ours, model))
        if theirs is not None and not pair % 2:
            peers.append(_run(lambda net: theirs(net, x, y), model))
    own = statistics.median(run.seconds for run in mine)
    head = f"{row.name:9} {mine[0].robust:7.1f}"
    if not peers:
        return f"{head}       -      - {mine[0].passes:>16} {'-':>16} {own:8.1f}        -      -"
    other = statistics.median(run.seconds for run in peers)
    agree = 100 * float((mine[0].fooled == peers[0].fooled).double().mean())
    return (
        f"{head} {peers[0].robust:7.1f} {agree:6.1f} {mine[0].passes:>16} {peers[0].passes:>16} "
        f"{own:8.1f} {other:8.1f} {own / other:6.2f}  {results[0].passes!s:>12}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table.

    Args:
        argv: What stands behind the command's name; the process's own when not given.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(prog="attacks_against_peers", description=__doc__)
    parser.add_argument("run", type=Path, help="a run folder")
    parser.add_argument("--data-dir", type=Path, help="where the data sets lie")
    parser.add_argument("--n", type=int, default=200, help="the first N test images")
    parser.add_argument("--eps", action="append", help="budgets, such as 8/255")
    parser.add_argument("--norm", choices=("linf", "l2"), default="linf")
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--only", action="append", choices=NAMES, help="such attacks only")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    recipe = files.read(args.run / "recipe.yaml")
    images = loading.open_images(recipe, data_folder(args.run, args.data_dir))
    few: Any = data.first(loading.judged_on(recipe, images), args.n)
    x, y = few.x.float() / 255, few.y
    model = load(args.run).eval()
    for eps in args.eps or ["1/255", "8/255"]:
        rows = _rows(float(Fraction(eps)), args.norm, args.only or NAMES)
        if any(row.theirs is None for row in rows):
            print("pyautoattack cannot be imported: its columns are empty.", file=sys.stderr)
        print(
            f"\n{args.run.name}, {args.norm} eps {eps}, {len(y)} images, torch {torch.__version__}"
        )
        print(
            "attack     robust   peer's  agree     passes/image    peer's passes  seconds   peer's"
            "  ratio  one that stays"
        )
        for row in rows:
            print(_measured(row, model, x, y, pairs=args.pairs), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
