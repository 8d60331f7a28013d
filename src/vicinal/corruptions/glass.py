"""The copies of glass blur, all at once: which pixel ends up where."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["glass_sources"]


def glass_sources(places: Tensor, *, reach: int, height: int, width: int) -> Tensor:
    r"""Follow the copies of all rounds back to the pixels of the picture they began with.

    The script goes through the pixels (h, w) with reach < h <= H - reach and reach < w <= W - reach
    from the last to the first, and each copies pixel (h + down, w + right) as it stands then. Later
    pixels in raster order have been through already, so to copy one of them is to copy what it
    copied. These pointers lead strictly forward, and each step doubles how far they are followed.

    Args:
        places: Offsets in -reach..reach-1 as (down + reach) * 2 reach + right + reach, shape
            (N, rounds, H - 2 reach, W - 2 reach), entry [0, 0] for the pixel (reach+1, reach+1).
        reach: The largest offset.
        height: Rows H of the picture.
        width: Columns W.

    Returns:
        For every pixel, in raster order, the index of its origin: shape (N, H W), int64.

    Example:
        >>> offsets = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)     # all copy up and left
        >>> glass_sources(offsets, reach=1, height=4, width=4).view(4, 4)
        tensor([[ 0,  1,  2,  3],
                [ 4,  5,  6,  7],
                [ 8,  9,  5,  6],
                [12, 13,  9, 10]])

    Cost: a few look-ups per pixel and round.
    """
    n, rounds = places.shape[:2]
    pixels = height * width
    total = torch.arange(n * pixels, dtype=torch.int32, device=places.device)
    if places.shape[2] == 0 or places.shape[3] == 0:
        return (total.view(n, pixels) % pixels).long()
    for number in range(rounds):
        pointers = _pointers(places[:, number], reach, height, width)
        # What a round copies stands where the rounds before it have put it.
        total = total.index_select(0, _followed(pointers))
    return (total.view(n, pixels) % pixels).long()


def _pointers(places: Tensor, reach: int, height: int, width: int) -> Tensor:
    """Point every pixel at what it copies; at ~index, a negative, if that is the original still."""
    n, rows, columns = places.shape
    device = places.device
    offset = torch.arange(4 * reach**2, dtype=torch.int32, device=device)
    steps = (offset // (2 * reach) - reach) * width + offset % (2 * reach) - reach
    index = torch.arange(n * height * width, dtype=torch.int32, device=device)
    index = index.view(n, height, width)
    inside = (..., slice(reach + 1, reach + 1 + rows), slice(reach + 1, reach + 1 + columns))
    inner = index[inside]
    step = steps.index_select(0, places.reshape(-1).int()).view_as(inner)
    source = inner + step
    went = torch.zeros(n, height, width, dtype=torch.bool, device=device)
    went[inside] = True
    follow = (step > 0) & went.view(-1).index_select(0, source.view(-1)).view_as(source)
    pointers = ~index
    pointers[inside] = torch.where(follow, source, ~source)
    return pointers.view(-1)


def _followed(pointers: Tensor) -> Tensor:
    """Replace every pointer to a pointer by what that points at, until all end at originals."""
    rest = (pointers >= 0).nonzero().flatten()
    while rest.numel():
        ahead = pointers.index_select(0, pointers.index_select(0, rest))
        pointers[rest] = ahead
        rest = rest[ahead >= 0]
    return pointers.bitwise_not_()
