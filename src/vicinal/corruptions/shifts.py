r"""The four corruptions that M-TLAT adds to ImageNet-C (Laugros et al. 2020, section 4.1).

    rotation      8 to 40 degrees                   the outside is black
    translation   15 to 62 pixels of 224            the outside is black
    occlusion     a square of 60 to 127 of 224      grey
    color_shift   +8 to +30 % on one channel        cut off at white

The ranges are the paper's: their ends cost its standard net 5 % and 30 % of accuracy;
`vicinal.evaluation.calibrate` finds them for a net of yours. There is no public code. What the
paper leaves open is decided here: strengths are drawn uniformly from the range, either sign and
every direction, place and channel is as likely as any other, lengths scale with the shorter side,
grey is 0.5, and nothing is truncated to 8 bits unless asked for (`quantize=True`).

    rotation(x, rng=g)               range mode, the paper's: every image its own strength
    rotation(x, severity=3, rng=g)   five points of the range, from its lower to its upper end
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vicinal._checks import number
from vicinal.corruptions.corruption import PRESETS, SEVERITIES, Corruption
from vicinal.corruptions.draw import Draw
from vicinal.corruptions.keys import Streams

__all__ = [
    "Box",
    "ColorShift",
    "Occlusion",
    "Offset",
    "Rotation",
    "Shift",
    "Tint",
    "Translation",
    "Turn",
]

_SIDE = 224

D = TypeVar("D")


@dataclass(frozen=True, kw_only=True)
class Shift(Corruption[tuple[float, float], D]):
    """A corruption whose strength has a range; a severity is one of five points of it.

    Args:
        low: Lower end of the range, in the paper's unit (pixels are those of 224).
        high: Upper end of the range.
        ranged: Whether strengths are drawn from the whole range, whatever the severity.
    """

    constants: ClassVar = dict.fromkeys(PRESETS, SEVERITIES)
    limit: ClassVar[float]
    """The largest strength that makes sense."""
    low: float
    high: float
    ranged: bool = False

    def __post_init__(self) -> None:
        """Check the range."""
        number("high", self.high, low=0.0, high=self.limit)
        number("low", self.low, low=0.0, high=self.high)

    def constant(
        self, severity: int, shape: Sequence[int], preset: int | None = None
    ) -> tuple[float, float]:
        """Give the range that strengths are drawn from.

        Args:
            severity: 1 to 5, evenly from `low` to `high`.
            shape: The shape of the images.
            preset: Checked, and then not used: ranges scale with the image.

        Returns:
            Lower and upper end; one number twice unless `ranged`.
        """
        point: Any = super().constant(severity, shape, preset)
        if self.ranged:
            return self.low, self.high
        strength = self.low + (self.high - self.low) * (point - 1) / (len(SEVERITIES) - 1)
        return strength, strength

    def sample(
        self,
        keys: Tensor,
        shape: Sequence[int],
        *,
        severity: int | None = None,
        preset: int | None = None,
    ) -> D:
        """Make all draws of a batch, on the CPU, every image's from its own key.

        Args:
            keys: One key per image, shape (N,), int64.
            shape: The shape of the images, (C, H, W) or (N, C, H, W).
            severity: 1 to 5; the whole range when not given.
            preset: Checked, and then not used.

        Returns:
            The draw, to be handed to `apply`.
        """
        if severity is None:
            whole = dataclasses.replace(self, ranged=True)
            return whole.sample(keys, shape, severity=1, preset=preset)
        return super().sample(keys, shape, severity=severity, preset=preset)

    def apply(self, x: Tensor, draw: D, *, quantize: bool = False) -> Tensor:
        """Corrupt a batch by a given draw: deterministic, on the device of the images.

        Args:
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            draw: What `sample` returned for images of this shape.
            quantize: Whether to truncate to 8 bits.

        Returns:
            Corrupted images in [0, 1], same shape, dtype and device.
        """
        return super().apply(x, draw, quantize=quantize)

    def __call__(
        self,
        x: Tensor,
        *,
        severity: int | None = None,
        rng: torch.Generator | None = None,
        keys: Tensor | None = None,
        preset: int | None = None,
        quantize: bool = False,
    ) -> Tensor:
        """Corrupt a batch; N images give what N batches of one give.

        Args:
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            severity: 1 to 5; every image's own strength from the whole range when not given.
            rng: Yields one key per image, in order; torch's global generator when not given.
            keys: The keys themselves, shape (N,), int64; then nothing is drawn from `rng`.
            preset: Checked, and then not used: ranges scale with the image.
            quantize: Whether to truncate to 8 bits.

        Returns:
            Corrupted images in [0, 1], same shape, dtype and device.
        """
        if severity is None:
            whole = dataclasses.replace(self, ranged=True)
            return whole(x, severity=1, rng=rng, keys=keys, preset=preset, quantize=quantize)
        return super().__call__(
            x, severity=severity, rng=rng, keys=keys, preset=preset, quantize=quantize
        )


def _strengths(streams: Streams, constant: tuple[float, float]) -> Tensor:
    """Draw one strength per image, shape (N,), float64; both ends may be one number."""
    low, high = constant
    return low + (high - low) * streams.uniform(1)[:, 0].double()


@dataclass(frozen=True, kw_only=True)
class Turn(Draw):
    """How far each picture is turned."""

    angles: Tensor
    """Degrees, counter-clockwise, shape (N,)."""


@dataclass(frozen=True, kw_only=True)
class Rotation(Shift[Turn]):
    """Turn a picture about its centre, to either side; what was outside is black.

    Values between pixels are interpolated linearly, with black beyond the edge. Any channels.

    Args:
        low: Least angle in degrees.
        high: Largest angle in degrees, at most 180.
        ranged: Whether strengths are drawn from the whole range, whatever the severity.

    Example:
        >>> x = torch.arange(9.0).view(1, 1, 3, 3) / 10
        >>> bad = Rotation().apply(x, Turn(angles=torch.tensor([90.0])))
        >>> torch.allclose(bad, x.rot90(dims=(2, 3)), atol=1e-5)
        True

    Cost: two draws, one reading of the picture.
    """

    name: ClassVar[str] = "rotation"
    limit: ClassVar[float] = 180.0
    low: float = 8.0
    high: float = 40.0

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, float]
    ) -> Turn:
        del shape
        signs = streams.integers(1, low=0, high=2)[:, 0] * 2 - 1
        return Turn(angles=_strengths(streams, constant) * signs)

    def _corrupt(self, x: Tensor, draw: Turn) -> Tensor:
        height, width = x.shape[2:]
        radians = torch.deg2rad(draw.angles)[:, None, None]
        cosine, sine = radians.cos(), radians.sin()
        across = torch.arange(width, device=x.device, dtype=x.dtype) - (width - 1) / 2
        down = torch.arange(height, device=x.device, dtype=x.dtype)[:, None] - (height - 1) / 2
        columns = (cosine * across - sine * down) * (2 / width)
        rows = (sine * across + cosine * down) * (2 / height)
        grid = torch.stack((columns, rows), dim=-1)
        return F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)


@dataclass(frozen=True, kw_only=True)
class Offset(Draw):
    """How far each picture is moved."""

    pixels: Tensor
    """Down and right, shape (N, 2), int64."""


@dataclass(frozen=True, kw_only=True)
class Translation(Shift[Offset]):
    """Move a picture in a random direction; what was outside is black.

    The strength is the distance; the offsets along both axes are rounded to whole pixels, so no
    value changes but by its place. Any number of channels.

    Args:
        low: Least distance, in pixels of a picture of 224.
        high: Largest distance, at most 224.
        ranged: Whether strengths are drawn from the whole range, whatever the severity.

    Example:
        >>> x = torch.ones(1, 1, 2, 3)
        >>> Translation().apply(x, Offset(pixels=torch.tensor([[0, 1]])))[0, 0]
        tensor([[0., 1., 1.],
                [0., 1., 1.]])

    Cost: two draws, one pass over the picture.
    """

    name: ClassVar[str] = "translation"
    limit: ClassVar[float] = float(_SIDE)
    low: float = 15.0
    high: float = 62.0

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, float]
    ) -> Offset:
        length = _strengths(streams, constant) * (min(shape[1:]) / _SIDE)
        turn = streams.uniform(1)[:, 0].double() * (2 * math.pi)
        away = torch.stack((turn.sin(), turn.cos()), dim=1) * length[:, None]
        return Offset(pixels=away.round().long())

    def _corrupt(self, x: Tensor, draw: Offset) -> Tensor:
        n, channels, height, width = x.shape
        rows = torch.arange(height, device=x.device) - draw.pixels[:, :1]
        columns = torch.arange(width, device=x.device) - draw.pixels[:, 1:]
        inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None, :]
        source = rows.clamp(0, height - 1)[:, :, None] * width
        source = (source + columns.clamp(0, width - 1)[:, None, :]).view(n, 1, -1)
        moved = x.reshape(n, channels, -1).gather(2, source.expand(-1, channels, -1))
        return moved.view_as(x) * inside[:, None]


def _within(places: Tensor, n: int) -> Tensor:
    return (places >= 0) & (places < n)


@dataclass(frozen=True, kw_only=True)
class Box(Draw):
    """The square that hides a part of each picture."""

    side: Tensor
    """Pixels, shape (N,), int64."""
    corner: Tensor
    """Top row and left column, shape (N, 2), int64."""


@dataclass(frozen=True, kw_only=True)
class Occlusion(Shift[Box]):
    """Hide a random square of a picture behind grey, 0.5 in every channel (the paper's Obstru).

    The square lies inside the picture, each place being as likely. Any number of channels.

    Args:
        low: Least side, in pixels of a picture of 224.
        high: Largest side, at most 224.
        ranged: Whether strengths are drawn from the whole range, whatever the severity.

    Example:
        >>> x = torch.zeros(1, 1, 224, 224)
        >>> bad = Occlusion()(x, severity=1, keys=torch.tensor([7]))
        >>> int((bad == 0.5).sum()) == 60**2
        True

    Cost: three draws, one pass over the picture.
    """

    name: ClassVar[str] = "occlusion"
    limit: ClassVar[float] = float(_SIDE)
    low: float = 60.0
    high: float = 127.0

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, float]
    ) -> Box:
        scale = min(shape[1:]) / _SIDE
        side = (_strengths(streams, constant) * scale).round().long()
        room = torch.tensor(shape[1:]) - side[:, None]
        place = (streams.uniform(2).double() * (room + 1)).floor().long()
        return Box(side=side, corner=torch.minimum(place, room))

    def _corrupt(self, x: Tensor, draw: Box) -> Tensor:
        first, last = draw.corner, draw.corner + draw.side[:, None]
        hidden = []
        for axis, n in enumerate(x.shape[2:]):
            places = torch.arange(n, device=x.device)
            hidden.append((places >= first[:, axis, None]) & (places < last[:, axis, None]))
        return x.masked_fill(hidden[0][:, None, :, None] & hidden[1][:, None, None, :], 0.5)


@dataclass(frozen=True, kw_only=True)
class Tint(Draw):
    """What is added to one channel of each picture."""

    of_channels: ClassVar[bool] = True
    channel: Tensor
    """0 to C-1, shape (N,)."""
    amount: Tensor
    """In units of white, shape (N,)."""


@dataclass(frozen=True, kw_only=True)
class ColorShift(Shift[Tint]):
    """Add a constant to one random channel, cut off at white; the others stay as they are.

    Args:
        low: Least amount, as a share of white.
        high: Largest amount, at most 1.
        ranged: Whether strengths are drawn from the whole range, whatever the severity.

    Example:
        >>> x = torch.zeros(1, 3, 1, 1)
        >>> bad = ColorShift()(x, severity=5, keys=torch.tensor([7]))
        >>> bad.flatten().sort().values
        tensor([0.0000, 0.0000, 0.3000])

    Cost: two draws, one pass over the picture.
    """

    name: ClassVar[str] = "color_shift"
    limit: ClassVar[float] = 1.0
    low: float = 0.08
    high: float = 0.30

    def _draw(
        self, streams: Streams, shape: tuple[int, int, int], constant: tuple[float, float]
    ) -> Tint:
        channel = streams.integers(1, low=0, high=shape[0])[:, 0]
        return Tint(channel=channel, amount=_strengths(streams, constant))

    def _corrupt(self, x: Tensor, draw: Tint) -> Tensor:
        chosen = torch.arange(x.shape[1], device=x.device) == draw.channel[:, None]
        return x + (chosen * draw.amount[:, None]).to(x.dtype)[:, :, None, None]
