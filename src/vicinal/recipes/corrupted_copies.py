"""Corrupted copies of images, written to files: folders as ImageNet-C, arrays as CIFAR-10-C.

Every file appears whole or not at all, and what stands there is not made again, so a call that was
interrupted goes on where it stopped. `corrupted.json` says what the files are, with seed and
version; a call that asks for others into the same folder is refused. An image's draws follow from
the seed, the corruption, the severity and its place in the sorted list, so neither the batch size
nor the other corruptions change them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vicinal import data, records
from vicinal._checks import InputError, choice, count
from vicinal._version import __version__
from vicinal.corruptions import SEVERITIES, Corruption, fixed_keys
from vicinal.data.pictures import SUFFIXES, open_picture, pixels
from vicinal.data.views import View, evaluation_view
from vicinal.recipes.readable import check_pictures

__all__ = [
    "FORMS",
    "Copies",
    "corrupt_arrays",
    "corrupt_folder",
    "find_pictures",
    "make_folder",
    "seen",
]

FORMS: dict[str, str] = {"png": ".png", "jpeg": ".jpg"}
"""How pictures are written, and their ending: without loss, or as JPEG of quality 85."""

_QUALITY = 85
_BATCH = 64
_ABOUT = "corrupted.json"
_LABELS = "labels.npy"

Named = Mapping[str, Corruption[Any, Any]]
Report = Callable[[str, int], None]


@dataclass(frozen=True, kw_only=True)
class Copies:
    """What copies are asked for.

    Args:
        severities: Which of 1 to 5.
        seed: Governs every draw.
        form: "png" or "jpeg", for folders.
        size: Pixels of the sides that pictures are brought to before; as they are when not given.
        view: How: "resized" or "cropped", the latter as for ImageNet-C.
        device: Where to compute; the copies are the same everywhere, to rounding.
    """

    severities: tuple[int, ...] = SEVERITIES
    seed: int = 0
    form: str = "png"
    size: int | None = None
    view: View = "cropped"
    device: str = "cpu"

    def __post_init__(self) -> None:
        choice("format", self.form, FORMS)
        if self.size is not None:
            count("size", self.size, low=8)


def find_pictures(folder: Path) -> list[str]:
    """List the pictures of a folder and of all folders in it.

    Args:
        folder: The folder.

    Returns:
        Names relative to it, with slashes, sorted; hidden ones left out.

    Raises:
        InputError: If there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"`FOLDER` must be a folder of images; got {folder}, which {state}.")
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    seen = sorted(
        name.as_posix()
        for name in names
        if name.suffix.lower() in SUFFIXES and not any(part[0] == "." for part in name.parts)
    )
    if not seen:
        raise InputError(f"{folder} must hold images ({' '.join(sorted(SUFFIXES))}); it has none.")
    return seen


def corrupt_folder(
    folder: Path, out: Path, named: Named, ask: Copies, *, report: Report | None = None
) -> int:
    """Write corrupted copies of a folder's pictures: OUT/<corruption>/<severity>/<name>.

    Of a folder with one folder per class this is the layout of ImageNet-C.

    Args:
        folder: The folder; pictures in folders within it keep these.
        out: Where the copies go, outside the folder.
        named: Corruptions by name.
        ask: What copies.
        report: Called with a corruption's name and how many images were done, or were there.

    Returns:
        How many files were written.

    Raises:
        InputError: If the folders are off, two pictures would get one name, or some cannot be
            read, which is found out before the first copy is written.
    """
    names = find_pictures(folder)
    targets = _targets(folder, names, out, ask, tuple(named))
    if not _begun(out):
        check_pictures(folder, names)
    facts = {"images": len(names), "source": folder.resolve().name, **_facts(ask, named)}
    _open(out, facts, writes=tuple(named))
    written = 0
    for name, corruption in named.items():
        for severity in ask.severities:
            root, done = out / name / str(severity), 0
            for rows, x in _same_sized(folder, names, targets, root, ask):
                keys = fixed_keys(torch.tensor(rows), seed=ask.seed, name=name, severity=severity)
                bad = _bytes(corruption(x.to(ask.device), severity=severity, keys=keys))
                for row, image in zip(rows, bad, strict=True):
                    _write_picture(root / targets[row], image, ask.form)
                done += len(rows)
                _report(report, name, len(rows))
            written += done
            _report(report, name, len(names) - done)
    return written


