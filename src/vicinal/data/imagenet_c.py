"""ImageNet-C and Tiny-ImageNet-C (Hendrycks & Dietterich 2019): folders of corrupted pictures.

The layout of the published archives: <corruption>/<severity>/<wnid>/*.JPEG, the corruptions side by
side or within blur, digital, extra, noise and weather. The pictures have their final size (224 and
64) and are seen as they are: cutting or resizing them again would change the benchmark, so one of
another size is an error. Any folder in this layout is read likewise, such as ImageNet-C-bar and
ImageNet-3DCC.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from vicinal._checks import InputError
from vicinal.data.class_folders import class_folders, list_pictures
from vicinal.data.corrupted_set import CorruptedSet
from vicinal.data.folder_set import FileSplit
from vicinal.data.missing import MissingData, existing_folder
from vicinal.data.pictures import check_size, open_picture

__all__ = ["read_corrupted_folders", "read_imagenet_c", "read_tiny_imagenet_c"]

_LAYOUT = "<corruption>/<severity>/<class>/ folders"


def read_imagenet_c(
    data_dir: Path | None = None, *, classes: Sequence[str] | None = None
) -> CorruptedSet:
    """Read ImageNet-C: the 50,000 validation images of 224x224 under 19 corruptions.

    Args:
        data_dir: The folder that holds ImageNet-C or imagenet-c, or that folder itself.
        classes: The model's classes in the order of its outputs, such as `class_names` of the set
            that it was trained on; folders of other classes are left out. All when not given.

    Returns:
        The set, its images on the disk.
    """
    root = _find("imagenet-c", data_dir, "ImageNet-C", "imagenet-c")
    return read_corrupted_folders(root, name="imagenet-c", size=224, classes=classes)


def read_tiny_imagenet_c(
    data_dir: Path | None = None, *, classes: Sequence[str] | None = None
) -> CorruptedSet:
    """Read Tiny-ImageNet-C: 10,000 images of 64x64, 200 classes, under 15 or 19 corruptions.

    Its images were cut from other pictures than those of Tiny-ImageNet's validation set, so it has
    no clean twin.

    Args:
        data_dir: The folder that holds Tiny-ImageNet-C, or that folder itself.
        classes: The model's classes in the order of its outputs; all when not given.

    Returns:
        The set, its images on the disk.
    """
    root = _find("tiny-imagenet-c", data_dir, "Tiny-ImageNet-C", "tiny-imagenet-c")
    return read_corrupted_folders(root, name="tiny-imagenet-c", size=64, classes=classes)


def _find(name: str, data_dir: Path | None, *folders: str) -> Path:
    wanted = f"{folders[0]} with {_LAYOUT}"
    given = existing_folder(name, data_dir, holding=wanted)
    for root in (*(given / folder for folder in folders), given):
        if _corruptions(root):
            return root
    raise MissingData(f"`data_dir` for {name} must hold {wanted}; {given} holds none.")


def read_corrupted_folders(
    root: Path, *, name: str, size: int, classes: Sequence[str] | None = None
) -> CorruptedSet:
    """Read any folder of <corruption>/<severity>/<class>/ pictures, without decoding them.

    Args:
        root: The folder.
        name: What the set is called.
        size: Pixels of the sides that its pictures have.
        classes: The model's classes in the order of its outputs, by their folders' names; those
            of the set itself, sorted, when not given.

    Returns:
        The set, its images on the disk.

    Raises:
        InputError: If there is no such folder, corruptions differ in their severities or their
            classes, or the set has none of the classes.
    """
    found = _corruptions(root)
    if not found:
        raise InputError(f"{root} must hold {_LAYOUT}; it holds none.")
    severities = {corruption: _severities(folder) for corruption, folder in found.items()}
    first = next(iter(found))
    odd = [corruption for corruption in found if severities[corruption] != severities[first]]
    if odd:
        raise InputError(
            f"{found[odd[0]]} must have the severities of {first}, {_told(severities[first])}; "
            f"it has {_told(severities[odd[0]])}. Unpack the archives again?"
        )
    there = _classes([folder / str(s) for folder in found.values() for s in severities[first]])
    names = tuple(there if classes is None else classes)
    if not set(names) & set(there):
        raise InputError(
            f"{root} must hold some of the model's classes, such as {names[0]}; its folders are "
            f"of others, such as {there[0]}."
        )
    return CorruptedSet(
        name=name,
        corruptions=tuple(found),
        severities=severities[first],
        num_classes=len(names),
        class_names=names,
        read=partial(_part, found, names, size),
    )


def _corruptions(root: Path) -> dict[str, Path]:
    """Find the folders that hold severities, here or one floor below."""
    here = _folders(root)
    found = {path.name: path for path in here if _severities(path)}
    below = (inner for path in here if path.name not in found for inner in _folders(path))
    found |= {path.name: path for path in below if _severities(path)}
    return dict(sorted(found.items()))


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(inner for inner in path.iterdir() if inner.is_dir() and inner.name[0] != ".")


def _severities(path: Path) -> tuple[int, ...]:
    """List the folders that are one digit; what lies beside them is none of the set's."""
    numbers = [inner.name for inner in _folders(path) if inner.name.isdecimal()]
    small = sorted(int(name) for name in numbers if len(name) == 1)
    # Classes that are numbered 0 to 999, as those of ImageNet-V2, are no severities.
    return tuple(small) if 2 * len(small) > len(numbers) else ()


def _classes(parts: Sequence[Path]) -> tuple[str, ...]:
    """Name the classes, all in every part: with one missing, the labels after it would be wrong."""
    there = {part: class_folders(part) for part in parts}
    every = set().union(*there.values())
    for part, names in there.items():
        if len(names) < len(every):
            raise InputError(
                f"{part} must have the classes of the other parts; it has no "
                f"{min(every.difference(names))}. Unpack the archives again?"
            )
    return tuple(sorted(every))


def _told(severities: Sequence[int]) -> str:
    return ", ".join(str(severity) for severity in severities)


def _part(
    found: dict[str, Path], classes: tuple[str, ...], size: int, corruption: str, severity: int
) -> FileSplit:
    folder = found[corruption] / str(severity)
    there = set(class_folders(folder))
    listed = [name for name in classes if name in there]
    if not listed:
        raise InputError(f"{folder} must hold some of the set's classes; it holds none of them.")
    listing = list_pictures(folder, listed)
    labels = torch.tensor([classes.index(name) for name in listed])
    first = folder / listing.names[0]
    check_size(open_picture(first), first, size=size)
    return FileSplit(
        folder=folder,
        names=listing.names,
        y=labels[listing.y],
        size=size,
        view="resized",
        exact=True,
    )
