"""Made-up picture files, for tests of readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def random_pixels(seed: int, *, height: int = 64, width: int = 64) -> NDArray[np.uint8]:
    """Smooth random colours (H, W, 3), so that a JPEG of them is near to them."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height)))


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write a picture in the format of its ending, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def decoded(path: Path) -> NDArray[Any]:
    """What Pillow says of a file: (3, H, W)."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
