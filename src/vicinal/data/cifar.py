"""CIFAR-10 and CIFAR-100 (A. Krizhevsky, 2009), from any of the three layouts found on disks.

Looked for in this order: the authors' Python archive unpacked (pickles), their binary archive
unpacked, one `.npz` with x_train, y_train, x_test, y_test. The first that exists is read, and if
it is incomplete or damaged that is an error, not a reason to try the next. CIFAR-100 has its fine
labels here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vicinal._checks import InputError, choice
from vicinal.data.cifar_pickle import read_pickle, uint8_array
from vicinal.data.image_set import ImageSet, Split
from vicinal.data.missing import MissingData, existing_folder
from vicinal.data.npz import read_archive
from vicinal.data.published import check_shape, warn_of_size

__all__ = ["Layout", "find_layout", "read_cifar10", "read_cifar100"]

_log = logging.getLogger("vicinal")

_PIXELS = 3 * 32 * 32


@dataclass(frozen=True, kw_only=True)
class _Published:
    """How the authors published one of the two sets."""

    num_classes: int
    class_names: tuple[str, ...] | None
    folders: dict[str, str]
    train: dict[str, tuple[str, ...]]
    test: dict[str, str]
    names: dict[str, str]
    label_key: bytes
    names_key: bytes
    label_bytes: int


_SETS = {
    "cifar10": _Published(
        num_classes=10,
        class_names=(
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        folders={"python": "cifar-10-batches-py", "binary": "cifar-10-batches-bin"},
        train={
            "python": tuple(f"data_batch_{k}" for k in range(1, 6)),
            "binary": tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
        },
        test={"python": "test_batch", "binary": "test_batch.bin"},
        names={"python": "batches.meta", "binary": "batches.meta.txt"},
        label_key=b"labels",
        names_key=b"label_names",
        label_bytes=1,
    ),
    "cifar100": _Published(
        num_classes=100,
        class_names=None,
        folders={"python": "cifar-100-python", "binary": "cifar-100-binary"},
        train={"python": ("train",), "binary": ("train.bin",)},
        test={"python": "test", "binary": "test.bin"},
        names={"python": "meta", "binary": "fine_label_names.txt"},
        label_key=b"fine_labels",
        names_key=b"fine_label_names",
        label_bytes=2,
    ),
}


class Layout(NamedTuple):
    """One of the three forms in which a set lies on a disk, and where."""

    kind: Literal["python", "binary", "npz"]
    path: Path


def read_cifar10(data_dir: Path | None = None) -> ImageSet:
    """Read CIFAR-10: 50,000 training and 10,000 test images, 3 channels of 32x32, 10 classes.

    Args:
        data_dir: The folder that holds cifar-10-batches-py, cifar-10-batches-bin or cifar10.npz.

    Returns:
        The set, on the CPU.
    """
    return _read("cifar10", data_dir)


def read_cifar100(data_dir: Path | None = None) -> ImageSet:
    """Read CIFAR-100 with its fine labels: 50,000 training and 10,000 test images, 100 classes.

    Args:
        data_dir: The folder that holds cifar-100-python, cifar-100-binary or cifar100.npz.

    Returns:
        The set, on the CPU.
    """
    return _read("cifar100", data_dir)


def find_layout(name: str, data_dir: Path | None) -> Layout:
    """Find which layout of a set a folder holds: python before binary before npz.

    Args:
        name: "cifar10" or "cifar100".
        data_dir: The folder to look in.

    Returns:
        The first layout that exists there.

    Raises:
        MissingData: If there is none.
    """
    choice("name", name, _SETS)
    folders = _SETS[name].folders
    wanted = f"{folders['python']}, {folders['binary']} or {name}.npz"
    folder = existing_folder(name, data_dir, holding=wanted)
    if (folder / folders["python"]).is_dir():
        return Layout("python", folder / folders["python"])
    if (folder / folders["binary"]).is_dir():
        return Layout("binary", folder / folders["binary"])
    if (folder / f"{name}.npz").is_file():
        return Layout("npz", folder / f"{name}.npz")
    inside = folder.name in folders.values()
    hint = f" Did you mean its parent, {folder.parent}?" if inside else ""
    raise MissingData(
        f"`data_dir` for {name} must hold {wanted}; {folder} holds none of the three.{hint}"
    )


def _read(name: str, data_dir: Path | None) -> ImageSet:
    layout, published = find_layout(name, data_dir), _SETS[name]
    _log.info("reading %s from its %s layout at %s", name, layout.kind, layout.path)
    if layout.kind == "npz":
        known = published.class_names
        found = read_archive(
            layout.path, name=name, num_classes=published.num_classes, class_names=known
        )
    else:
        found = ImageSet(
            name=name,
            train=_splits(published, layout, published.train[layout.kind]),
            test=_splits(published, layout, (published.test[layout.kind],)),
            num_classes=published.num_classes,
            class_names=_class_names(published, layout),
        )
    check_shape(found, layout.path, shape=(3, 32, 32))
    sizes = (len(found.train), len(found.test))
    warn_of_size(layout.path, found=sizes, published=(50_000, 10_000))
    return found


def _splits(published: _Published, layout: Layout, files: tuple[str, ...]) -> Split:
    parts = [_part(published, layout.kind, layout.path / file) for file in files]
    sizes = [len(y) for _, y in parts]
    if len(set(sizes)) > 1:
        small = files[sizes.index(min(sizes))]
        raise InputError(
            f"{layout.path / small} must hold as many images as the other batches, "
            f"{max(sizes)}; it holds {min(sizes)}. Unpack the archive again."
        )
    pixels = torch.from_numpy(np.concatenate([x for x, _ in parts]))
    labels = torch.tensor([label for _, y in parts for label in y])
    return Split(x=pixels.view(-1, 3, 32, 32), y=labels)


def _part(published: _Published, kind: str, path: Path) -> tuple[NDArray[np.uint8], list[int]]:
    """Read one file: pixels (N, 3072), channel after channel, and labels (N,)."""
    read = _pickled if kind == "python" else _binary
    x, y = read(published, path)
    top = published.num_classes - 1
    if len(y) != len(x) or not y:
        raise InputError(f"{path} must hold one label per image; got {len(y)} for {len(x)} images.")
    if min(y) < 0 or max(y) > top:
        worst = min(y) if min(y) < 0 else max(y)
        raise InputError(f"labels of {path} must lie in 0..{top}; got {worst}. Is it damaged?")
    return x, y


def _pickled(published: _Published, path: Path) -> tuple[NDArray[np.uint8], list[int]]:
    content = read_pickle(path)
    x = uint8_array(path, content, b"data")
    if x.ndim != 2 or x.shape[1] != _PIXELS:
        raise InputError(
            f"{path} must hold b'data' of shape (N, {_PIXELS}); got {x.shape}. Is it CIFAR?"
        )
    return x, _integers(path, content, published.label_key)


def _integers(path: Path, content: dict[bytes, Any], key: bytes) -> list[int]:
    found = content.get(key)
    if not isinstance(found, list) or not all(type(label) is int for label in found):
        raise InputError(f"{path} must hold a list of integers under the key {key!r}; it does not.")
    return found


def _binary(published: _Published, path: Path) -> tuple[NDArray[np.uint8], list[int]]:
    record = published.label_bytes + _PIXELS
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise InputError(
            f"{path} is missing or unreadable although its folder is there; "
            "unpack the archive again."
        ) from error
    if content.size == 0 or content.size % record:
        raise InputError(
            f"{path} must be a whole number of records of {record} bytes; "
            f"got {content.size} bytes. Unpack the archive again: it is cut short or another file."
        )
    rows = content.reshape(-1, record)
    return rows[:, published.label_bytes :], [
        int(label) for label in rows[:, published.label_bytes - 1]
    ]


def _class_names(published: _Published, layout: Layout) -> tuple[str, ...] | None:
    path = layout.path / published.names[layout.kind]
    if not path.is_file():
        return published.class_names
    names = _pickled_names(published, path) if layout.kind == "python" else _text_names(path)
    if len(names) != published.num_classes:
        raise InputError(
            f"{path} must name {published.num_classes} classes; it names {len(names)}. "
            "Unpack the archive again."
        )
    return names


def _pickled_names(published: _Published, path: Path) -> tuple[str, ...]:
    found = read_pickle(path).get(published.names_key)
    if not isinstance(found, list) or not all(isinstance(name, bytes) for name in found):
        raise InputError(
            f"{path} must hold a list of names under the key {published.names_key!r}; it does not."
        )
    return tuple(name.decode("utf-8", errors="replace") for name in found)


def _text_names(path: Path) -> tuple[str, ...]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return tuple(line.strip() for line in lines if line.strip())
