"""Data as every part of an evaluation takes it: batches, or one pair, on the model's device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from vicinal._checks import InputError, count, images
from vicinal._typing import Batch, Batches, Model

__all__ = ["checked", "first", "on_device"]


def checked(x: Tensor, *, before: int = 0) -> Tensor:
    """Check images; where some pixels are off, say in which image first.

    Args:
        x: Images, shape (N, C, H, W).
        before: How many images there were in the batches before.

    Returns:
        The images.

    Raises:
        InputError: If they are no images in [0, 1].

    Example:
        >>> checked(torch.rand(2, 1, 4, 4)).shape
        torch.Size([2, 1, 4, 4])
    """
    try:
        return images(x)
    except InputError as error:
        if not isinstance(x, Tensor) or x.ndim != 4 or not x.numel() or not x.is_floating_point():
            raise
        off = ~((x >= 0) & (x <= 1)).flatten(1).all(dim=1)
        if bool(off.all()):
            raise
        place = before + int(off.nonzero()[0])
        raise InputError(f"{error} The first is image {place}, counted from 0.") from None


def on_device(data: Batch | Batches, model: Model) -> Iterator[Batch]:
    """Run through the batches, each on the device of the model's weights.

    Args:
        data: Batches (x, y), or one pair.
        model: The model.

    Yields:
        Images and labels.

    Raises:
        InputError: If there is no batch.
    """
    weight = next(model.parameters(), None)
    device = torch.device("cpu") if weight is None else weight.device
    empty = True
    for x, y in _pairs(data):
        empty = False
        yield x.to(device), y.to(device)
    if empty:
        raise InputError("`data` must hold at least one batch; got none.")


def first(data: Batch | Batches, n: int) -> list[Batch]:
    """Take the first images, in the batches they come in.

    Args:
        data: Batches (x, y), or one pair.
        n: How many; fewer where there are no more.

    Returns:
        The batches, the last cut short.

    Raises:
        InputError: If there is no image.

    Example:
        >>> x, y = torch.rand(5, 1, 2, 2), torch.arange(5)
        >>> [len(labels) for _, labels in first([(x, y), (x, y), (x, y)], 7)]
        [5, 2]
    """
    left, found = count("n", n), list[Batch]()
    for x, y in _pairs(data):
        found.append((x[:left], y[:left]))
        left -= len(found[-1][0])
        if left <= 0:
            break
    if not sum(len(x) for x, _ in found):
        raise InputError("`data` must hold at least one image; got none.")
    return found


def _pairs(data: Batch | Batches) -> Batches:
    if isinstance(data, (tuple, list)) and len(data) == 2 and isinstance(data[0], Tensor):
        return [(data[0], data[1])]
    return cast(Batches, data)
