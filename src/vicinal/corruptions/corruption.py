"""What a corruption is: constants by severity and size, a draw per image, a deterministic rest.

    draw = gaussian_noise.sample(keys, x.shape, severity=3)   random, on the CPU, a key per image
    bad = gaussian_noise.apply(x, draw)                       deterministic, on the device of x
    bad = gaussian_noise(x, severity=3, rng=g)                both, in chunks that fit the cache

The draw is a value (a frozen dataclass of tensors, constants included), so that a corrupted batch
can be replayed, moved to another device, and checked against an oracle that is handed the same.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from vicinal import _checks
from vicinal._checks import InputError
from vicinal.corruptions.draw import made_for, placed
from vicinal.corruptions.keys import Streams, draw_keys

__all__ = ["PRESETS", "SEVERITIES", "SLACK", "Corruption", "preset_of", "truncated"]

PRESETS: tuple[int, ...] = (32, 64, 224)
"""Image sizes that the published constants are made for: CIFAR, Tiny-ImageNet, ImageNet."""

SEVERITIES: tuple[int, ...] = (1, 2, 3, 4, 5)

SLACK = 2.0**-12
"""Far below a grey level, far above the rounding of float32: what is k in theory is k."""

_CHUNK = {"cpu": 1 << 20}
_LARGE_CHUNK = 1 << 26
_HUGE_PAGE = 1 << 21
_WORK_BLOCKS = 8
_STOPPER = 1 << 17

C = TypeVar("C")
D = TypeVar("D")


def preset_of(height: int, width: int) -> int:
    """Choose the constants for an image: those of the nearest size, by ratio, to its shorter side.

    So 32 serves sides up to 45 pixels, 64 up to 119 and 224 all larger ones. Radii and offsets are
    in pixels, and are not scaled.

    Args:
        height: Rows.
        width: Columns.

    Returns:
        32, 64 or 224.

    Example:
        >>> [preset_of(side, side) for side in (8, 32, 48, 96, 128, 300)]
        [32, 32, 64, 64, 224, 224]
    """
    side = min(height, width)
    return min(PRESETS, key=lambda size: max(side / size, size / side))


def truncated(x: Tensor, *, slack: float = SLACK, out: Tensor | None = None) -> Tensor:
    """Bring images to 8 bits the way the originals do, in place: clip, then truncate, never round.

    Args:
        x: Images of any range, modified.
        slack: What may miss from a grey level, in levels, for a value to count as that level.
        out: Where the result goes; the images themselves when not given.

    Returns:
        The same tensor, or `out`, its values k / 255 with k in 0..255.

    Example:
        >>> truncated(torch.tensor([-1.0, 0.9999, 1.5])).mul(255)
        tensor([  0., 254., 255.])
    """
    levels = x.clamp_(0.0, 1.0).mul_(255.0).add_(slack).floor_()
    return torch.div(levels, 255.0, out=x if out is None else out)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corruption(ABC, Generic[C, D]):
    """A corruption with five severities; subclasses say what is drawn and what is done with it.

    A subclass is a frozen dataclass (its fields are options, such as a folder of textures) with
    the class attributes below, and two methods: `_draw` makes all draws from `streams`, `_corrupt`
    returns new images, unclipped, from a draw that lies on their device. Images of 16 bits are
    computed on in 32; what a grey level was rounded to counts as that level, so that none is lost.
    """

    name: ClassVar[str]
    """The file's name in CIFAR-10-C."""

    constants: ClassVar[Mapping[int, Sequence[Any]]]
    """Five constants per preset, from `severities`."""

    channels: ClassVar[tuple[int, ...] | None] = None
    """Numbers of channels that make sense; None for any."""

    slack: ClassVar[float] = SLACK
    """What truncation to 8 bits forgives, in levels."""

    of_levels: ClassVar[bool] = False
    """Whether `_corrupt` returns grey levels k / 255 itself, so that truncation changes nothing."""

    @abstractmethod
    def _draw(self, streams: Streams, shape: tuple[int, int, int], constant: C) -> D:
        """Draw for images of shape (C, H, W): mostly a `Draw`, its tensors a row per image."""

    @abstractmethod
    def _corrupt(self, x: Tensor, draw: D) -> Tensor:
        """Corrupt images (N, C, H, W), float32 or float64, into a new tensor; not clipped yet."""

    def constant(self, severity: int, shape: Sequence[int], preset: int | None = None) -> C:
        """Look the constant up.

        Args:
            severity: 1 to 5.
            shape: The shape of the images, of which height and width are the last two.
            preset: 32, 64 or 224, or None for the rule of `preset_of`.

        Returns:
            The corruption's own kind of constant.

        Raises:
            InputError: If there is no such severity or preset.
        """
        if not _is_one_of(severity, SEVERITIES):
            raise InputError(f"`severity` must be 1, 2, 3, 4 or 5; got {severity!r}.")
        if preset is not None and not _is_one_of(preset, PRESETS):
            raise InputError(
                f"`preset` must be 32, 64 or 224, the sizes that constants are published for, or "
                f"None for the nearest; got {preset!r}."
            )
        size = preset_of(shape[-2], shape[-1]) if preset is None else int(preset)
        constant: C = self.constants[size][int(severity) - 1]
        return constant

    def sample(
        self, keys: Tensor, shape: Sequence[int], *, severity: int, preset: int | None = None
    ) -> D:
        """Make all draws of a batch, on the CPU, every image's from its own key.

        Args:
            keys: One key per image, shape (N,), int64.
            shape: The shape of the images, (C, H, W) or (N, C, H, W).
            severity: 1 to 5.
            preset: Constants of 32, 64 or 224 pixels; by the images' size when not given.

        Returns:
            The draw, to be handed to `apply`; constants included.
        """
        channels, height, width = self._checked_shape(shape)
        constant = self.constant(severity, shape, preset)
        whole = (channels, height, width)
        return made_for(self._draw(Streams(keys), whole, constant), whole)

    def apply(self, x: Tensor, draw: D, *, quantize: bool = True) -> Tensor:
        """Corrupt a batch by a given draw: deterministic, on the device of the images.

        Args:
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            draw: What `sample` returned for images of this shape.
            quantize: Whether to truncate to 8 bits as the originals do.

        Returns:
            Corrupted images in [0, 1], same shape, dtype and device.

        Raises:
            InputError: If the draw is none, or one for other images in number or size.
        """
        self._checked_shape(_checks.images(x, values=False).shape)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not quantize):
            out = self._corrupted(x, draw)
            if not quantize:
                out = out.clamp(0.0, 1.0)
            elif not self.of_levels:
                out = truncated(out, slack=self.slack)
        return out.to(x.dtype)

    @torch.no_grad()
    def _write(self, x: Tensor, draw: D, out: Tensor, *, quantize: bool) -> None:
        """Write what `apply` returns into `out`, without a pass of its own where possible."""
        if not quantize or self.of_levels or x.dtype not in {torch.float32, torch.float64}:
            out.copy_(self.apply(x, draw, quantize=quantize))
            return
        truncated(self._corrupted(x, draw), slack=self.slack, out=out)

    def _corrupted(self, x: Tensor, draw: D) -> Tensor:
        """Corrupt in full precision, and to the same bits whatever the layout in memory."""
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        # Under autocast the places that the elastic transform reads would be eighths of a pixel.
        with torch.autocast(x.device.type, enabled=False):
            return self._corrupt(_full(x, dtype).contiguous(), placed(draw, x, dtype))

    def __call__(
        self,
        x: Tensor,
        *,
        severity: int,
        rng: torch.Generator | None = None,
        keys: Tensor | None = None,
        preset: int | None = None,
        quantize: bool = True,
    ) -> Tensor:
        """Corrupt a batch; N images give what N batches of one give.

        Args:
            x: Images, shape (N, C, H, W), in [0, 1]; not modified.
            severity: 1 to 5.
            rng: Yields one key per image, in order; torch's global generator when not given.
            keys: The keys themselves, shape (N,), int64; then nothing is drawn from `rng`.
            preset: Constants of 32, 64 or 224 pixels; by the images' size when not given.
            quantize: Whether to truncate to 8 bits as the originals do.

        Returns:
            Corrupted images in [0, 1], same shape, dtype and device.

        Raises:
            InputError: If an argument is off, or the channels are not those of a picture.
        """
        n = _checks.images(x).shape[0]
        self._checked_shape(x.shape)
        self.constant(severity, x.shape, preset)
        keys = draw_keys(n, rng) if keys is None else _checked_keys(keys, n)
        parts = (
            (part, self.sample(own, x.shape, severity=severity, preset=preset))
            for part, own in _chunks(x, keys)
        )
        if not quantize and x.requires_grad:
            return torch.cat([self.apply(part, draw, quantize=False) for part, draw in parts])
        # Written as they come, so that a part's memory serves the next one too.
        out = _empty_like(x)
        with _memory_kept(x):
            for place, (part, draw) in zip(torch.split(out, _chunk_size(x)), parts, strict=True):
                self._write(part, draw, place, quantize=quantize)
        return out

    def _checked_shape(self, shape: Sequence[int]) -> tuple[int, int, int]:
        if len(shape) not in {3, 4}:
            raise InputError(f"`shape` must be (C, H, W) or (N, C, H, W); got {tuple(shape)}.")
        channels, height, width = shape[-3:]
        if self.channels is not None and channels not in self.channels:
            wanted = " or ".join(str(known) for known in self.channels)
            raise InputError(
                f"{self.name} works on colours, so `x` must have {wanted} channels; got {channels}."
            )
        return channels, height, width


