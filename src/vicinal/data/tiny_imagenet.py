"""Tiny-ImageNet (Stanford CS231N: 200 classes of ImageNet at 64x64), whole and as 30 classes.

The whole set lies in the published layout, `tiny-imagenet-200/` with wnids.txt, words.txt,
train/<wnid>/images/ and val/ with its val_annotations.txt. Its test images are unlabelled, so the
validation images are the test split, as in the papers. The 30 classes are a set of their own, with
a name of their own: `tiny_imagenet_30/` with train/<wnid>/ and val/<wnid>/.

Both are decoded into memory when they are read (the whole set is 1.35 GB of bytes), and nothing is
kept on the disk. Classes are in the order of their WordNet ids.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from vicinal._checks import InputError
from vicinal.data.class_folders import Listing, class_folders, list_pictures, picture_names
from vicinal.data.image_set import ImageSet, Split
from vicinal.data.missing import MissingData, existing_folder
from vicinal.data.pictures import read_pictures
from vicinal.data.published import check_shape, warn_of_size

__all__ = ["read_tiny_imagenet", "read_tiny_imagenet_30"]

_log = logging.getLogger("vicinal")

_WHOLE, _PART = "tiny-imagenet-200", "tiny_imagenet_30"


def read_tiny_imagenet(data_dir: Path | None = None) -> ImageSet:
    """Read Tiny-ImageNet: 100,000 training and 10,000 test images of 64x64, 200 classes.

    The test images are the published validation images, in the order of their annotations.

    Args:
        data_dir: The folder that holds tiny-imagenet-200.

    Returns:
        The set, on the CPU.
    """
    root = _find("tiny-imagenet", data_dir, _WHOLE)
    classes = _wnids(root)
    train = list_pictures(root / "train", classes, inside="images")
    return _decoded(
        "tiny-imagenet",
        root,
        train=(root / "train", train),
        test=(root / "val" / "images", _annotated(root / "val", classes)),
        names=_words(root, classes),
        published=(100_000, 10_000),
    )


def read_tiny_imagenet_30(data_dir: Path | None = None) -> ImageSet:
    """Read 30 classes of Tiny-ImageNet: 15,000 training and 1,500 test images of 64x64.

    A set of its own: its numbers never stand for those of the 200 classes. The test images are the
    validation images, the classes in turns.

    Args:
        data_dir: The folder that holds tiny_imagenet_30.

    Returns:
        The set, on the CPU.

    Raises:
        InputError: If the two folders hold different classes.
    """
    root = _find("tiny-imagenet-30", data_dir, _PART)
    classes = _classes_of(root / "train", wanted=30)
    if class_folders(root / "val") != classes:
        raise InputError(f"{root / 'val'} must hold the same classes as {root / 'train'}.")
    return _decoded(
        "tiny-imagenet-30",
        root,
        train=(root / "train", list_pictures(root / "train", classes)),
        test=(root / "val", list_pictures(root / "val", classes)),
        names=classes,
        published=(15_000, 1_500),
    )


def _find(name: str, data_dir: Path | None, wanted: str) -> Path:
    folder = existing_folder(name, data_dir, holding=wanted)
    if (folder / wanted).is_dir():
        return folder / wanted
    hint = f" Did you mean its parent, {folder.parent}?" if folder.name == wanted else ""
    raise MissingData(f"`data_dir` for {name} must hold {wanted}; {folder} does not.{hint}")


def _decoded(
    name: str,
    root: Path,
    *,
    train: tuple[Path, Listing],
    test: tuple[Path, Listing],
    names: tuple[str, ...],
    published: tuple[int, int],
) -> ImageSet:
    _log.info("reading %s from %s", name, root)
    splits = [
        Split(x=read_pictures([folder / file for file in found.names], what=name), y=found.y)
        for folder, found in (train, test)
    ]
    found = ImageSet(
        name=name, train=splits[0], test=splits[1], num_classes=len(names), class_names=names
    )
    check_shape(found, root, shape=(3, 64, 64))
    warn_of_size(root, found=(len(found.train), len(found.test)), published=published)
    return found


def _classes_of(folder: Path, *, wanted: int) -> tuple[str, ...]:
    found = class_folders(folder)
    if len(found) != wanted:
        raise InputError(
            f"{folder} must hold {wanted} folders, one per class; it holds {len(found)}. "
            "Unpack the archive again, or read another choice of classes as image-folder."
        )
    return found


def _wnids(root: Path) -> tuple[str, ...]:
    """Take the classes of wnids.txt, sorted, where the training folders are the same ones."""
    listed = sorted(line.strip() for line in _lines(root / "wnids.txt") if line.strip())
    folders = _classes_of(root / "train", wanted=200)
    if tuple(listed) != folders:
        odd = sorted(set(listed) ^ set(folders))
        said = f"{odd[0]} stands in one of them only" if odd else "wnids.txt repeats a name"
        raise InputError(
            f"{root / 'wnids.txt'} must name the folders of {root / 'train'}; {said}. "
            "Unpack the archive again."
        )
    return folders


def _words(root: Path, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Take the first word of words.txt for every class."""
    pairs = (line.split("\t") for line in _lines(root / "words.txt"))
    words = {pair[0]: pair[1].split(",")[0].strip() for pair in pairs if len(pair) > 1}
    for name in classes:
        if name not in words:
            raise InputError(
                f"{root / 'words.txt'} must have a word for every class; it has none for {name}. "
                "Unpack the archive again."
            )
    return tuple(words[name] for name in classes)


def _annotated(folder: Path, classes: tuple[str, ...]) -> Listing:
    """List the validation images in the order of their annotations."""
    path = folder / "val_annotations.txt"
    label_of = {name: label for label, name in enumerate(classes)}
    found: dict[str, int] = {}
    for number, line in enumerate(_lines(path), 1):
        fields = line.split("\t")
        if len(fields) < 2 or fields[1] not in label_of or fields[0] in found:
            raise InputError(
                f"line {number} of {path} must name a new image and one of the classes of "
                f"wnids.txt, with a tab between; got {line[:60]!r}. Unpack the archive again."
            )
        found[fields[0]] = label_of[fields[1]]
    odd = sorted(set(found) ^ set(picture_names(folder / "images")))
    if odd:
        what = "has no file" if odd[0] in found else "has no line"
        raise InputError(
            f"{path} must have one line for each file of {folder / 'images'}; {odd[0]} {what}. "
            "Unpack the archive again."
        )
    return Listing(names=tuple(found), y=torch.tensor(list(found.values())))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(
            f"{path} is missing or unreadable although its folder is there; "
            "unpack the archive again."
        ) from error
