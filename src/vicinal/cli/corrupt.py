"""`vicinal corrupt`: corrupted copies of images, as files."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vicinal.cli.options import add_common, check_common

if TYPE_CHECKING:
    from vicinal.records import Record

__all__ = ["add_parser"]

_EPILOG = """examples:
  vicinal corrupt FOLDER --out DIR
  vicinal corrupt FOLDER --out DIR --corruptions fog,snow --severities 1,3,5
  vicinal corrupt FOLDER --out DIR --size 224 --format jpeg     as ImageNet-C was made
  vicinal corrupt FOLDER --out DIR --dataset cifar10            CIFAR-10-C from the CIFAR-10 there
  vicinal corrupt --sheet sheet.png                             one photograph under all of them
  vicinal corrupt --sheet sheet.jpg --cell 64                   smaller, as JPEG

--corruptions takes a set (common: the 15 of ImageNet-C; all: these and M-TLAT's four; extra) or
names with commas between. Copies go to DIR/<corruption>/<severity>/<name> without loss, or as JPEG
of quality 85 like the published sets; with --dataset, to DIR/<corruption>.npy, uint8, severity
after severity, and DIR/labels.npy. A contact sheet of the first image is DIR/contact_sheet.png. A
call that was interrupted goes on where it stopped when it is made again. The original frost
textures are taken from the folder of --frost; without it they are computed, and not comparable.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand.

    Args:
        subparsers: Where to add it.
    """
    parser = subparsers.add_parser(
        "corrupt",
        help="write corrupted copies of images",
        description="Write copies of images under common corruptions of five severities.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="a folder of images")
    parser.add_argument("--out", metavar="DIR", help="where the copies go")
    parser.add_argument(
        "--corruptions", default="all", metavar="NAMES", help="which ones (default: all)"
    )
    parser.add_argument(
        "--severities", default="1-5", metavar="LIST", help="such as 3 or 1,3,5 (default: 1-5)"
    )
    parser.add_argument(
        "--format", default="png", metavar="FORM", help="png (lossless, default) or jpeg"
    )
    parser.add_argument(
        "--size", type=int, metavar="N", help="first bring pictures to N x N (default: as they are)"
    )
    parser.add_argument(
        "--view", default="cropped", metavar="RULE", help="how: cropped (default) or resized"
    )
    parser.add_argument(
        "--dataset", metavar="NAME", help="take the test images of this set, which lies in FOLDER"
    )
    parser.add_argument("--frost", metavar="DIR", help="folder of the original frost textures")
    parser.add_argument(
        "--sheet", metavar="FILE", help="write a contact sheet of a photograph, .png or .jpg"
    )
    parser.add_argument(
        "--cell", type=int, metavar="PX", help="side of its small pictures (default: 112)"
    )
    parser.add_argument(
        "--photo", default="china", metavar="NAME", help="china (default) or flower"
    )
    add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write copies, or a contact sheet.

    Args:
        args: The parsed arguments.

    Returns:
        0.

    Raises:
        KeyboardInterrupt: After Ctrl-C; its text says how to go on.
    """
    check_common(args)
    from vicinal.recipes.corruption_words import read_corruptions

    frost = None if args.frost is None else Path(args.frost)
    named = read_corruptions(args.corruptions, frost=frost)
    if args.sheet is not None:
        _tell(args, _sheet(args, named))
    if args.folder is not None or args.sheet is None:
        try:
            _tell(args, _copies(args, named))
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the same command goes on where it stopped") from None
    return 0


def _sheet(args: argparse.Namespace, named: dict[str, Any]) -> Record:
    from vicinal.recipes.contact_sheet import (
        TILE,
        check_sheet,
        contact_sheet,
        photograph,
        write_sheet,
    )
    from vicinal.recipes.corruption_words import read_severities

    file = check_sheet(Path(args.sheet))
    image = photograph(args.photo, size=args.size or 224)
    severities = read_severities(args.severities)
    sheet = contact_sheet(
        image,
        named,
        severities=severities,
        seed=args.seed or 0,
        tile=TILE if args.cell is None else args.cell,
    )
    write_sheet(file, sheet)
    return {"kind": "sheet", "file": args.sheet, "photograph": args.photo, "rows": len(named)}


def _copies(args: argparse.Namespace, named: dict[str, Any]) -> Record:
    from vicinal._checks import InputError, choice
    from vicinal.recipes.corrupted_copies import Copies
    from vicinal.recipes.corruption_words import read_severities
    from vicinal.recipes.device import pick_device

    for name, value in (("FOLDER", args.folder), ("--out", args.out)):
        if value is None:
            raise InputError(f"`{name}` must be given: vicinal corrupt FOLDER --out DIR.")
    choice("view", args.view, ("cropped", "resized"))
    ask = Copies(
        severities=read_severities(args.severities),
        seed=args.seed or 0,
        form=args.format,
        size=args.size,
        view=args.view,
        device=pick_device(args.device).type,
    )
    write = _folder if args.dataset is None else _arrays
    files = write(args, named, ask)
    return {"kind": "copies", "out": args.out, "corruptions": list(named), "files": files}


def _folder(args: argparse.Namespace, named: dict[str, Any], ask: Any) -> int:  # ruff: ignore[any-type]
    from vicinal.recipes.corrupted_copies import corrupt_folder, find_pictures, seen

    folder, out = Path(args.folder), Path(args.out)
    names = find_pictures(folder)
    with _bars(len(names) * len(ask.severities), args) as report:
        written = corrupt_folder(folder, out, named, ask, report=report)
    _sheet_beside(out, seen(folder / names[0], ask), named, ask)
    return written


def _arrays(args: argparse.Namespace, named: dict[str, Any], ask: Any) -> int:  # ruff: ignore[any-type]
    from vicinal import data
    from vicinal._checks import InputError
    from vicinal.recipes.corrupted_copies import corrupt_arrays

    if args.dataset in data.FOLDERS:
        raise InputError(
            f"`--dataset` must be a set that fits in memory; the pictures of {args.dataset} are "
            "files. Did you mean vicinal corrupt FOLDER with the folder of its test pictures?"
        )
    if args.size is not None or args.format != "png":
        raise InputError(
            "`--size` and `--format` must be left out with --dataset; its arrays have the images' "
            f"own size and no loss, so got {args.size or args.format} for nothing."
        )
    split = data.load(args.dataset, Path(args.folder)).test
    out = Path(args.out)
    with _bars(len(split) * len(ask.severities), args) as report:
        written = corrupt_arrays(split, out, named, ask, source=args.dataset, report=report)
    _sheet_beside(out, split.x[0], named, ask)
    return written


def _sheet_beside(out: Path, image: Any, named: dict[str, Any], ask: Any) -> None:  # ruff: ignore[any-type]
    from vicinal.recipes.contact_sheet import contact_sheet, write_sheet

    sheet = contact_sheet(image, named, severities=ask.severities, seed=ask.seed)
    write_sheet(out / "contact_sheet.png", sheet)


def _bars(total: int, args: argparse.Namespace) -> Any:  # ruff: ignore[any-type] — one of two contexts
    from vicinal.recipes.progress import counting

    return nullcontext() if args.json or not sys.stderr.isatty() else counting(total)


def _tell(args: argparse.Namespace, found: Record) -> None:
    from vicinal.records import line

    if args.json:
        print(line(found))
    elif found["kind"] == "sheet":
        print(f"{found['rows']} corruptions of {found['photograph']}: {found['file']}")
    else:
        count = len(found["corruptions"])
        print(f"{found['files']} files written, {count} corruptions: {found['out']}")
