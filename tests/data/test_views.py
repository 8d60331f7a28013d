from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trees import random_pixels
from vicinal.data.views import Window, draw_window, evaluation_view, training_view


def picture(height: int = 60, width: int = 80, *, seed: int = 0) -> Image.Image:
    return Image.fromarray(random_pixels(seed, height=height, width=width))


def squeezed(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float64]:
    """Bilinear interpolation with antialiasing in float64: triangles as wide as a target pixel."""

    def weights(source: int, target: int) -> NDArray[np.float64]:
        scale = source / target
        reach = max(scale, 1.0)
        centre = (np.arange(target) + 0.5) * scale
        distance = np.abs(np.arange(source) + 0.5 - centre[:, None]) / reach
        kept: NDArray[np.float64] = np.clip(1 - distance, 0, None)
        kept /= kept.sum(axis=1, keepdims=True)
        return kept

    rows, columns = weights(pixels.shape[0], height), weights(pixels.shape[1], width)
    wide = np.tensordot(rows, pixels.astype(np.float64), axes=(1, 0))
    found: NDArray[np.float64] = np.tensordot(wide, columns, axes=(1, 1)).transpose(0, 2, 1)
    return found


def assert_near(seen: Image.Image, wanted: NDArray[np.float64]) -> None:
    # Pillow rounds to bytes after each of its two passes.
    assert np.abs(np.asarray(seen, dtype=np.float64) - wanted).max() <= 1.01


@pytest.mark.parametrize(("height", "width"), [(60, 80), (80, 60), (20, 20), (7, 90), (32, 32)])
def test_resized_squeezes_the_whole_picture(height: int, width: int) -> None:
    whole = picture(height, width)
    wanted = squeezed(np.asarray(whole), 32, 32)
    assert_near(evaluation_view(whole, size=32, view="resized"), wanted)
    trained = training_view(whole, size=32, view="resized", flip=False, key=5)
    assert_near(trained, wanted)


@pytest.mark.parametrize(
    ("height", "width", "high", "wide"),
    [
        (60, 80, 64, 85),
        (80, 60, 85, 64),
        (500, 375, 85, 64),
        (50, 33, 96, 64),
        (33, 33, 64, 64),
        (64, 200, 64, 200),
    ],
)
def test_cropped_evaluates_on_the_middle_of_the_picture(
    height: int, width: int, high: int, wide: int
) -> None:
    whole = picture(height, width)
    top, left = round((high - 56) / 2), round((wide - 56) / 2)
    wanted = squeezed(np.asarray(whole), high, wide)[top : top + 56, left : left + 56]
    assert_near(evaluation_view(whole, size=56, view="cropped"), wanted)


def test_cropped_at_224_takes_224_of_256() -> None:
    whole = picture(300, 400)
    wanted = squeezed(np.asarray(whole), 256, 341)[16:240, 58:282]
    assert_near(evaluation_view(whole, size=224, view="cropped"), wanted)


def test_cropped_trains_on_the_window_that_its_key_draws() -> None:
    whole = picture(90, 120)
    for key in range(5):
        window = draw_window(120, 90, random.Random(key))
        part = np.asarray(whole)[window.top : window.bottom, window.left : window.right]
        seen = training_view(whole, size=32, view="cropped", flip=False, key=key)
        assert_near(seen, squeezed(part, 32, 32))


@pytest.mark.parametrize("view", ["resized", "cropped"])
def test_a_key_decides_and_half_of_the_keys_mirror(view: str) -> None:
    whole, mirrored = picture(), 0
    make: Callable[..., Image.Image] = training_view
    for key in range(400):
        plain = np.asarray(make(whole, size=16, view=view, flip=False, key=key))
        seen, again = (
            np.asarray(make(whole, size=16, view=view, flip=True, key=key)) for _ in range(2)
        )
        assert np.array_equal(seen, again)
        turned = np.array_equal(seen, plain[:, ::-1])
        assert turned or np.array_equal(seen, plain)
        mirrored += turned
    # A fair coin is off by 5 deviations or more, 50 of 400, once in 10^6 choices of keys.
    assert abs(mirrored - 200) < 50


def test_keys_that_agree_in_their_low_32_bits_draw_apart() -> None:
    draws = {draw_window(1000, 1000, random.Random(7 + (k << 32))) for k in range(1, 21)}
    assert len(draws) == 20


@pytest.mark.parametrize(("width", "height"), [(500, 375), (40, 30), (30, 40), (3, 500), (1, 1)])
def test_a_window_lies_inside_and_has_a_ratio_in_bounds(width: int, height: int) -> None:
    rng = random.Random(1)
    for _ in range(500):
        window = draw_window(width, height, rng)
        assert 0 <= window.left < window.right <= width
        assert 0 <= window.top < window.bottom <= height
        w, h = window.right - window.left, window.bottom - window.top
        # Sides are rounded to whole pixels; a strip of one pixel may miss the ratio by that much.
        assert (w + 0.5) / max(h - 0.5, 0.25) >= 3 / 4
        assert max(w - 0.5, 0.25) / (h + 0.5) <= 4 / 3


def distance_to_uniform(values: list[float]) -> float:
    """The Kolmogorov-Smirnov distance, times the square root of the number of values."""
    ordered, n = sorted(values), len(values)
    gaps = (max((k + 1) / n - v, v - k / n) for k, v in enumerate(ordered))
    return max(gaps) * math.sqrt(n)


def windows(n: int) -> list[Window]:
    rng = random.Random(3)
    return [draw_window(100_000, 100_000, rng) for _ in range(n)]


def test_areas_ratios_and_places_are_uniform_where_every_window_fits() -> None:
    """Below 3/4 of the area no ratio is too long for a square, so nothing is drawn anew.

    The distance exceeds 2.7 with probability 2 exp(-2 2.7^2) < 10^-6, in each of the four.
    """
    areas, ratios, lefts, tops = [], [], [], []
    for left, top, right, bottom in windows(20_000):
        w, h = right - left, bottom - top
        if w * h < 0.75e10:
            areas.append((w * h / 1e10 - 0.08) / (0.75 - 0.08))
            ratios.append((math.log(w / h) / math.log(4 / 3) + 1) / 2)
            lefts.append(left / (100_000 - w))
            tops.append(top / (100_000 - h))
    for values in (areas, ratios, lefts, tops):
        assert len(values) > 10_000
        assert distance_to_uniform(values) < 2.7
    assert distance_to_uniform([value**1.1 for value in areas]) > 2.7


def test_what_never_fits_is_the_largest_window_in_the_middle() -> None:
    rng = random.Random(0)
    assert draw_window(1000, 10, rng) == Window(493, 0, 506, 10)
    assert draw_window(10, 1000, rng) == Window(0, 493, 10, 506)
