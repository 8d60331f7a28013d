"""The handwritten digits that come with scikit-learn: a small real set that needs no download.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI repository,
1998; scikit-learn bundles its test part, 1,797 images of 8x8 cells with 17 grey levels.

The first 1,297 images train, the last 500 test. The set has 13 writers, and its order is not mixed:
one sequence of labels starts anew about every 130 images, which looks like form after form, writer
after writer. So, but for the block that begins ten images before the cut, the test images are of
other writers than the training images: a harder and more honest test than a shuffled split. The
file does not name its writers, so this cannot be checked further.
"""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import torch

from vicinal.data.image_set import ImageSet, Split

__all__ = ["read_digits"]

_TRAIN = 1297


def read_digits(data_dir: Path | None = None) -> ImageSet:
    """Read the bundled digits: 1,297 training and 500 test images, one channel of 8x8.

    Grey level v in 0..16 becomes the byte (255 v + 8) // 16, which is 255 v / 16 rounded to the
    nearest integer, halves up: 0, 16, 32, ..., 239, 255.

    Args:
        data_dir: Not used: the set comes with scikit-learn.

    Returns:
        The set, on the CPU.

    Example:
        >>> digits = read_digits()
        >>> digits.train, digits.test
        (Split(1297 images of 1x8x8 on cpu), Split(500 images of 1x8x8 on cpu))
    """
    del data_dir
    from sklearn.datasets import load_digits

    bundled = load_digits()
    levels = torch.from_numpy(bundled.images.astype(np.int64))
    x = ((255 * levels + 8) // 16).to(torch.uint8).unsqueeze(1)
    y = torch.from_numpy(bundled.target.astype(np.int64))
    return ImageSet(
        name="digits",
        train=Split(x=x[:_TRAIN], y=y[:_TRAIN]),
        test=Split(x=x[_TRAIN:], y=y[_TRAIN:]),
        num_classes=10,
        class_names=tuple(string.digits),
    )
