"""The two nets that every comparison of attacks judges: one trained plainly, one against PGD.

    python -m benchmarks.reference_nets export RUN NAME     # a finished run becomes a reference net
    python -m benchmarks.reference_nets check               # clean accuracies against the cards

They are PreActResNet18 of width 16 on CIFAR-10, in results/reference: `NAME.safetensors` in float16
and the card `NAME.json`. The rounded weights are the net; it computes in float32.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vicinal import data, engine, models, records
from vicinal._checks import InputError, choice
from vicinal.recipes import files

__all__ = ["FOLDER", "NETS", "card", "clean_correct", "export", "load", "main", "first_images"]

FOLDER = Path(__file__).resolve().parents[1] / "results" / "reference"
"""Where the nets lie."""

NETS = ("erm", "pgd")
"""Their names: trained on clean images, and on those of PGD-10 at 8/255."""

JUDGED = 1000
"""How many test images, the first ones, the card's clean accuracy is over."""


def card(name: str, *, folder: Path = FOLDER) -> dict[str, Any]:
    """Read what is known of a net.

    Args:
        name: "erm" or "pgd".
        folder: Where it lies.

    Returns:
        Fields name, recipe, seed, epochs, model, sha256, judged, correct, clean_accuracy.

    Raises:
        InputError: If there is no such net.
    """
    file = folder / f"{choice('net', name, NETS)}.json"
    if not file.is_file():
        raise InputError(
            f"{file} is missing: make it with `python -m benchmarks.reference_nets export RUN "
            f"{name}`."
        )
    known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return known


def load(name: str, *, folder: Path = FOLDER, device: str | torch.device = "cpu") -> nn.Module:
    """Load a reference net in eval mode.

    Args:
        name: "erm" or "pgd".
        folder: Where it lies.
        device: Where it shall lie.

    Returns:
        The net: float32, its weights those of the float16 file. Pixels in [0, 1] go in.

    Raises:
        InputError: If it is missing, or its file is not the one that the card describes.
    """
    known = card(name, folder=folder)
    file = folder / f"{name}.safetensors"
    if not file.is_file() or _digest(file) != known["sha256"]:
        raise InputError(f"{file} is not the file that its card describes: sha256 differs.")
    with engine.isolated(0, "initial weights"):
        net = models.MODELS[known["model"]["name"]](**_arguments(known))
    engine.load_weights(file, net)
    return net.to(device).eval()


def _arguments(known: dict[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in known["model"].items() if key != "name"}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def first_images(n: int, *, data_dir: Path | None = None) -> tuple[Tensor, Tensor]:
    """Give the first test images of CIFAR-10.

    Args:
        n: How many.
        data_dir: Where the data sets lie.

    Returns:
        Pixels (n, 3, 32, 32) in [0, 1], float32, and classes (n,).
    """
    few: Any = data.first(data.load("cifar10", data_dir).test, n)
    return few.x.float() / 255, few.y


def clean_correct(net: nn.Module, x: Tensor, y: Tensor) -> int:
    """Count the images that a net gets right.

    Args:
        net: The net, in eval mode.
        x: Images (N, C, H, W).
        y: Classes (N,).

    Returns:
        Their number.
    """
    with torch.no_grad():
        parts = zip(torch.split(x, 100), torch.split(y, 100), strict=True)
        return sum(int((net(few).argmax(dim=1) == own).sum()) for few, own in parts)


def export(run: Path, name: str, *, data_dir: Path | None = None, folder: Path = FOLDER) -> Path:
    """Make a reference net of a finished run.

    Args:
        run: Its folder.
        name: "erm" or "pgd".
        data_dir: Where the data sets lie.
        folder: Where the net shall lie.

    Returns:
        The card's path.

    Raises:
        InputError: If the run is not finished.
    """
    recipe = files.read(run / "recipe.yaml")
    weights = run / engine.WEIGHTS
    if not weights.is_file():
        raise InputError(f"{run} holds no weights yet: finish the run first.")
    model = recipe.model.model_dump()
    known: dict[str, Any] = {
        "name": choice("net", name, NETS),
        "recipe": json.loads(recipe.model_dump_json(exclude_none=True)),
        "seed": recipe.seed,
        "epochs": recipe.epochs,
        "model": model,
    }
    net = models.MODELS[model["name"]](**_arguments(known))
    engine.load_weights(weights, net)
    folder.mkdir(parents=True, exist_ok=True)
    engine.save_weights(folder / f"{name}.safetensors", net.half())
    known["sha256"] = _digest(folder / f"{name}.safetensors")
    correct = clean_correct(net.float().eval(), *first_images(JUDGED, data_dir=data_dir))
    known |= {"judged": JUDGED, "correct": correct, "clean_accuracy": correct / JUDGED}
    records.write_text(folder / f"{name}.json", json.dumps(known, indent=2) + "\n")
    return folder / f"{name}.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Export a net, or check those there.

    Args:
        argv: What stands behind the command's name; the process's own when not given.

    Returns:
        0, 1 where an accuracy is not that of the card, 2 for a mistake in the arguments.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reference_nets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("export", "check"))
    parser.add_argument("run", nargs="?", type=Path, help="a finished run folder")
    parser.add_argument("name", nargs="?", choices=NETS)
    parser.add_argument("--data-dir", type=Path, help="where the data sets lie")
    args = parser.parse_args(argv)
    try:
        if args.what == "check":
            return _check(args.data_dir)
        if args.run is None or args.name is None:
            parser.error("export needs RUN and NAME")
        print(export(args.run, args.name, data_dir=args.data_dir))
    except InputError as error:
        print(f"reference_nets: {error}", file=sys.stderr)
        return 2
    return 0


def _check(data_dir: Path | None) -> int:
    off = 0
    for name in NETS:
        known = card(name)
        correct = clean_correct(load(name), *first_images(known["judged"], data_dir=data_dir))
        off += correct != known["correct"]
        print(f"{name}: {correct} of {known['judged']} right, the card says {known['correct']}")
    return int(off > 0)


if __name__ == "__main__":
    raise SystemExit(main())