def _report(report: Report | None, name: str, n: int) -> None:
    if report is not None and n:
        report(name, n)


def _targets(
    folder: Path, names: Sequence[str], out: Path, ask: Copies, corruptions: Sequence[str]
) -> list[str]:
    """Name the copies, all different, in a folder that does not become part of the source."""
    whole, source = out.resolve(), folder.resolve()
    written = [whole / name for name in corruptions]
    if whole.is_relative_to(source) or any(source.is_relative_to(one) for one in written):
        raise InputError(f"`out` must lie outside the folder of the images, {folder}; got {out}.")
    targets = [Path(name).with_suffix(FORMS[ask.form]).as_posix() for name in names]
    if len(set(targets)) < len(targets):
        twice = next(one for one, times in Counter(targets).items() if times > 1)
        raise InputError(f"{folder} must not hold two pictures that both become {twice}.")
    return targets


def _same_sized(
    folder: Path, names: Sequence[str], targets: Sequence[str], root: Path, ask: Copies
) -> Iterator[tuple[list[int], Tensor]]:
    """Read the pictures whose copies are missing, as batches of one size: places and images."""
    rows: list[int] = []
    images: list[Tensor] = []
    for row, name in enumerate(names):
        if (root / targets[row]).is_file():
            continue
        image = seen(folder / name, ask)
        if images and (image.shape != images[0].shape or len(rows) == _BATCH):
            yield rows, torch.stack(images).float() / 255
            rows, images = [], []
        rows.append(row)
        images.append(image)
    if rows:
        yield rows, torch.stack(images).float() / 255


def seen(path: Path, ask: Copies) -> Tensor:
    """Read what is corrupted of a picture: brought to the size that copies are asked for.

    Args:
        path: Its file.
        ask: What copies.

    Returns:
        The pixels (3, H, W), uint8.
    """
    picture = open_picture(path)
    if ask.size is None:
        return pixels(picture)
    return pixels(evaluation_view(picture, size=ask.size, view=ask.view))


def _bytes(x: Tensor) -> NDArray[np.uint8]:
    """Give images (N, H, W, C) of 8 bits: corruptions have truncated to these already."""
    levels = x.mul(255).round().byte().permute(0, 2, 3, 1)
    found: NDArray[np.uint8] = levels.contiguous().cpu().numpy()
    return found


def _write_picture(path: Path, image: NDArray[np.uint8], form: str) -> None:
    make_folder(path.parent)
    options = {"quality": _QUALITY} if form == "jpeg" else {}
    with records.atomic(path) as temporary:
        Image.fromarray(image).save(temporary, format=form.upper(), **options)


