"""ImageNet (ILSVRC 2012) and 100 of its classes, as folders of images that are streamed.

The layout is train/<wnid>/*.JPEG and val/<wnid>/*.JPEG (the validation images sorted into folders),
in the folder given or in its folder `imagenet`. The validation images of ImageNet are its test
split.

ImageNet-100 is what M-TLAT (A. Laugros et al., 2020) trains on: 100 classes, of each 10 % of the
training images held out as test images. The paper does not say which; here a file
`imagenet-100.txt` beside train, one wnid a line, chooses the classes, or else a seed does. Both
choices go by SHA-256 of seed and name, so they are the same on every machine, and an image that is
missing changes no other image's side.
"""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path

from vicinal._checks import InputError
from vicinal.data.class_folders import class_folders, in_turns, picture_names
from vicinal.data.folder_set import FileSplit, FolderSet
from vicinal.data.image_folder import read_folders
from vicinal.data.missing import MissingData, existing_folder
from vicinal.data.published import warn_of_size
from vicinal.data.views import View

__all__ = ["read_imagenet", "read_imagenet_100"]

_log = logging.getLogger("vicinal")

_STATISTICS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation that the whole field normalises ImageNet with."""

_LIST = "imagenet-100.txt"
_CLASSES = 100


def read_imagenet(
    data_dir: Path | None = None, *, size: int = 224, view: View = "cropped"
) -> FolderSet:
    """Read ImageNet: 1,281,167 training and 50,000 test images, 1,000 classes, as streamed folders.

    Args:
        data_dir: The folder that holds train and val, or imagenet with the two.
        size: Pixels of the sides of what a model sees.
        view: "resized" or "cropped".

    Returns:
        The set, its images on the disk.

    Raises:
        InputError: If it has other classes than 1,000 named by wnid.
    """
    root = _find("imagenet", data_dir, "imagenet")
    wnids = _wnids(root / "train")
    if len(wnids) != 1000:
        raise InputError(
            f"{root / 'train'} must hold the 1000 classes of ImageNet; it holds {len(wnids)}. "
            "Another choice of classes is read as image-folder."
        )
    found = read_folders(root, name="imagenet", size=size, view=view, published=_STATISTICS)
    sizes = (len(found.train), len(found.test))
    warn_of_size(root, found=sizes, published=(1_281_167, 50_000))
    return found


def read_imagenet_100(
    data_dir: Path | None = None, *, size: int = 224, view: View = "resized", seed: int = 0
) -> FolderSet:
    """Read 100 classes of ImageNet, 10 % of each one's training images held out, as in M-TLAT.

    Args:
        data_dir: The folder that holds train, or imagenet-100 or imagenet with it. Beside train
            may lie imagenet-100.txt, which names the classes, one wnid a line.
        size: Pixels of the sides of what a model sees.
        view: "resized" or "cropped".
        seed: Which classes, where no list says it, and which images are held out.

    Returns:
        The set, its images on the disk.
    """
    root = _find("imagenet-100", data_dir, "imagenet-100", "imagenet")
    folder = root / "train"
    classes = _chosen(root, _wnids(folder), seed)
    kept, held = [], []
    for wnid in classes:
        files = [f"{wnid}/{file}" for file in picture_names(folder / wnid)]
        out = set(_first_by_hash(files, n=_tenth(folder / wnid, files), seed=seed))
        kept.append([file for file in files if file not in out])
        held.append([file for file in files if file in out])
    train, test = (
        FileSplit(folder=folder, names=found.names, y=found.y, size=size, view=view)
        for found in (in_turns(kept), in_turns(held))
    )
    _log.info("reading imagenet-100 from %s: %d + %d images", root, len(train), len(test))
    return FolderSet(
        name="imagenet-100",
        train=train,
        test=test,
        num_classes=_CLASSES,
        class_names=classes,
        published=_STATISTICS,
    )


def _find(name: str, data_dir: Path | None, *folders: str) -> Path:
    wanted = f"train in {', '.join(folders)} or itself, one folder per class"
    given = existing_folder(name, data_dir, holding=wanted)
    for root in (*(given / folder for folder in folders), given):
        if (root / "train").is_dir():
            return root
    raise MissingData(f"`data_dir` for {name} must hold {wanted}; {given} holds none.")


def _wnids(folder: Path) -> tuple[str, ...]:
    found = class_folders(folder)
    for name in found:
        if not re.fullmatch(r"n\d{8}", name):
            raise InputError(
                f"{folder} must hold folders named by WordNet id, such as n01440764; "
                f"it holds {name}. Other sets are read as image-folder."
            )
    return found


def _chosen(root: Path, wnids: tuple[str, ...], seed: int) -> tuple[str, ...]:
    path = root / _LIST
    if path.is_file():
        return _listed(path, wnids)
    if len(wnids) < _CLASSES:
        raise InputError(
            f"{root / 'train'} must hold at least {_CLASSES} classes; it holds {len(wnids)}."
        )
    return tuple(sorted(_first_by_hash(wnids, n=_CLASSES, seed=seed)))


def _listed(path: Path, wnids: tuple[str, ...]) -> tuple[str, ...]:
    """Take the classes of a list, sorted; only the first word of a line counts."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path} could not be read: {error.strerror}.") from error
    listed = [line.split()[0] for line in lines if line.strip()]
    unknown = [name for name in listed if name not in wnids]
    if unknown:
        raise InputError(
            f"{path} must name folders of {path.parent / 'train'}; {unknown[0]!r} is none."
        )
    if len(set(listed)) != _CLASSES or len(listed) != _CLASSES:
        raise InputError(
            f"{path} must name {_CLASSES} different classes, one a line; "
            f"it has {len(listed)} lines and {len(set(listed))} names."
        )
    return tuple(sorted(listed))


def _first_by_hash(names: tuple[str, ...] | list[str], *, n: int, seed: int) -> list[str]:
    """Choose n names at random, the same ones on every machine."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())[:n]


def _tenth(folder: Path, files: list[str]) -> int:
    if len(files) < 2:
        raise InputError(
            f"{folder} must hold at least two images, one to train and one to test on; "
            f"it holds {len(files)}."
        )
    return max(1, len(files) // 10)
