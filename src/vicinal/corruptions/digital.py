r"""What storing a picture does to it: contrast, pixels, JPEG (Hendrycks & Dietterich 2019).

    contrast           distances to each channel's mean, shrunk
    pixelate           Pillow's box filter, there and back
    jpeg_compression   Pillow's JPEG, there and back

The elastic transform, which the paper counts among these, has its own file.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vicinal.corruptions import severities
from vicinal.corruptions.corruption import SLACK, Corruption
from vicinal.corruptions.draw import Draw
from vicinal.corruptions.keys import Streams
from vicinal.maths.randomness import moved

__all__ = ["Contrast", "JPEGCompression", "Pixelate", "Strength", "box_resized"]


@dataclass(frozen=True, kw_only=True)
class Strength(Draw):
    """Nothing drawn: the constant alone."""

    strength: float


@dataclass(frozen=True, kw_only=True)
class Contrast(Corruption[float, Strength]):
    r"""Move every value towards its channel's mean: :math:`x' = (x - \mu)\,c + \mu`.

    The mean is that of one channel of one picture. Any number of channels.

    Example:
        >>> x = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
        >>> Contrast()(x, severity=4, preset=224, quantize=False).flatten()
        tensor([0.4500, 0.5500])

    Differs from the original: nothing. Cost: no draw; three passes over the picture.
    """

    name: ClassVar[str] = "contrast"
    constants: ClassVar = severities.CONTRAST

    def _draw(self, streams: Streams, shape: tuple[int, int, int], constant: float) -> Strength:
        del streams, shape
        return Strength(strength=constant)

    def _corrupt(self, x: Tensor, draw: Strength) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True)
        return (x * draw.strength).add_(mean * (1.0 - draw.strength))


@dataclass(frozen=True, kw_only=True)
class Pixelate(Corruption[float, Strength]):
    """Shrink a picture by Pillow's box filter to the share c of its side, and enlarge it again.

    A side of S pixels becomes int(c S), at least one. Any number of channels.

    Example:
        >>> x = torch.rand(1, 3, 224, 224)
        >>> bad = Pixelate()(x, severity=5, keys=torch.tensor([7]))
        >>> torch.equal(bad[..., ::4, ::4], bad[..., 3::4, 3::4])
        True

    Differs from the original: nothing; columns are always resized before rows (Pillow 13 begins
    with the rows of pictures more than twice as tall as wide, a level here and there).
    Cost: no draw; one pass over the picture per pixel of the box, 2 to 5, and four more.
    """

    name: ClassVar[str] = "pixelate"
    constants: ClassVar = severities.PIXELATE
    of_levels: ClassVar[bool] = True

    def _draw(self, streams: Streams, shape: tuple[int, int, int], constant: float) -> Strength:
        del streams, shape
        return Strength(strength=constant)

    def _corrupt(self, x: Tensor, draw: Strength) -> Tensor:
        return box_resized(self._shrunk(x, draw), x.shape[2])

    def _write(self, x: Tensor, draw: Strength, out: Tensor, *, quantize: bool) -> None:
        if x.dtype not in {torch.float32, torch.float64} or x.requires_grad:
            super()._write(x, draw, out, quantize=quantize)
            return
        # Every row is a copy by now, and may be made where it is wanted.
        starts, _, _ = _boxes(self._sides(x, draw)[0], x.shape[2])
        torch.index_select(self._shrunk(x, draw), -2, starts.to(x.device), out=out)

    def _shrunk(self, x: Tensor, draw: Strength) -> Tensor:
        """Shrink pictures, and enlarge them again to their width, but not their height."""
        height, width = self._sides(x, draw)
        narrow = box_resized(_levels(x), width, dim=-1)
        small = box_resized(narrow, height).div_(255.0)
        return box_resized(small, x.shape[3], dim=-1)

    def _sides(self, x: Tensor, draw: Strength) -> tuple[int, int]:
        height, width = (max(1, int(n * draw.strength)) for n in x.shape[2:])
        return height, width


def _levels(x: Tensor) -> Tensor:
    """Give the grey levels 0..255 of images in [0, 1], as real numbers, truncated."""
    return (x * 255.0).add_(SLACK).floor_()


def box_resized(levels: Tensor, size: int, *, dim: int = -2) -> Tensor:
    """Resize images along an axis by Pillow's box filter: means of pixels, rounded to a level.

    Pixel t counts for the new pixel with centre c, in old pixels, iff
    -0.5 < (t - c + 0.5) / scale <= 0.5, scale being at least 1; all that count weigh the same.

    Args:
        levels: Grey levels 0..255, shape (..., H, W).
        size: New number of rows or columns.
        dim: -2 for rows, -1 for columns.

    Returns:
        Grey levels, shape (..., size, W) or (..., H, size), contiguous.

    Example:
        >>> box_resized(torch.tensor([0.0, 1.0, 4.0, 4.0])[:, None], 2).flatten()
        tensor([1., 4.])
        >>> box_resized(torch.tensor([1.0, 4.0])[None], 3, dim=-1)
        tensor([[1., 4., 4.]])
    """
    # Whole rows are copied many times faster than single pixels of a transposed view.
    levels = levels.contiguous()
    n = levels.shape[dim]
    if size == n:
        return levels
    starts, counts, most = _boxes(n, size)
    total = _selected(levels, starts, dim)
    if most == 1:
        return total
    counts = counts.view(-1, 1) if dim == -2 else counts
    for place in range(1, most):
        further = _selected(levels, (starts + place).clamp_(max=n - 1), dim)
        total.addcmul_(further, (counts > place).to(levels))
    return total.div_(counts.to(levels)).add_(0.5).floor_()


def _selected(x: Tensor, index: Tensor, dim: int) -> Tensor:
    """Select rows or columns of images, (..., H, W)."""
    if dim == -2 or x.device.type != "cpu" or x.requires_grad:
        return x.index_select(dim, index.to(x.device))
    # NumPy's takes a quarter of the time of torch's along the last axis.
    return torch.from_numpy(x.numpy().take(index.numpy(), axis=-1, mode="clip"))


@lru_cache(maxsize=64)
def _boxes(n: int, size: int) -> tuple[Tensor, Tensor, int]:
    """List where the box of every new pixel starts, how many pixels it holds, and the most."""
    starts, counts = [], []
    scale = n / size
    # Ties are decided by rounding, so these are Pillow's own operations in their order.
    reach, inverse = 0.5 * max(scale, 1.0), 1.0 / max(scale, 1.0)
    for place in range(size):
        centre = (place + 0.5) * scale
        near = range(max(0, int(centre - reach + 0.5)), min(n, int(centre + reach + 0.5)))
        inside = [t for t in near if -0.5 < (t - centre + 0.5) * inverse <= 0.5]
        starts.append(inside[0])
        counts.append(len(inside))
    return torch.tensor(starts), torch.tensor(counts), max(counts)


@dataclass(frozen=True, kw_only=True)
class JPEGCompression(Corruption[float, Strength]):
    """Write a picture as JPEG by Pillow, colours at half the resolution (4:2:0), and read it back.

    The codec runs on the CPU whatever the device, a picture at a time, on as many threads as torch
    uses. Grey pictures or RGB.

    Example:
        >>> x = torch.full((1, 3, 32, 32), 128 / 255)
        >>> torch.equal(JPEGCompression()(x, severity=5, keys=torch.tensor([7])), x)
        True

    Differs from the original: the libjpeg of your Pillow, which today is libjpeg-turbo (0.1 to 0.2
    dB better than that of 2018).
    Cost: no draw; nearly all of it is the codec, five passes over the picture come on top.
    """

    name: ClassVar[str] = "jpeg_compression"
    constants: ClassVar = severities.JPEG_COMPRESSION
    of_levels: ClassVar[bool] = True
    channels: ClassVar[tuple[int, ...] | None] = (1, 3)

    def _draw(self, streams: Streams, shape: tuple[int, int, int], constant: float) -> Strength:
        del streams, shape
        return Strength(strength=constant)

    def _corrupt(self, x: Tensor, draw: Strength) -> Tensor:
        return moved(_jpeg(x, int(draw.strength)), x.device).to(x.dtype).div_(255.0)

    def _write(self, x: Tensor, draw: Strength, out: Tensor, *, quantize: bool) -> None:
        if x.dtype not in {torch.float32, torch.float64}:
            super()._write(x, draw, out, quantize=quantize)
            return
        out.copy_(_jpeg(x, int(draw.strength))).div_(255.0)


def _jpeg(x: Tensor, quality: int) -> Tensor:
    """Write and read pictures (N, C, H, W), in threads where torch has several: their levels."""
    scaled = (x.detach() * 255.0).add_(SLACK).cpu().numpy()
    levels = scaled.astype(np.uint8, order="C")

    # One picture's levels give way to its result, so nothing is reserved twice.
    def work(planes: NDArray[np.uint8]) -> None:
        buffer = BytesIO()
        _picture(planes).save(buffer, "JPEG", quality=quality)
        with Image.open(buffer, formats=("JPEG",)) as decoded:
            for plane, band in zip(planes, decoded.getbands(), strict=True):
                pixels = np.frombuffer(decoded.tobytes("raw", band), np.uint8)
                plane[:] = pixels.reshape(plane.shape)

    threads = min(torch.get_num_threads(), len(levels))
    if threads == 1:
        for planes in levels:
            work(planes)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, levels))
    return torch.from_numpy(levels)


def _picture(planes: NDArray[np.uint8]) -> Image.Image:
    """Make a Pillow picture of one or three planes (C, H, W), which it reads where they lie."""
    size = planes.shape[2], planes.shape[1]
    bands = [Image.frombuffer("L", size, plane, "raw", "L", 0, 1) for plane in planes]
    return bands[0] if len(bands) == 1 else Image.merge("RGB", bands)
