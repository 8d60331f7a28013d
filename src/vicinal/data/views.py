"""What a model sees of a picture of any size: a square of `size` pixels, by one of two named rules.

"resized" squeezes the whole picture into the square, in training and evaluation alike (M-TLAT:
"images only resized to 224"); its proportions are not kept. "cropped" is the rule of most ImageNet
papers: a training view is a random window of 8 to 100 % of the area and a ratio of 3/4 to 4/3
(C. Szegedy et al., 2015), squeezed into the square; an evaluation view is the middle of the picture
whose shorter side has become size / 0.875. Interpolation is bilinear with antialiasing, as Pillow
and torchvision do it. Either training view is mirrored with probability 1/2 where `flip` says so.

A training view is a function of the picture and one key.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["View", "Window", "draw_window", "evaluation_view", "training_view"]

View: TypeAlias = Literal["resized", "cropped"]

_AREA = (0.08, 1.0)
_RATIO = (3 / 4, 4 / 3)
_KEPT = 0.875
_TRIES = 10


class Window(NamedTuple):
    """A rectangle of pixels: left and top are inside, right and bottom outside."""

    left: int
    top: int
    right: int
    bottom: int


def draw_window(width: int, height: int, rng: random.Random) -> Window:
    """Draw a window of a picture: its area, its ratio, its place.

    The area is uniform on 8 to 100 % of the picture's, the logarithm of width over height on that
    of 3/4 to 4/3. What does not fit is drawn anew; after ten tries it is the largest window in the
    middle with a ratio in bounds.

    Args:
        width: Of the picture.
        height: Of the picture.
        rng: Where the draw comes from.

    Returns:
        The window.

    Example:
        >>> draw_window(1000, 10, random.Random(0))
        Window(left=493, top=0, right=506, bottom=10)
    """
    low, high = (math.log(ratio) for ratio in _RATIO)
    for _ in range(_TRIES):
        area = width * height * rng.uniform(*_AREA)
        ratio = math.exp(rng.uniform(low, high))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return _window(rng.randint(0, width - w), rng.randint(0, height - h), w, h)
    w = max(1, min(width, round(height * _RATIO[1])))
    h = max(1, min(height, round(width / _RATIO[0])))
    return _window((width - w) // 2, (height - h) // 2, w, h)


def _window(left: int, top: int, width: int, height: int) -> Window:
    return Window(left, top, left + width, top + height)


def training_view(picture: Image, *, size: int, view: View, flip: bool, key: int) -> Image:
    """Make a view to train on.

    Args:
        picture: The picture, in RGB.
        size: Pixels of the view's sides.
        view: "resized" or "cropped".
        flip: Whether to mirror it with probability 1/2.
        key: Decides window and mirroring; not used where nothing is drawn.

    Returns:
        The view, size x size.
    """
    # torch's own generator on the CPU keeps 32 bits of a seed, too few to tell all images apart.
    rng = random.Random(key)
    part = picture if view == "resized" else picture.crop(draw_window(*picture.size, rng))
    seen = _squeezed(part, size, size)
    if flip and rng.random() < 0.5:
        return _mirrored(seen)
    return seen


def evaluation_view(picture: Image, *, size: int, view: View) -> Image:
    """Make the view to evaluate on.

    Args:
        picture: The picture, in RGB.
        size: Pixels of the view's sides.
        view: "resized" or "cropped".

    Returns:
        The view, size x size.
    """
    if view == "resized":
        return _squeezed(picture, size, size)
    short, (width, height) = round(size / _KEPT), picture.size
    if width <= height:
        whole = _squeezed(picture, short, int(short * height / width))
    else:
        whole = _squeezed(picture, int(short * width / height), short)
    left, top = round((whole.width - size) / 2), round((whole.height - size) / 2)
    return whole.crop(_window(left, top, size, size))


def _squeezed(picture: Image, width: int, height: int) -> Image:
    from PIL.Image import Resampling

    return picture.resize((width, height), Resampling.BILINEAR)


def _mirrored(picture: Image) -> Image:
    from PIL.Image import Transpose

    return picture.transpose(Transpose.FLIP_LEFT_RIGHT)
