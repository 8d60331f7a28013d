r"""Frost: a picture seen through ice crystals (Hendrycks & Dietterich 2019).

The original lays one of five photographs of frost over a picture. Their origin and licence are
unknown, so they are not part of this library: `Frost(textures=folder)` reads them from a folder of
yours (frost1.png ... frost3.png, frost4.jpg ... of the authors' repository). Without them the ice
is computed (`procedural_textures`), with the mean colour and the contrast of the photographs; such
figures are not comparable with published ones, and `Frost.comparable` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from vicinal._checks import InputError
from vicinal.corruptions import severities
from vicinal.corruptions.corruption import Corruption
from vicinal.corruptions.draw import Draw
from vicinal.corruptions.keys import Streams
from vicinal.corruptions.weather import luma
from vicinal.maths.randomness import moved

__all__ = ["PROCEDURAL", "Frost", "Ice", "procedural_textures", "read_textures", "resized"]

PROCEDURAL = "procedural"
"""The word for textures that are computed."""

_FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
_SIZE = (480, 640)
# Mean colour and deviation of the five photographs that the original draws from.
_COLOURS = (
    ((78, 149, 166), 43),
    ((201, 205, 214), 23),
    ((201, 205, 214), 23),
    ((138, 153, 165), 31),
    ((112, 123, 135), 44),
)


@dataclass(frozen=True, kw_only=True)
class Ice(Draw):
    """Which texture lies over each picture, and where it is cut out."""

    index: Tensor
    """0 to 4, shape (N,)."""
    place: Tensor
    """Top row and left column of the cut, shape (N, 2)."""
    strength: tuple[float, ...]
    """Weight of the picture, weight of the texture, scale of the texture."""


@dataclass(frozen=True, kw_only=True)
class Frost(Corruption[tuple[float, ...], Ice]):
    r"""Lay a random cut of a frost texture F over a picture: :math:`x' = c_0 x + c_1 F`.

    Textures have their own size at 224 pixels, 0.3 of it at 64 and 0.2 at 32; a picture that is
    larger than its texture has the texture enlarged until it fits. Grey pictures or RGB.

    Args:
        textures: "procedural", or a folder with the original's frost1.png to frost5.jpg.

    Example:
        >>> x = torch.zeros(1, 3, 32, 32)
        >>> Frost()(x, severity=3, keys=torch.tensor([7])).shape, Frost().comparable
        (torch.Size([1, 3, 32, 32]), False)

    Differs from the original: the textures, unless they are handed over. (A sixth file that the
    original never draws is not read; two of its five are one picture.)
    Cost: three draws, one pass; the textures are made or read once.
    """

    name: ClassVar[str] = "frost"
    constants: ClassVar = severities.FROST
    channels: ClassVar[tuple[int, ...] | None] = (1, 3)
    textures: str | Path = PROCEDURAL

    @property
    def comparable(self) -> bool:
        """Whether results may stand beside published ones: with the original's textures only."""
        return str(self.textures) != PROCEDURAL

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, ...]
    ) -> Ice:
        known = self._textures(constant[2], shape)
        index = streams.integers(1, low=0, high=len(known))[:, 0]
        sizes = torch.tensor([texture.shape[1:] for texture in known])[index]
        room = (sizes - torch.tensor(shape[1:])).clamp_(min=1)
        place = (streams.uniform(2).double() * room).floor().long()
        return Ice(index=index, place=place, strength=constant)

    def _corrupt(self, x: Tensor, draw: Ice) -> Tensor:
        over, under, scale = draw.strength
        channels, height, width = x.shape[1:]
        known = self._textures(scale, (channels, height, width))
        cuts = [
            known[index][:, top : top + height, left : left + width]
            for index, (top, left) in zip(draw.index.tolist(), draw.place.tolist(), strict=True)
        ]
        ice = moved(torch.stack(cuts), x.device)
        return x.mul(over).add_(ice, alpha=under / 255.0)

    def _textures(self, scale: float, shape: tuple[int, int, int]) -> tuple[Tensor, ...]:
        return _fitted(str(self.textures), scale, shape)


@lru_cache(maxsize=8)
def _scaled(source: str, scale: float) -> tuple[Tensor, ...]:
    textures = procedural_textures() if source == PROCEDURAL else read_textures(Path(source))
    return tuple(resized(texture, scale) for texture in textures)


