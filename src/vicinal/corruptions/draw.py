"""A draw as a value: what it was made for, and how it comes to the images that it is applied to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from vicinal._checks import InputError
from vicinal.maths.randomness import moved

__all__ = ["Draw", "made_for", "placed"]

D = TypeVar("D")


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What is drawn for a batch; a corruption's own adds its tensors, a row per image.

    Args:
        shape: The (C, H, W) that it was made for; not checked where it is None.
    """

    of_channels: ClassVar[bool] = False
    """Whether it depends on the number of channels, and not on the size alone."""
    shape: tuple[int, int, int] | None = dataclasses.field(default=None, compare=False)


def made_for(draw: D, shape: tuple[int, int, int]) -> D:
    """Note in a draw what images it was made for.

    Args:
        draw: The draw.
        shape: Their (C, H, W).

    Returns:
        The same draw with its shape; one of another class as it is.

    Example:
        >>> made_for(Draw(), (3, 32, 32))
        Draw(shape=(3, 32, 32))
    """
    return dataclasses.replace(draw, shape=shape) if isinstance(draw, Draw) else draw


def placed(draw: D, x: Tensor, dtype: torch.dtype) -> D:
    """Bring the tensors of a draw to the images' device, and its real ones to their precision.

    Args:
        draw: The draw.
        x: Images, shape (N, C, H, W).
        dtype: The precision.

    Returns:
        A draw whose tensors lie there.

    Raises:
        InputError: If it is no draw, or one for other images in number, size or channels.
    """
    if not dataclasses.is_dataclass(draw) or isinstance(draw, type):
        raise InputError(f"`draw` must be what `sample` returned; got {type(draw).__name__}.")
    if isinstance(draw, Draw):
        _check_shape(draw, x.shape[1:])
    found = {}
    for field in dataclasses.fields(draw):
        value = getattr(draw, field.name)
        if isinstance(value, Tensor):
            if len(value) != len(x):
                raise InputError(
                    f"`draw` must be of as many images as `x`, {len(x)}; got {len(value)}."
                )
            real = value.is_floating_point()
            found[field.name] = moved(value.to(dtype) if real else value, x.device)
    return dataclasses.replace(draw, **found)


def _check_shape(draw: Draw, shape: Sequence[int]) -> None:
    if draw.shape is None:
        return
    first = 0 if draw.of_channels else 1
    made, given = draw.shape[first:], tuple(shape[first:])
    if made != given:
        word = "(C, H, W)" if draw.of_channels else "(H, W)"
        raise InputError(
            f"`draw` must be made for images of {word} = {given}, as `x` has; got one made for "
            f"{made}. Did you mean to sample anew with x.shape?"
        )
