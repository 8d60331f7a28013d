"""FGSM, PGD and MI-FGSM beside torchattacks, iterate by iterate, on one trained run.

    python -m benchmarks.gradient_attacks_against_peers RUN --n 64 --eps 8/255 --peer FOLDER

FOLDER holds torchattacks 3.5.1 (`pip install --no-deps --target FOLDER torchattacks==3.5.1`, for it
pins packages that others need newer). For every number of steps: the largest difference of a pixel
and the share of pixels that differ by more than 1e-6; starts are the images themselves.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from vicinal import data
from vicinal._typing import Attack
from vicinal.attacks import FGSM, MIFGSM, PGD
from vicinal.recipes import files, load, loading
from vicinal.recipes.folder import data_folder

__all__ = ["main"]


def _pairs(peer: ModuleType, model: torch.nn.Module, eps: float, steps: int) -> dict[str, Any]:
    step = eps / 4
    ours: dict[str, Attack] = {
        "pgd": PGD(eps=eps, step_size=step, steps=steps, random_start=False, iterate="last"),
        "mi-fgsm": MIFGSM(eps=eps, step_size=eps / 10, steps=steps, iterate="last"),
    }
    theirs = {
        "pgd": peer.PGD(model, eps=eps, alpha=step, steps=steps, random_start=False),
        "mi-fgsm": peer.MIFGSM(model, eps=eps, alpha=eps / 10, steps=steps, decay=1.0),
    }
    if steps == 1:
        ours["fgsm"], theirs["fgsm"] = FGSM(eps=eps), peer.FGSM(model, eps=eps)
    return {name: (ours[name], theirs[name]) for name in ours}


def _told(name: str, steps: int, one: Tensor, other: Tensor) -> str:
    apart = (one - other).abs()
    share = 100 * float((apart > 1e-6).double().mean())
    return f"{name:8} {steps:5} {float(apart.max()):12.2e} {share:10.4f} %"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table.

    Args:
        argv: The command line's words; the process's own by default.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--eps", type=Fraction, default=Fraction(8, 255))
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--data-dir")
    given = parser.parse_args(argv)
    sys.path.append(str(given.peer))
    peer = importlib.import_module("torchattacks")
    recipe = files.read(given.run / "recipe.yaml")
    model = load(given.run, device="cpu").eval()
    split = loading.open_images(recipe, data_folder(given.run, given.data_dir))
    x, y = next(
        iter(loading.batches(recipe, data.first(loading.judged_on(recipe, split), given.n)))
    )
    print(f"{'attack':8} {'steps':>5} {'largest':>12} {'differing':>12}")
    for steps in range(1, 11):
        for name, (ours, theirs) in _pairs(peer, model, float(given.eps), steps).items():
            print(_told(name, steps, ours(model, x, y).adv, theirs(x, y)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
