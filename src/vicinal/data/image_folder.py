"""Any set of picture files: one folder per split, in it one folder per class.

The layout of ImageNet and of torchvision's ImageFolder: `train/<class>/*.jpg` beside
`test/<class>/*.jpg` or `val/<class>/*.jpg`. Classes are in the order of their folders' names. The
images stay on the disk and are streamed.
"""

from __future__ import annotations

import logging
from pathlib import Path

from vicinal._checks import InputError
from vicinal.data.class_folders import class_folders, list_pictures
from vicinal.data.folder_set import FileSplit, FolderSet
from vicinal.data.image_set import Statistics
from vicinal.data.missing import MissingData, existing_folder
from vicinal.data.views import View

__all__ = ["read_folders", "read_image_folder"]

_log = logging.getLogger("vicinal")


def read_image_folder(
    data_dir: Path | None = None, *, size: int = 224, view: View = "resized"
) -> FolderSet:
    """Read any folder of images with train/<class>/ and test/<class>/ or val/<class>/ in it.

    It takes its name from the folder. Where there are both, test/ is the test split and val/ is
    left alone.

    Args:
        data_dir: The folder.
        size: Pixels of the sides of what a model sees.
        view: "resized" or "cropped".

    Returns:
        The set, its images on the disk.

    Raises:
        MissingData: If there is no such folder.
    """
    wanted = "train and test or val, each with one folder per class"
    root = existing_folder("image-folder", data_dir, holding=wanted)
    if not any((root / part).is_dir() for part in ("train", "test", "val")):
        raise MissingData(f"`data_dir` for image-folder must hold {wanted}; {root} holds none.")
    return read_folders(root, name=root.resolve().name, size=size, view=view)


def read_folders(
    root: Path, *, name: str, size: int, view: View, published: Statistics | None = None
) -> FolderSet:
    """Read the splits of a folder, without decoding an image.

    Args:
        root: The folder that holds train and test or val.
        name: What the set is called.
        size: Pixels of the sides of what a model sees.
        view: "resized" or "cropped".
        published: Mean and standard deviation that the set's field normalises with.

    Returns:
        The set, its images on the disk.

    Raises:
        InputError: If a split is missing, or a class has no image in one of the two.
    """
    train = root / "train"
    test = root / "test" if (root / "test").is_dir() else root / "val"
    _log.info("reading %s from %s, tested on %s", name, root, test.name)
    classes = class_folders(train)
    odd = sorted(set(classes) ^ set(class_folders(test)))
    if odd:
        where = train if odd[0] in classes else test
        raise InputError(
            f"{train} and {test} must hold the same classes; {odd[0]} is in {where} only."
        )
    splits = []
    for folder in (train, test):
        found = list_pictures(folder, classes)
        splits.append(FileSplit(folder=folder, names=found.names, y=found.y, size=size, view=view))
    return FolderSet(
        name=name,
        train=splits[0],
        test=splits[1],
        num_classes=len(classes),
        class_names=classes,
        published=published,
    )
