"""MNIST (Y. LeCun et al., 1998) and Fashion-MNIST (H. Xiao et al., 2017) from their IDX files.

Both sets consist of four files of the same names (`train-images-idx3-ubyte` and so on, each plain
or as .gz, with a dot before idx or a hyphen), so each needs a folder of its own: `mnist` or
`fashion-mnist` below the folder given, torchvision's `MNIST/raw` or `FashionMNIST/raw`, or the
folder given itself. Where all images are there, the counts of the classes tell the two apart.

An IDX file of unsigned bytes is two zeros, 8, the number of axes, their sizes as big-endian 32-bit
integers, and the bytes.
"""

from __future__ import annotations

import gzip
import logging
import math
import string
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vicinal._checks import InputError
from vicinal.data.arrays import split_from_arrays
from vicinal.data.image_set import ImageSet, Split
from vicinal.data.missing import MissingData, existing_folder
from vicinal.data.published import check_shape, warn_of_size

__all__ = ["read_fashion_mnist", "read_idx", "read_mnist"]

_log = logging.getLogger("vicinal")

_FOLDERS = {
    "mnist": ("mnist", "MNIST/raw"),
    "fashion-mnist": ("fashion-mnist", "FashionMNIST/raw"),
}

_NAMES = {
    "mnist": tuple(string.digits),
    "fashion-mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
}

_TRAINING_IMAGES_OF_A_CLASS = {
    "mnist": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "fashion-mnist": [6000] * 10,
}


def read_mnist(data_dir: Path | None = None) -> ImageSet:
    """Read MNIST: 60,000 training and 10,000 test images, one channel of 28x28, 10 digits.

    Args:
        data_dir: The folder that holds the four IDX files, or mnist or MNIST/raw with them.

    Returns:
        The set, on the CPU.
    """
    return _read("mnist", data_dir)


def read_fashion_mnist(data_dir: Path | None = None) -> ImageSet:
    """Read Fashion-MNIST: 60,000 training and 10,000 test images, one channel of 28x28.

    Args:
        data_dir: The folder that holds the four IDX files, or fashion-mnist or FashionMNIST/raw
            with them.

    Returns:
        The set, on the CPU.
    """
    return _read("fashion-mnist", data_dir)


def _read(name: str, data_dir: Path | None) -> ImageSet:
    folder = _find(name, data_dir)
    _log.info("reading %s from %s", name, folder)
    train, test = _split(folder, "train"), _split(folder, "t10k")
    found = ImageSet(name=name, train=train, test=test, num_classes=10, class_names=_NAMES[name])
    check_shape(found, folder, shape=(1, 28, 28))
    _check_which(found, folder)
    warn_of_size(folder, found=(len(train), len(test)), published=(60_000, 10_000))
    return found


def _find(name: str, data_dir: Path | None) -> Path:
    first, second = _FOLDERS[name]
    wanted = f"train-images-idx3-ubyte and its three companions in {first}, {second} or itself"
    given = existing_folder(name, data_dir, holding=wanted)
    for folder in (given / first, given / second, given):
        if any(_spelt(folder, part, kind) for part in ("train", "t10k") for kind in _AXES):
            return folder
    raise MissingData(f"`data_dir` for {name} must hold {wanted}; {given} holds none of them.")


def _check_which(found: ImageSet, folder: Path) -> None:
    counts = found.train.y.bincount(minlength=10).tolist()
    for name, published in _TRAINING_IMAGES_OF_A_CLASS.items():
        if counts == published and name != found.name:
            raise InputError(
                f"{folder} must hold {found.name}; its labels are those of {name}. "
                "Give each of the two a folder of its own."
            )


_AXES = {"images": 3, "labels": 1}


def _spelt(folder: Path, part: str, kind: str) -> Path | None:
    """Find a file under whichever of its four names it has."""
    form = f"idx{_AXES[kind]}-ubyte"
    stems = (f"{part}-{kind}-{form}", f"{part}-{kind}.{form}")
    paths = (folder / f"{stem}{end}" for end in ("", ".gz") for stem in stems)
    return next((path for path in paths if path.is_file()), None)


def _split(folder: Path, part: str) -> Split:
    paths = []
    for kind in _AXES:
        path = _spelt(folder, part, kind)
        if path is None:
            raise InputError(
                f"{folder} must hold {part}-{kind}-idx{_AXES[kind]}-ubyte, plain or as .gz, "
                "beside its companions; it is missing. Download it again."
            )
        paths.append(path)
    arrays = [read_idx(path, axes=axes) for path, axes in zip(paths, _AXES.values(), strict=True)]
    where = (f"the array of {paths[0]}", f"the array of {paths[1]}")
    return split_from_arrays(arrays[0], arrays[1], where=where, num_classes=10)


def read_idx(path: Path, *, axes: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Args:
        path: The file, plain or (named .gz) compressed by gzip.
        axes: How many axes its array must have.

    Returns:
        The array, read-only.

    Raises:
        InputError: If the file is unreadable, cut short, longer than its header says, or holds
            anything but bytes of that many axes.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "train-labels-idx1-ubyte"
        ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 5]))
        ...     read_idx(path, axes=1)
        array([7, 5], dtype=uint8)
    """
    content = _content(path)
    magic, start = bytes([0, 0, 8, axes]), 4 + 4 * axes
    if content[:4] != magic or len(content) < start:
        raise InputError(
            f"{path} must be an IDX file of unsigned bytes with {axes} axes, which starts with "
            f"{magic.hex(' ')}; it starts with {content[:4].hex(' ') or 'nothing'}."
        )
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">u4"))
    wanted, there = math.prod(shape), len(content) - start
    if there != wanted:
        raise InputError(
            f"{path} must hold {wanted} bytes after its header, which says {shape}; "
            f"it holds {there}. It is cut short or damaged: download it again."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                return file.read()
        return path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is cut short or damaged ({error}). Download it again.") from error
    except OSError as error:
        raise InputError(f"{path} could not be read: {error.strerror}.") from error