def corrupt_arrays(
    split: data.Split,
    out: Path,
    named: Named,
    ask: Copies,
    *,
    source: str,
    report: Report | None = None,
) -> int:
    """Write corrupted copies of images in memory in the layout of CIFAR-10-C.

    OUT/<corruption>.npy holds uint8 images (5 N, H, W, C), severity after severity, and
    OUT/labels.npy the labels five times; `data.read_corrupted_arrays` reads them.

    Args:
        split: The images, mostly the test images of CIFAR.
        out: Where the files go.
        named: Corruptions by name.
        ask: What copies; all five severities.
        source: What the images are called.
        report: Called with a corruption's name and how many images were done, or were there.

    Returns:
        How many files of images were written.

    Raises:
        InputError: If a severity is missing.
    """
    if ask.severities != SEVERITIES:
        raise InputError(
            f"`severities` must be 1-5 in the layout of CIFAR-10-C; got {list(ask.severities)}."
        )
    facts = {"images": len(split), "source": source, **_facts(ask, named)}
    _open(out, facts, writes=(_LABELS, *(f"{name}.npy" for name in named)))
    labels = np.tile(split.y.cpu().numpy(), len(SEVERITIES))
    with records.atomic(out / _LABELS) as temporary, temporary.open("wb") as file:
        np.save(file, labels)
    written = 0
    for name, corruption in named.items():
        path = out / f"{name}.npy"
        if path.is_file():
            _report(report, name, len(labels))
            continue
        with records.atomic(path) as temporary:
            _fill(temporary, split, name, corruption, ask, report)
        written += 1
    return written


def _fill(
    path: Path,
    split: data.Split,
    name: str,
    corruption: Corruption[Any, Any],
    ask: Copies,
    report: Report | None,
) -> None:
    n, (channels, height, width) = len(split), split.x.shape[1:]
    shape = (len(SEVERITIES) * n, height, width, channels)
    # Written to in place of being mapped: a full disk is then an error, and no bus error.
    with path.open("wb") as file:
        head = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, head)
        for severity, start in product(SEVERITIES, range(0, n, _BATCH)):
            x = split.x[start : start + _BATCH].to(ask.device).float() / 255
            places = torch.arange(start, start + len(x))
            keys = fixed_keys(places, seed=ask.seed, name=name, severity=severity)
            file.write(_bytes(corruption(x, severity=severity, keys=keys)).tobytes())
            _report(report, name, len(x))


def _facts(ask: Copies, named: Named) -> dict[str, Any]:
    # Severities and corruptions may be added later; their draws do not depend on each other.
    facts = {k: v for k, v in asdict(ask).items() if k not in {"severities", "device"}}
    if "frost" in named:
        # Copies under computed ice must not pass for copies under the photographs.
        facts["frost"] = str(getattr(named["frost"], "textures", None))
    return facts


def _open(out: Path, facts: dict[str, Any], *, writes: Sequence[str]) -> None:
    """Make the folder, or check that what is there was made alike."""
    file = out / _ABOUT
    strange = [] if file.exists() else [name for name in writes if (out / name).exists()]
    if strange:
        # A published set would pass for what is done already, and lose its labels.
        raise InputError(
            f"{out} holds {strange[0]}, which no vicinal corrupt made. Choose another --out."
        )
    if file.is_file():
        there = _told(file)
        if not _begun(out):
            there = {}
        odd = [key for key, value in facts.items() if there.get(key, value) != value]
        if odd:
            raise InputError(
                f"{out} holds copies with `{odd[0]}` = {there.get(odd[0])!r}, not "
                f"{facts[odd[0]]!r}. Choose another --out, or remove that folder."
            )
        if facts.keys() <= there.keys():
            return
        facts = {**there, **facts}
    make_folder(out)
    about = {"vicinal": __version__, **facts}
    records.write_text(file, json.dumps(about, indent=2) + "\n")


def _begun(out: Path) -> bool:
    """Tell whether a copy stands in a folder, under whichever corruption."""
    arrays = (file for file in out.glob("*.npy") if file.name != _LABELS)
    endings = FORMS.values()
    copies = (file for file in out.glob("*/[1-5]/**/*") if file.suffix in endings)
    return any(file.is_file() for file in chain(arrays, copies))


def _told(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if isinstance(found, dict):
        return found
    raise InputError(
        f"{file} must say what the copies beside it are, and cannot be read. Choose another --out, "
        "or remove that folder."
    )


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it lies in.

    Args:
        folder: The folder; it may be there already.

    Raises:
        InputError: If it cannot be made, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"could not make the folder {folder}: {error.strerror}.") from error