@lru_cache(maxsize=8)
def _fitted(source: str, scale: float, shape: tuple[int, int, int]) -> tuple[Tensor, ...]:
    """Make textures as large as a picture at least, and grey where it is."""
    fitted = []
    for texture in _scaled(source, scale):
        need = max(want / have for want, have in zip(shape[1:], texture.shape[1:], strict=True))
        large = resized(texture, need) if need > 1 else texture
        fitted.append(luma(large[None].float())[0].round_().byte() if shape[0] == 1 else large)
    return tuple(fitted)


def resized(texture: Tensor, scale: float) -> Tensor:
    """Resize a texture linearly, without smoothing first, as OpenCV does.

    Args:
        texture: Shape (3, h, w), uint8.
        scale: The factor.

    Returns:
        Shape (3, h', w'), uint8, sides rounded to the next even number where halfway.

    Example:
        >>> resized(torch.arange(5, dtype=torch.uint8).view(1, 1, 5).expand(3, 5, 5), 0.2)[0]
        tensor([[2]], dtype=torch.uint8)
    """
    if scale == 1:
        return texture
    size = [max(1, round(n * scale)) for n in texture.shape[1:]]
    pixels = texture[None].double()
    for dim, n in zip((2, 3), size, strict=True):
        last = texture.shape[dim - 1] - 1
        places = ((torch.arange(n, dtype=torch.float64) + 0.5) / scale - 0.5).clamp_(0, last)
        lower = places.floor().long()
        weight = (places - lower).view([-1 if axis == dim else 1 for axis in range(4)])
        low, high = (pixels.index_select(dim, at.clamp(max=last)) for at in (lower, lower + 1))
        pixels = torch.lerp(low, high, weight)
    return pixels[0].round_().clamp_(0, 255).byte()


def read_textures(folder: Path) -> tuple[Tensor, ...]:
    """Read the five photographs that the original draws from.

    Args:
        folder: Where frost1.png, frost2.png, frost3.png, frost4.jpg and frost5.jpg are.

    Returns:
        Five textures of different sizes, shape (3, h, w), uint8.

    Raises:
        InputError: If one is missing or no picture.
    """
    found = []
    for name in _FILES:
        try:
            with Image.open(folder / name) as picture:
                pixels = np.array(picture.convert("RGB"))
        except (OSError, UnidentifiedImageError) as why:
            raise InputError(
                f"`textures` must be a folder with frost1.png, frost2.png, frost3.png, frost4.jpg "
                f"and frost5.jpg of hendrycks/robustness, or {PROCEDURAL!r}; got {str(folder)!r}, "
                f"where {name} cannot be read."
            ) from why
        found.append(torch.from_numpy(pixels).permute(2, 0, 1).contiguous())
    return tuple(found)


@lru_cache(maxsize=1)
def procedural_textures() -> tuple[Tensor, ...]:
    """Compute five textures of ice: ridges of noise at five scales, bent by coarser noise.

    They are the same on every call, with the mean colour and deviation of the photographs.

    Returns:
        Five textures, shape (3, 480, 640), uint8.

    Example:
        >>> [texture.shape[0] for texture in procedural_textures()]
        [3, 3, 3, 3, 3]
    """
    return tuple(
        _crystals(seed, torch.tensor(colour), spread)
        for seed, (colour, spread) in enumerate(_COLOURS)
    )


def _crystals(seed: int, colour: Tensor, spread: float) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    bend = [_lattice(rng, 12) for _ in range(2)]
    rows, columns = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in _SIZE), indexing="ij")
    grid = torch.stack((columns + 0.05 * bend[0], rows + 0.05 * bend[1]), dim=-1)[None]
    ridges = torch.zeros(1, 1, *_SIZE)
    for octave in range(5):
        sharp = (1 - _lattice(rng, 8 << octave, 3).abs()).clamp_(0, 1) ** 6
        ridges += 0.9**octave * F.grid_sample(
            sharp[None, None], grid, padding_mode="reflection", align_corners=True
        )
    ridges = (ridges - ridges.mean()) / ridges.std()
    texture = colour.view(3, 1, 1) + spread * ridges[0]
    return texture.round_().clamp_(0, 255).byte()


def _lattice(rng: torch.Generator, cells: int, stretch: int = 1) -> Tensor:
    """Draw smooth noise of about that many bumps across, drawn out along the rows."""
    raw = torch.randn(1, 1, cells * stretch, cells, generator=rng)
    return F.interpolate(raw, size=_SIZE, mode="bicubic", align_corners=True)[0, 0]
