"""Published test sets whose images come from elsewhere: CIFAR-10.1, ImageNet-R, -A, -Sketch, -V2.

CIFAR-10.1 (Recht et al. 2018) is two .npy files. The others are folders of pictures, one folder per
class: named by WordNet id, of which ImageNet-R and ImageNet-A (Hendrycks et al. 2021) have 200 and
ImageNet-Sketch (Wang et al. 2019) all 1,000, or, in ImageNet-V2 (Recht et al. 2019), by the class's
*number*, which sorted as text would give wrong labels.

A model is judged among the classes that a set has: `outputs` are their positions among the model's
outputs, and labels are positions in `outputs`. `evaluation.restricted(model, outputs)` is the model
with those outputs alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vicinal._checks import InputError, choice
from vicinal.data.arrays import split_from_arrays
from vicinal.data.cifar_c import check_array_shape, mapped_array
from vicinal.data.class_folders import class_folders, list_pictures
from vicinal.data.corrupted_set import Part
from vicinal.data.folder_set import FileSplit
from vicinal.data.imagenet_classes import WNIDS
from vicinal.data.missing import MissingData, existing_folder
from vicinal.data.views import View

__all__ = ["ShiftedSet", "read_cifar10_1", "read_imagenet_variant", "read_shifted_folders"]

_log = logging.getLogger("vicinal")

_FOLDERS = {
    "imagenet-r": ("imagenet-r", "ImageNet-R"),
    "imagenet-a": ("imagenet-a", "ImageNet-A"),
    "imagenet-sketch": ("sketch", "imagenet-sketch", "ImageNet-Sketch"),
    "imagenet-v2": (
        "imagenetv2-matched-frequency-format-val",
        "imagenetv2-threshold0.7-format-val",
        "imagenetv2-top-images-format-val",
        "imagenet-v2",
        "ImageNetV2",
    ),
}

_CLASSES = {"imagenet-r": 200, "imagenet-a": 200, "imagenet-sketch": 1000, "imagenet-v2": 1000}


@dataclass(frozen=True, kw_only=True, eq=False)
class ShiftedSet:
    """Test images from elsewhere, and which of a model's outputs they are about.

    Args:
        name: Its name in records and reports.
        test: The images; a label is a position in `outputs`.
        outputs: The positions of the set's classes among the model's outputs.
        class_names: The names of the set's classes, in the order of the labels.
    """

    name: str
    test: Part
    outputs: tuple[int, ...]
    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """How many classes the set has."""
        return len(self.outputs)


def read_cifar10_1(data_dir: Path | None = None, *, version: str = "v6") -> ShiftedSet:
    """Read CIFAR-10.1: about 2,000 new test images for CIFAR-10.

    Args:
        data_dir: The folder that holds cifar10.1_<version>_data.npy and cifar10.1_<version>_labels
            .npy, or CIFAR-10.1 or datasets with the two.
        version: "v6", balanced over the classes, or "v4".

    Returns:
        The set, in memory.

    Raises:
        MissingData: If the files are not there.
    """
    stem = f"cifar10.1_{choice('version', version, ('v4', 'v6'))}"
    wanted = f"{stem}_data.npy and {stem}_labels.npy"
    given = existing_folder("cifar10.1", data_dir, holding=wanted)
    for root in (given, given / "CIFAR-10.1", given / "cifar10.1", given / "datasets"):
        images, labels = root / f"{stem}_data.npy", root / f"{stem}_labels.npy"
        if images.is_file() and labels.is_file():
            where = (str(images), str(labels))
            arrays = mapped_array(images), mapped_array(labels)
            check_array_shape(arrays[0], images, shape=(32, 32, 3))
            split = split_from_arrays(*arrays, where=where, num_classes=10)
            names = tuple(str(k) for k in range(10))
            return ShiftedSet(
                name="cifar10.1", test=split, outputs=tuple(range(10)), class_names=names
            )
    raise MissingData(f"`data_dir` for cifar10.1 must hold {wanted}; {given} holds none.")


def read_imagenet_variant(
    name: str,
    data_dir: Path | None = None,
    *,
    classes: Sequence[str] = WNIDS,
    size: int = 224,
    view: View = "cropped",
) -> ShiftedSet:
    """Read ImageNet-R, ImageNet-A, ImageNet-Sketch or ImageNet-V2, as streamed folders.

    Args:
        name: "imagenet-r", "imagenet-a", "imagenet-sketch" or "imagenet-v2".
        data_dir: The folder that holds the set's folder as it is published, or that folder itself.
        classes: The model's classes by WordNet id, in the order of its outputs; by default all
            1,000 of ImageNet. Of a set's other classes no image is taken.
        size: Pixels of the sides of what a model sees.
        view: "resized" or "cropped".

    Returns:
        The set, its images on the disk.

    Raises:
        MissingData: If there is no such folder.
    """
    folders = _FOLDERS[choice("name", name, _FOLDERS)]
    wanted = f"{folders[0]} with one folder per class"
    given = existing_folder(name, data_dir, holding=wanted)
    root = next((given / folder for folder in folders if (given / folder).is_dir()), given)
    if not any(inner.is_dir() for inner in root.iterdir()):
        raise MissingData(f"`data_dir` for {name} must hold {wanted}; {given} holds none.")
    found = read_shifted_folders(
        root, name=name, classes=classes, size=size, view=view, numbered=name == "imagenet-v2"
    )
    _warn_of_gaps(root, len(class_folders(root)), published=_CLASSES[name])
    return found


def _warn_of_gaps(root: Path, found: int, *, published: int) -> None:
    # Among fewer classes a model is right more often.
    if found != published:
        _log.warning("%s has %d classes; the published set has %d", root, found, published)


def read_shifted_folders(
    root: Path,
    *,
    name: str,
    classes: Sequence[str],
    size: int,
    view: View,
    numbered: bool = False,
) -> ShiftedSet:
    """Read a folder with one folder per class, some or all of the model's, without decoding it.

    Args:
        root: The folder.
        name: What the set is called.
        classes: The model's classes in the order of its outputs.
        size: Pixels of the sides of what a model sees.
        view: "resized" or "cropped".
        numbered: Whether folders are named by the class's number in ImageNet instead.

    Returns:
        The set, its images on the disk.

    Raises:
        InputError: If a folder's name is no class, two are one class, or none is of the model's.
    """
    class_of = {folder: _class_of(root, folder, numbered) for folder in class_folders(root)}
    _check_once(root, class_of)
    outputs = {known: place for place, known in enumerate(classes)}
    kept = sorted((outputs[c], folder) for folder, c in class_of.items() if c in outputs)
    if not kept:
        raise InputError(
            f"{root} must hold some of the model's classes, such as {classes[0]}; its folders are "
            f"of others, such as {next(iter(class_of.values()))}."
        )
    folders = [folder for _, folder in kept]
    found = list_pictures(root, folders)
    test = FileSplit(folder=root, names=found.names, y=found.y, size=size, view=view)
    return ShiftedSet(
        name=name,
        test=test,
        outputs=tuple(place for place, _ in kept),
        class_names=tuple(class_of[folder] for folder in folders),
    )


def _check_once(root: Path, class_of: dict[str, str]) -> None:
    """Check that no two folders are one class, such as 7 and 007."""
    first: dict[str, str] = {}
    for folder, name in class_of.items():
        if first.setdefault(name, folder) != folder:
            raise InputError(
                f"{root} must hold one folder per class; {first[name]} and {folder} are both "
                f"{name}. Unpack the archive again?"
            )


def _class_of(root: Path, folder: str, numbered: bool) -> str:
    if not numbered:
        return folder
    if not folder.isdecimal() or int(folder) >= len(WNIDS):
        raise InputError(
            f"{root} must hold folders named by a class's number, 0 to {len(WNIDS) - 1}; "
            f"it holds {folder}."
        )
    return WNIDS[int(folder)]
