"""Reading the pickled batches of CIFAR without running anything that they say.

A pickle is a program: an ordinary unpickler calls whatever function it names. The published files
need four names, those of a NumPy array written by Python 2 or 3, and all four are answered here by
stand-ins that only keep bytes; NumPy's own constructors are never called. Every other name is
refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal._checks import InputError

__all__ = ["read_pickle", "uint8_array"]


class _Refused(Exception):
    """The pickle asks for something that the published files never ask for."""


class _Dtype:
    """Stands for numpy.dtype, of which the files need unsigned bytes only."""

    def __init__(self, code: object, *rest: object) -> None:
        if code not in {"u1", b"u1"}:
            raise _Refused(f"holds an array of dtype {code!r} where uint8 is needed")

    def __setstate__(self, state: object) -> None:
        """Ignore byte order and the like: a byte has none."""


class _Array:
    """Stands for numpy.ndarray and for the function that makes an empty one."""

    values: NDArray[np.uint8] | None = None

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: tuple[Any, tuple[int, ...], _Dtype, bool, bytes]) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
            raise _Refused("holds an array that is not made of bytes")
        self.values = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> object:
        match module, name:
            case (("numpy.core.multiarray" | "numpy._core.multiarray"), "_reconstruct"):
                return _Array
            case "numpy", "ndarray":
                return _Array
            case "numpy", "dtype":
                return _Dtype
            case "_codecs", "encode":
                return _latin1()
        raise _Refused(
            f"asks to run {module}.{name}, which the published file does not; nothing was run"
        )


def _latin1() -> Callable[[str, str], bytes]:
    # Made anew each time: a pickle can set attributes on what it is given.
    def encode(text: str, encoding: str) -> bytes:
        if encoding not in {"latin1", b"latin1"}:
            raise _Refused(f"asks for the codec {encoding!r} where latin1 is needed")
        return text.encode("latin1")

    return encode


def read_pickle(path: Path) -> dict[bytes, Any]:
    """Read a pickled dictionary with byte keys, as Python 2 wrote it, running none of its code.

    Args:
        path: The file.

    Returns:
        The dictionary; arrays in it are read with `uint8_array`.

    Raises:
        InputError: If the file is missing, cut short or damaged, holds no dictionary, or asks for
            anything but bytes in arrays.
    """
    try:
        with path.open("rb") as file:
            content = _Unpickler(file, encoding="bytes").load()
            rest = file.read(1)
    except OSError as error:
        raise InputError(
            f"{path} is missing or unreadable although its folder is there; "
            "unpack the archive again."
        ) from error
    except _Refused as error:
        raise InputError(f"{path} {error}. Download the archive again from its authors.") from error
    except Exception as error:
        raise InputError(
            f"{path} is cut short or damaged ({error}). Unpack the archive again."
        ) from error
    if not isinstance(content, dict) or rest:
        raise InputError(
            f"{path} must hold one pickled dictionary and nothing after it. "
            "Unpack the archive again."
        )
    return content


def uint8_array(path: Path, content: dict[bytes, Any], key: bytes) -> NDArray[np.uint8]:
    """Take an array out of what a pickle held.

    Args:
        path: The file it came from, for an error.
        content: The dictionary.
        key: The array's key.

    Returns:
        The array, read-only.

    Raises:
        InputError: If there is no array under the key.
    """
    found = content.get(key)
    if not isinstance(found, _Array) or found.values is None:
        raise InputError(f"{path} must hold a uint8 array under the key {key!r}; it does not.")
    return found.values
