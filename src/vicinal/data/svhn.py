"""SVHN, the cropped street-view house numbers (Y. Netzer et al., 2011), from its MATLAB files.

`train_32x32.mat` and `test_32x32.mat` hold X (32, 32, 3, N) and y (N, 1), where the label 10 stands
for the digit 0. They lie in the folder given or in its folder `svhn`. The third file, 531,131
easier images ("extra"), belongs to no table of the papers and is not read.
"""

from __future__ import annotations

import importlib
import logging
import string
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal._checks import InputError
from vicinal.data.arrays import labels_from_array, split_from_arrays
from vicinal.data.image_set import ImageSet, Split
from vicinal.data.missing import MissingData, existing_folder
from vicinal.data.published import warn_of_size

__all__ = ["read_svhn"]

_log = logging.getLogger("vicinal")

_FILES = ("train_32x32.mat", "test_32x32.mat")


def read_svhn(data_dir: Path | None = None) -> ImageSet:
    """Read SVHN's cropped digits: 73,257 training and 26,032 test images, 3 channels of 32x32.

    Args:
        data_dir: The folder that holds train_32x32.mat and test_32x32.mat, or svhn with the two.

    Returns:
        The set, on the CPU.
    """
    folder = _find(data_dir)
    _log.info("reading svhn from %s", folder)
    train, test = (_split(folder / file) for file in _FILES)
    warn_of_size(folder, found=(len(train), len(test)), published=(73_257, 26_032))
    return ImageSet(
        name="svhn", train=train, test=test, num_classes=10, class_names=tuple(string.digits)
    )


def _find(data_dir: Path | None) -> Path:
    wanted = " and ".join(_FILES)
    given = existing_folder("svhn", data_dir, holding=wanted)
    for folder in (given, given / "svhn"):
        if any((folder / file).is_file() for file in _FILES):
            return folder
    raise MissingData(
        f"`data_dir` for svhn must hold {wanted}, or a folder svhn with the two; "
        f"{given} holds neither."
    )


def _split(path: Path) -> Split:
    content = _read_matlab(path)
    x, y = (_array(path, content, name) for name in ("X", "y"))
    if x.ndim != 4 or x.shape[:3] != (32, 32, 3):
        raise InputError(
            f"`X` of {path} must be images of shape (32, 32, 3, N); got {x.shape}. "
            "Is it SVHN's format 2, the cropped digits?"
        )
    # MATLAB counts from 1: the digit 0 is the tenth class, with the label 10.
    labels = labels_from_array(y, where=f"`y` of {path}").numpy()
    if labels.size and not (labels.min() >= 1 and labels.max() <= 10):
        worst = labels.min() if labels.min() < 1 else labels.max()
        raise InputError(
            f"`y` of {path} must lie in 1..10, where 10 stands for the digit 0; got {worst}."
        )
    where = (f"`X` of {path}", f"`y` of {path}")
    return split_from_arrays(x.transpose(3, 0, 1, 2), labels % 10, where=where, num_classes=10)


def _array(path: Path, content: dict[str, Any], name: str) -> NDArray[Any]:
    found = content.get(name)
    if not isinstance(found, np.ndarray):
        raise InputError(
            f"{path} must hold the arrays X and y; {name} is missing or unreadable. "
            "Download it again."
        )
    return found


def _read_matlab(path: Path) -> dict[str, Any]:
    # scipy comes with scikit-learn, which this package declares; by itself it is optional.
    matlab = importlib.import_module("scipy.io")
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            # A variable that cannot be read is a warning to scipy, and an error in `_array`.
            warnings.simplefilter("ignore")
            found: dict[str, Any] = matlab.loadmat(file, variable_names=("X", "y"))
            return found
    except NotImplementedError as error:
        raise InputError(
            f"{path} must be a MATLAB file of version 5, as published; it is of version 7.3 (HDF5)."
        ) from error
    except Exception as error:
        raise InputError(_diagnosis(path, error)) from error


def _diagnosis(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return (
            f"{path} is missing or unreadable although the other file of svhn is there; "
            "download it again."
        )
    return f"{path} is cut short, damaged or no MATLAB file ({error}). Download it again."
