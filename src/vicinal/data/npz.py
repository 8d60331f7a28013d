"""Any set of images as one NumPy archive: x_train, y_train, x_test, y_test.

The layout of Keras's data sets and MedMNIST-like archives: images uint8, channels last (N, H, W, C)
or grey (N, H, W); labels of any integer dtype, (N,) or (N, 1); further keys are left alone. Nothing
pickled is ever loaded.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal._checks import InputError
from vicinal.data.arrays import split_from_arrays
from vicinal.data.image_set import ImageSet, Split
from vicinal.data.missing import MissingData, existing_folder

__all__ = ["find_npz", "read_archive", "read_npz"]

_KEYS = ("x_train", "y_train", "x_test", "y_test")


def read_npz(data_dir: Path | None = None) -> ImageSet:
    """Read the set of an .npz archive; it takes its name from the file.

    Args:
        data_dir: The archive itself, or a folder that holds exactly one.

    Returns:
        The set, on the CPU, with as many classes as the largest label asks for.
    """
    path = find_npz(data_dir)
    return read_archive(path, name=path.stem)


def find_npz(data_dir: Path | None) -> Path:
    """Find the archive that is meant.

    Args:
        data_dir: The archive itself, or a folder that holds exactly one.

    Returns:
        The archive's path.

    Raises:
        MissingData: If there is none.
        InputError: If the folder holds several.
    """
    if data_dir is not None and Path(data_dir).is_file():
        return Path(data_dir)
    folder = existing_folder("npz", data_dir, holding="one .npz file (or be that file)")
    found = sorted(folder.glob("*.npz"))
    if not found:
        raise MissingData(
            f"`data_dir` for npz must be an .npz file or a folder that holds one; "
            f"{folder} holds none."
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(
            f"`data_dir` for npz must be an .npz file or a folder that holds exactly one; "
            f"{folder} holds {names}. Name the file itself."
        )
    return found[0]


def read_archive(
    path: Path,
    *,
    name: str,
    num_classes: int | None = None,
    class_names: tuple[str, ...] | None = None,
) -> ImageSet:
    """Read one archive.

    Args:
        path: The .npz file.
        name: What the set is called.
        num_classes: K; when not given, one more than the largest label.
        class_names: The classes' names, where they are known.

    Returns:
        The set, on the CPU.
    """
    arrays = _arrays(path)
    splits = {
        part: split_from_arrays(
            arrays[f"x_{part}"],
            arrays[f"y_{part}"],
            where=(f"`x_{part}` of {path}", f"`y_{part}` of {path}"),
            num_classes=num_classes,
        )
        for part in ("train", "test")
    }
    return ImageSet(
        name=name,
        train=splits["train"],
        test=splits["test"],
        num_classes=num_classes or _count_classes(path, splits),
        class_names=class_names,
    )


def _count_classes(path: Path, splits: dict[str, Split]) -> int:
    """Take the largest label for the last class, unless it cannot be a class at all."""
    largest = max(int(split.y.max()) for split in splits.values())
    images = len(splits["train"])
    if largest > max(images, 2) - 1:
        raise InputError(
            f"labels of {path} must be classes 0, 1, 2, ..., at most one per training image; "
            f"got {largest} among {images} training images. Are they values rather than classes?"
        )
    smallest = min(int(split.y.min()) for split in splits.values())
    if smallest > 0:
        raise InputError(
            f"labels of {path} must be classes 0, 1, 2, ...; got {smallest} to {largest}, and no "
            "image of class 0 in either split. Do your labels start at 1?"
        )
    return max(largest + 1, 2)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            _all_keys(path, set(archive.files))
            return {key: archive[key] for key in _KEYS}
    except InputError:
        raise
    except Exception as error:
        raise InputError(_diagnosis(path, error)) from error


def _all_keys(path: Path, keys: set[str]) -> None:
    lacking = [key for key in _KEYS if key not in keys]
    if lacking:
        raise InputError(
            f"{path} must hold the arrays x_train, y_train, x_test, y_test; "
            f"it lacks {', '.join(lacking)} and holds {', '.join(sorted(keys)) or 'nothing'}."
        )


def _diagnosis(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"{path} could not be read: {error.strerror}."
    if "Object arrays" in str(error):
        return (
            f"{path} must hold plain arrays; it has an object array, which would have to be "
            "unpickled. Save it anew with numeric dtypes."
        )
    if isinstance(error, (zipfile.BadZipFile, zlib.error, EOFError)) or zipfile.is_zipfile(path):
        return f"{path} is cut short or damaged ({error}). Copy or download it again."
    return f"{path} must be a NumPy .npz archive; it cannot be read as one. Write it with np.savez."
