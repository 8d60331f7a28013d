"""What the authors of a set published, held against what was found on the disk.

Images of another shape are another set, and refused. A set of another size may be a subset that is
meant, so it is only logged.
"""

from __future__ import annotations

import logging
from pathlib import Path

from vicinal._checks import InputError
from vicinal.data.image_set import ImageSet

__all__ = ["check_shape", "warn_of_size"]

_log = logging.getLogger("vicinal")


def check_shape(found: ImageSet, path: Path, *, shape: tuple[int, int, int]) -> None:
    """Check that images have the published shape.

    Args:
        found: The set that was read.
        path: Where it was read.
        shape: The published (C, H, W).

    Raises:
        InputError: If they have another.
    """
    channels, height, width = shape
    if found.shape != shape:
        word = "channel" if channels == 1 else "channels"
        raise InputError(
            f"{path} must hold images of {channels} {word} and {height}x{width} pixels to be "
            f"{found.name}; got (C, H, W) = {found.shape}."
        )


def warn_of_size(path: Path, *, found: tuple[int, int], published: tuple[int, int]) -> None:
    """Log a warning where a set has more or fewer images than were published.

    Args:
        path: Where it was read.
        found: Training and test images found.
        published: Training and test images published.
    """
    if found != published:
        _log.warning(
            "%s has %d training and %d test images; the published set has %d and %d",
            path,
            *found,
            *published,
        )
