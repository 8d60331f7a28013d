"""CIFAR-10-C and CIFAR-100-C (Hendrycks & Dietterich 2019): one .npy file per corruption.

The layout of the published archives, and of any set made in their manner: `<corruption>.npy`, uint8
(5 n, 32, 32, 3), severity after severity, each the whole test set in its usual order, and one
`labels.npy` with all labels, again five times. Files are mapped, not read: a part copies its own
rows alone. Nothing pickled is ever loaded.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal._checks import InputError, choice
from vicinal.data.arrays import split_from_arrays
from vicinal.data.corrupted_set import CorruptedSet
from vicinal.data.image_set import Split
from vicinal.data.missing import MissingData, existing_folder

__all__ = [
    "check_array_shape",
    "mapped_array",
    "read_cifar10_c",
    "read_cifar100_c",
    "read_corrupted_arrays",
]

_log = logging.getLogger("vicinal")

LABELS = "labels.npy"
SEVERITIES = (1, 2, 3, 4, 5)
_PUBLISHED = 10_000
_SHAPE = (32, 32, 3)


def read_cifar10_c(data_dir: Path | None = None) -> CorruptedSet:
    """Read CIFAR-10-C: 10,000 test images of 32x32 under 19 corruptions of 5 severities.

    Args:
        data_dir: The folder that holds CIFAR-10-C, or that folder itself.

    Returns:
        The set; its files are mapped.
    """
    return _read("cifar10-c", "CIFAR-10-C", data_dir, num_classes=10)


def read_cifar100_c(data_dir: Path | None = None) -> CorruptedSet:
    """Read CIFAR-100-C: 10,000 test images of 32x32 under 19 corruptions, 100 classes.

    Args:
        data_dir: The folder that holds CIFAR-100-C, or that folder itself.

    Returns:
        The set; its files are mapped.
    """
    return _read("cifar100-c", "CIFAR-100-C", data_dir, num_classes=100)


def _read(name: str, folder: str, data_dir: Path | None, *, num_classes: int) -> CorruptedSet:
    wanted = f"{folder} with labels.npy and a .npy file per corruption"
    given = existing_folder(name, data_dir, holding=wanted)
    roots = [root for root in (given / folder, given) if (root / LABELS).is_file()]
    if not roots:
        raise MissingData(f"`data_dir` for {name} must hold {wanted}; {given} holds none.")
    return read_corrupted_arrays(roots[0], name=name, num_classes=num_classes, shape=_SHAPE)


def read_corrupted_arrays(
    root: Path, *, name: str, num_classes: int, shape: tuple[int, int, int] | None = None
) -> CorruptedSet:
    """Read any folder in the layout of CIFAR-10-C.

    Args:
        root: The folder that holds labels.npy.
        name: What the set is called.
        num_classes: K.
        shape: The (H, W, C) that images must have; any when not given.

    Returns:
        The set, with the corruptions whose files are there; the files are mapped.

    Raises:
        InputError: If it holds no corruption, or its labels are not five equal runs.
    """
    names = _corruptions(root)
    if not names:
        raise InputError(f"{root} must hold a .npy file per corruption; it holds {LABELS} alone.")
    labels = mapped_array(root / LABELS)
    n, left = divmod(len(labels), len(SEVERITIES)) if labels.ndim else (0, 0)
    if n == 0 or left or any(not np.array_equal(labels[:n], run) for run in _runs(labels, n)):
        raise InputError(
            f"{root / LABELS} must hold the labels of the test set five times, once for each "
            f"severity; got shape {labels.shape}, whose fifths differ or are empty."
        )
    if n != _PUBLISHED:
        _log.warning("%s has %d images per severity; the published set has 10000", root, n)
    return CorruptedSet(
        name=name,
        corruptions=names,
        severities=SEVERITIES,
        num_classes=num_classes,
        read=partial(_part, root, num_classes, shape),
    )


def _corruptions(root: Path) -> tuple[str, ...]:
    # Archives packed on a Mac hold a ._fog.npy beside fog.npy.
    names = (path.name for path in root.glob("*.npy") if path.name != LABELS)
    return tuple(sorted(name.removesuffix(".npy") for name in names if name[0] != "."))


def _runs(labels: NDArray[Any], n: int) -> list[NDArray[Any]]:
    return [labels[start : start + n] for start in range(0, len(labels), n)]


def _part(
    root: Path,
    num_classes: int,
    shape: tuple[int, int, int] | None,
    corruption: str,
    severity: int,
) -> Split:
    path = root / f"{choice('corruption', corruption, _corruptions(root))}.npy"
    images, labels = mapped_array(path), mapped_array(root / LABELS)
    if images.ndim == 0 or len(images) != len(labels):
        raise InputError(
            f"{path} must hold one image for each of the {len(labels)} labels of {LABELS}, "
            f"severity after severity; got shape {images.shape}."
        )
    if shape is not None:
        check_array_shape(images, path, shape=shape)
    n = len(labels) // len(SEVERITIES)
    rows = slice((severity - 1) * n, severity * n)
    where = (str(path), str(root / LABELS))
    return split_from_arrays(images[rows], labels[rows], where=where, num_classes=num_classes)


def check_array_shape(images: NDArray[Any], path: Path, *, shape: tuple[int, int, int]) -> None:
    """Check that the images of an array have the published shape.

    Args:
        images: The array, (N, H, W, C).
        path: Where it was read.
        shape: The published (H, W, C).

    Raises:
        InputError: If they have another.
    """
    # Channels in the wrong place have a sentence of their own, when the array is read.
    if sorted(images.shape[1:]) != sorted(shape):
        height, width, channels = shape
        raise InputError(
            f"{path} must hold images of {height}x{width} pixels and {channels} channels; "
            f"got shape {images.shape}. Is it another set?"
        )


def mapped_array(path: Path) -> NDArray[Any]:
    """Map a .npy file; rows are read when they are used, and nothing is unpickled.

    Args:
        path: The file.

    Returns:
        Its array, read-only.

    Raises:
        InputError: If it is missing, damaged, or holds objects.
    """
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        raise InputError(_diagnosis(path, error)) from error
    if isinstance(found, np.ndarray):
        return found
    raise InputError(f"{path} must be one NumPy .npy array; it is an archive of several.")


def _diagnosis(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{path} could not be read: {error.strerror}."
    return f"{path} is cut short, damaged or no plain NumPy .npy array. Copy or download it again."