def _full(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Widen images; a grey level that 16 bits have rounded is that level again."""
    full = x.to(dtype)
    if x.dtype not in {torch.float16, torch.bfloat16}:
        return full
    level = full.detach().mul(255.0).round_().div_(255.0)
    off = level - full.detach()
    near = off.abs() <= level * (torch.finfo(x.dtype).eps / 2)
    return full + off * near


def _is_one_of(value: object, known: Sequence[int]) -> bool:
    return not isinstance(value, bool) and np.ndim(value) == 0 and value in known  # type: ignore[arg-type]


def _checked_keys(keys: Tensor, n: int) -> Tensor:
    if not isinstance(keys, Tensor) or tuple(keys.shape) != (n,) or keys.dtype != torch.int64:
        got = f"{tuple(keys.shape)}, {keys.dtype}" if isinstance(keys, Tensor) else repr(keys)
        raise InputError(
            f"`keys` must be one integer per image, shape ({n},), int64; got {got}. "
            "corruptions.fixed_keys makes them from a seed."
        )
    return keys.detach().cpu()


def _chunks(x: Tensor, keys: Tensor) -> zip[tuple[Tensor, Tensor]]:
    size = _chunk_size(x)
    return zip(torch.split(x, size), torch.split(keys, size), strict=True)


def _chunk_size(x: Tensor) -> int:
    """Say how many images fit a CPU's cache, or an accelerator's memory, with their draws."""
    values = _CHUNK.get(x.device.type, _LARGE_CHUNK)
    return max(1, values // max(1, x[0].numel()))


def _empty_like(x: Tensor) -> Tensor:
    """Reserve contiguous memory for images of that shape."""
    size = x.numel() * x.element_size()
    if x.device.type != "cpu" or size < 2 * _HUGE_PAGE:
        return torch.empty(x.shape, dtype=x.dtype, device=x.device)
    # NumPy asks the system for huge pages: touching such memory first takes a fifth of the time.
    return torch.from_numpy(np.empty(size, np.uint8)).view(x.dtype).view(x.shape)


@contextmanager
def _memory_kept(x: Tensor) -> Generator[None]:
    """Have the parts of a call work in the same memory, which goes back when the call ends.

    A C library hands free memory back to the system from its end, so each part would begin by
    asking for fresh pages. While a little block behind it is held, what lies before it stays.
    """
    if x.device.type != "cpu" or len(x) <= _chunk_size(x):
        yield
        return
    block = _CHUNK["cpu"] * x.element_size()
    # The first of a size may be the system's own; it goes back, and the next ones lie in a row.
    torch.empty(block, dtype=torch.uint8)
    row = [torch.empty(block, dtype=torch.uint8) for _ in range(_WORK_BLOCKS)]
    stopper = torch.empty(_STOPPER, dtype=torch.uint8)
    row.clear()
    try:
        yield
    finally:
        del stopper
