"""Sets too large for memory: the same two splits and classes, the images left in their files.

A `FolderSet` stands where an `ImageSet` stands and has the same `train`, `test`, `num_classes`,
`shape` and `statistics()`; a `FileSplit` stands for a `Split`. Their images are decoded batch by
batch (`file_loader.py`) into views of one size, by a rule that the set carries (`views.py`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from vicinal._checks import InputError, choice, count
from vicinal.data.image_set import Statistics, channel_statistics
from vicinal.data.pictures import open_picture, pixels, read_pictures
from vicinal.data.views import View, evaluation_view

__all__ = ["FileSplit", "FolderSet"]

_SAMPLE = 1000


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FileSplit:
    """Picture files and their classes: the training or the test part of a set, or a subset of one.

    Args:
        folder: Where the files lie.
        names: The files' names relative to it, with slashes.
        y: Classes (N,), int64, none negative.
        size: Pixels of the sides of what a model sees.
        view: How a picture becomes that square: "resized" or "cropped".
        exact: Whether every picture must be that square already; one that is not is an error then.

    Raises:
        InputError: If there is no file, or not one class per file, or size or view are off.

    Example:
        >>> FileSplit(
        ...     folder=Path("train"),
        ...     names=("cat/1.png", "dog/1.png"),
        ...     y=torch.tensor([0, 1]),
        ...     size=224,
        ...     view="resized",
        ... )
        FileSplit(2 images in train, resized to 224x224)
    """

    folder: Path
    names: tuple[str, ...]
    y: Tensor
    size: int
    view: View
    exact: bool = False

    def __post_init__(self) -> None:
        count("size", self.size)
        choice("view", self.view, get_args(View))
        n = len(self.names)
        if n == 0 or self.y.shape != (n,) or self.y.dtype != torch.int64:
            raise InputError(
                f"`y` of a split must be int64 classes of shape ({n},), one per image, N >= 1; "
                f"got {self.y.dtype} of shape {tuple(self.y.shape)}."
            )
        if int(self.y.min()) < 0:
            raise InputError(
                f"`y` of a split must hold classes 0, 1, 2, ...; got {int(self.y.min())}."
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def __getitem__(self, rows: slice | Tensor) -> FileSplit:
        """Return some of the images: a slice of them, or those that indices (M,) int64 name."""
        chosen = range(len(self))[rows] if isinstance(rows, slice) else rows.tolist()
        return replace(self, names=tuple(self.names[row] for row in chosen), y=self.y[rows])

    def __repr__(self) -> str:
        sides = f"{self.size}x{self.size}"
        return f"FileSplit({len(self)} images in {self.folder}, {self.view} to {sides})"


@dataclass(frozen=True, kw_only=True, eq=False)
class FolderSet:
    """A data set whose images stay in their files: an `ImageSet` that streams.

    Args:
        name: Its name in records and reports.
        train: The training images.
        test: The test images, of the same size and view.
        num_classes: K; labels lie in 0..K-1.
        class_names: K names in the order of the labels.
        published: Mean and standard deviation that its field normalises with, where it has one.

    Raises:
        InputError: If the two splits do not fit each other or the classes.
    """

    name: str
    train: FileSplit
    test: FileSplit
    num_classes: int
    class_names: tuple[str, ...]
    published: Statistics | None = None

    def __post_init__(self) -> None:
        count("num_classes", self.num_classes, low=2)
        train, test = self.train, self.test
        if (train.size, train.view) != (test.size, test.view):
            raise InputError(
                f"both splits of {self.name} must have one size and view; "
                f"got {train.size} {train.view} and {test.size} {test.view}."
            )
        for part, split in (("train", train), ("test", test)):
            if int(split.y.max()) >= self.num_classes:
                raise InputError(
                    f"labels of the {part} split of {self.name} must lie in "
                    f"0..{self.num_classes - 1}; got {int(split.y.max())}."
                )
        if len(self.class_names) != self.num_classes:
            raise InputError(
                f"`class_names` of {self.name} must be {self.num_classes} names; "
                f"got {len(self.class_names)}."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """What a model sees of an image: (C, H, W)."""
        return 3, self.train.size, self.train.size

    def seen(self, *, size: int | None = None, view: View | None = None) -> FolderSet:
        """Return the set with views of another size or rule.

        Args:
            size: Pixels of the sides; as it is when not given.
            view: "resized" or "cropped"; as it is when not given.

        Returns:
            The set.
        """
        side = self.train.size if size is None else size
        rule = self.train.view if view is None else view
        train, test = (replace(split, size=side, view=rule) for split in (self.train, self.test))
        return replace(self, train=train, test=test)

    def statistics(self) -> Statistics:
        """Return mean and standard deviation of every channel, in units of [0, 1].

        Returns:
            What the field normalises with, where it has such numbers; else those of the evaluation
            views of 1,000 training images, a fixed random choice (of all where there are fewer).
        """
        if self.published is not None:
            return self.published
        n = len(self.train)
        chosen = random.Random(0).sample(range(n), min(n, _SAMPLE))
        some = self.train[torch.tensor(sorted(chosen))]

        def read(path: Path) -> Tensor:
            return pixels(evaluation_view(open_picture(path), size=some.size, view=some.view))

        paths = [some.folder / name for name in some.names]
        return channel_statistics(read_pictures(paths, what=self.name, read=read))
