"""A published set of corrupted images: one part for every corruption and severity.

The parts of a set differ only in what was done to the images, and are never trained on. Each is
opened when it is asked for, so a set of many gigabytes costs nothing until then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from vicinal._checks import InputError, choice, count
from vicinal.data.folder_set import FileSplit
from vicinal.data.image_set import Split

__all__ = ["CorruptedSet", "Part"]

Part: TypeAlias = Split | FileSplit
"""The images of one corruption and severity, in memory or in their files."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CorruptedSet:
    """A test set, corrupted and published: `found.part("fog", 3)` is one of its parts.

    Args:
        name: Its name in records and reports.
        corruptions: The corruptions that it holds, by their files' names.
        severities: The severities of each.
        num_classes: K; labels lie in 0..K-1.
        class_names: K names in the order of the labels, where they are known.
        read: Opens one part, given a corruption and a severity.

    Example:
        >>> import torch
        >>> def made_up(corruption, severity):
        ...     return Split(x=torch.zeros(2, 3, 8, 8, dtype=torch.uint8), y=torch.arange(2))
        >>> found = CorruptedSet(
        ...     name="toy-c",
        ...     corruptions=("fog",),
        ...     severities=(1, 2),
        ...     num_classes=2,
        ...     read=made_up,
        ... )
        >>> found.part("fog", 2)
        Split(2 images of 3x8x8 on cpu)
    """

    name: str
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    num_classes: int
    read: Callable[[str, int], Part]
    class_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        count("num_classes", self.num_classes, low=2)

    def part(self, corruption: str, severity: int) -> Part:
        """Open the images of one corruption and severity.

        Args:
            corruption: The corruption's name.
            severity: How strong, mostly 1 to 5.

        Returns:
            The images with their classes.

        Raises:
            InputError: If the set has no such part, or it is damaged.
        """
        choice("corruption", corruption, self.corruptions)
        if count("severity", severity, low=0) not in self.severities:
            known = ", ".join(str(known) for known in self.severities)
            raise InputError(
                f"`severity` must be one of those of {self.name}, {known}; got {severity!r}."
            )
        return self.read(corruption, severity)
