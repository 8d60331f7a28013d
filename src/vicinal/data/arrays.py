"""From NumPy arrays of a file to a split; each sentence names the file and the array in it.

Images come as uint8, channels last or grey, and become (N, C, H, W); labels as integers of any
width, (N,) or (N, 1), and become int64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vicinal._checks import InputError
from vicinal.data.image_set import Split

__all__ = ["images_from_array", "labels_from_array", "split_from_arrays"]


def split_from_arrays(
    x: NDArray[Any], y: NDArray[Any], *, where: tuple[str, str], num_classes: int | None = None
) -> Split:
    """Make a split of two arrays that a file held.

    Args:
        x: Images, uint8, (N, H, W, C) or (N, H, W).
        y: Labels, integer, (N,) or (N, 1).
        where: What to call the two arrays in an error: file and array.
        num_classes: K, where it is known.

    Returns:
        The split.

    Raises:
        InputError: If an array is not as said, or they differ in length.
    """
    images, labels = images_from_array(x, where=where[0]), labels_from_array(y, where=where[1])
    if len(images) != len(labels):
        raise InputError(
            f"{where[1]} must hold one label per image; "
            f"got {len(labels)} labels for {len(images)} images."
        )
    _in_range(labels, num_classes=num_classes, where=where[1])
    return Split(x=images, y=labels)


def images_from_array(x: NDArray[Any], *, where: str) -> Tensor:
    """Turn an array of images into a tensor.

    Args:
        x: Images, uint8, (N, H, W, C) or grey (N, H, W).
        where: What to call the array in an error.

    Returns:
        Images (N, C, H, W), uint8, contiguous, in memory of their own.

    Raises:
        InputError: If dtype or shape are off.

    Example:
        >>> images_from_array(np.zeros((2, 8, 8), np.uint8), where="x_train").shape
        torch.Size([2, 1, 8, 8])
    """
    if x.dtype != np.uint8:
        raise InputError(f"{where} must be uint8 images; got {x.dtype}{_values(x)}")
    if x.ndim not in {3, 4} or x.size == 0:
        raise InputError(
            f"{where} must be images of shape (N, H, W, C) or (N, H, W), N >= 1; got {x.shape}."
        )
    if x.ndim == 3:
        return torch.from_numpy(np.array(x[:, None]))
    if x.shape[1] in {1, 3} and x.shape[3] > 4:
        raise InputError(
            f"{where} must have its channels last; got shape {x.shape}. "
            "Did you mean x.transpose(0, 2, 3, 1)?"
        )
    return torch.from_numpy(np.array(x.transpose(0, 3, 1, 2), order="C"))


def _values(x: NDArray[Any]) -> str:
    """End a sentence with the range of the values and, where it tells one, the likely fix."""
    if x.dtype.kind != "f" or x.size == 0:
        return "."
    low, high = float(x.min()), float(x.max())
    fix = " Did you mean (255 * x).round().astype('uint8')?" if 0 <= low <= high <= 1 else ""
    return f" with values in [{low:g}, {high:g}].{fix}"


def labels_from_array(y: NDArray[Any], *, where: str) -> Tensor:
    """Turn an array of labels into a tensor.

    Args:
        y: Labels, any integer dtype, (N,) or (N, 1).
        where: What to call the array in an error.

    Returns:
        Labels (N,), int64.

    Raises:
        InputError: If dtype or shape are off.
    """
    if y.dtype.kind not in "iu":
        raise InputError(f"{where} must be integer labels; got {y.dtype}.")
    if y.ndim not in {1, 2} or y.shape[1:] not in {(), (1,)}:
        raise InputError(f"{where} must be labels of shape (N,) or (N, 1); got {y.shape}.")
    return torch.from_numpy(np.array(y.reshape(-1), dtype=np.int64))


def _in_range(y: Tensor, *, num_classes: int | None, where: str) -> None:
    low, high = (int(value) for value in torch.aminmax(y))
    if low < 0:
        raise InputError(f"{where} must hold classes 0, 1, 2, ...; got {low}.")
    if num_classes is not None and high >= num_classes:
        hint = " Do your labels start at 1?" if low == 1 and high == num_classes else ""
        raise InputError(f"{where} must hold classes in 0..{num_classes - 1}; got {high}.{hint}")
