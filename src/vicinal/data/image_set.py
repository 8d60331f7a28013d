"""What a data set is here: two splits of uint8 images with classes, held as whole tensors.

The sets of the papers fit in memory many times over as bytes; they become floats batch by batch
(`loader.py`). What is *not* here: reading files (one file per layout) and augmentation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from vicinal._checks import InputError, count

__all__ = ["ImageSet", "Split", "Statistics", "channel_statistics"]

Statistics: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of every channel, in units of [0, 1]."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Split:
    """Images and their classes: the training or the test part of a set, or a subset of one.

    Args:
        x: Images (N, C, H, W), uint8.
        y: Classes (N,), int64, none negative.

    Raises:
        InputError: If shapes, dtypes, devices or labels are off.

    Example:
        >>> Split(x=torch.zeros(2, 3, 8, 8, dtype=torch.uint8), y=torch.tensor([0, 1]))
        Split(2 images of 3x8x8 on cpu)
    """

    x: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        if self.x.ndim != 4 or self.x.dtype != torch.uint8 or self.x.numel() == 0:
            raise InputError(
                "`x` of a split must be uint8 images of shape (N, C, H, W), N >= 1; "
                f"got {self.x.dtype} of shape {tuple(self.x.shape)}."
            )
        n = self.x.shape[0]
        if self.y.shape != (n,) or self.y.dtype != torch.int64:
            raise InputError(
                f"`y` of a split must be int64 classes of shape ({n},), one per image; "
                f"got {self.y.dtype} of shape {tuple(self.y.shape)}."
            )
        if self.x.device != self.y.device:
            raise InputError(
                "`x` and `y` of a split must lie on one device; "
                f"got {self.x.device} and {self.y.device}. Did you mean split.to(device)?"
            )
        if int(self.y.min()) < 0:
            raise InputError(
                f"`y` of a split must hold classes 0, 1, 2, ...; got {int(self.y.min())}."
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return self.x.shape[0]

    def __getitem__(self, rows: slice | Tensor) -> Split:
        """Return some of the images: a slice, which shares memory, or indices (M,) int64."""
        return Split(x=self.x[rows], y=self.y[rows])

    def __repr__(self) -> str:
        shape = "x".join(str(size) for size in self.x.shape[1:])
        return f"Split({len(self)} images of {shape} on {self.x.device})"

    def to(self, device: torch.device) -> Split:
        """Return the split on a device; nothing is copied if it lies there.

        Args:
            device: Where it shall lie.

        Returns:
            The split there.
        """
        return Split(x=self.x.to(device), y=self.y.to(device))


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """A data set with its published split into training and test images.

    Args:
        name: Its name in records and reports.
        train: The training images.
        test: The test images, of the same shape.
        num_classes: K; labels lie in 0..K-1.
        class_names: K names in the order of the labels, where they are known.

    Raises:
        InputError: If the two splits do not fit each other or the classes.

    Example:
        >>> part = Split(x=torch.zeros(2, 1, 8, 8, dtype=torch.uint8), y=torch.tensor([0, 2]))
        >>> ImageSet(name="toy", train=part, test=part, num_classes=2)
        Traceback (most recent call last):
        vicinal._errors.InputError: labels of the train split of toy must lie in 0..1; got 2.
    """

    name: str
    train: Split
    test: Split
    num_classes: int
    class_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        count("num_classes", self.num_classes, low=2)
        if self.train.x.shape[1:] != self.test.x.shape[1:]:
            raise InputError(
                f"the images of {self.name} must have one shape (C, H, W) in both splits; "
                f"got {tuple(self.train.x.shape[1:])} and {tuple(self.test.x.shape[1:])}."
            )
        for part, split in (("train", self.train), ("test", self.test)):
            top = int(split.y.max())
            if top >= self.num_classes:
                raise InputError(
                    f"labels of the {part} split of {self.name} must lie in "
                    f"0..{self.num_classes - 1}; got {top}."
                )
        if self.class_names is not None and len(self.class_names) != self.num_classes:
            raise InputError(
                f"`class_names` of {self.name} must be {self.num_classes} names; "
                f"got {len(self.class_names)}."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an image: (C, H, W)."""
        channels, height, width = self.train.x.shape[1:]
        return channels, height, width

    def statistics(self) -> Statistics:
        """Return mean and standard deviation of every channel of the training images.

        Returns:
            What `channel_statistics` says of them.
        """
        return channel_statistics(self.train.x)


def channel_statistics(x: Tensor) -> Statistics:
    """Return mean and population standard deviation of every channel, in units of [0, 1].

    Pixels are counted per grey level, so the sums are exact integers however large the set is, and
    no float copy of it is made. A channel that never changes has deviation 0.

    Args:
        x: Images (N, C, H, W), uint8.

    Returns:
        C means and C standard deviations over all pixels of all images.

    Raises:
        InputError: If `x` is not uint8 of four axes, or empty.

    Example:
        >>> channel_statistics(torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1))
        ((0.5,), (0.5,))
    """
    if x.ndim != 4 or x.dtype != torch.uint8 or x.numel() == 0:
        raise InputError(
            f"`x` must be uint8 images of shape (N, C, H, W), N >= 1; "
            f"got {x.dtype} of shape {tuple(x.shape)}."
        )
    moments = [_mean_and_deviation(_histogram(x[:, channel])) for channel in range(x.shape[1])]
    return tuple(mean for mean, _ in moments), tuple(deviation for _, deviation in moments)


def _histogram(pixels: Tensor) -> list[int]:
    counts = torch.zeros(256, dtype=torch.int64, device=pixels.device)
    for start in range(0, len(pixels), 4096):
        counts += torch.bincount(pixels[start : start + 4096].reshape(-1), minlength=256)
    return [int(value) for value in counts.tolist()]


def _mean_and_deviation(counts: list[int]) -> tuple[float, float]:
    n = sum(counts)
    total = sum(level * number for level, number in enumerate(counts))
    squares = sum(level * level * number for level, number in enumerate(counts))
    return total / (255 * n), math.sqrt((n * squares - total * total) / (255 * n) ** 2)
