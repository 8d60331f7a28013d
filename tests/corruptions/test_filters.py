"""Filters against SciPy and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from vicinal.corruptions.filters import (
    Border,
    clipped_zoom,
    convolve,
    edge_indices,
    gaussian_filter,
    gaussian_weights,
    motion_taps,
    padded,
)

NUMPY = {"nearest": "edge", "reflect": "symmetric", "mirror": "reflect"}


@pytest.mark.parametrize("border", ["nearest", "reflect", "mirror"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_borders_are_numpys_however_often_they_fold(border: Border, n: int) -> None:
    row = np.arange(n)
    wanted = np.pad(row, (7, 11), mode=NUMPY[border])  # type: ignore[call-overload]
    assert edge_indices(n, 7, 11, border).tolist() == wanted.tolist()
    image = torch.rand(1, 2, n, 4)
    both = np.pad(image, ((0, 0), (0, 0), (1, 2), (3, 6)), mode=NUMPY[border])  # type: ignore[call-overload]
    assert np.array_equal(padded(image, (1, 2), (3, 6), border), both)


@pytest.mark.parametrize("border", ["nearest", "reflect", "mirror"])
@pytest.mark.parametrize("sigma", [0.05, 0.4, 1.7, 12.0, 40.0])
@pytest.mark.parametrize("truncate", [3.0, 4.0])
def test_the_gaussian_is_scipys(border: Border, sigma: float, truncate: float) -> None:
    x = torch.rand(2, 2, 21, 15, dtype=torch.float64)
    got = gaussian_filter(x, sigma, truncate=truncate, border=border)
    axes = (0, 0, sigma, sigma)
    wanted = ndimage.gaussian_filter(x.numpy(), axes, mode=border, truncate=truncate)
    assert np.allclose(got, wanted, rtol=0, atol=1e-12)


def test_no_sigma_changes_nothing_but_returns_a_new_tensor() -> None:
    x = torch.rand(1, 1, 4, 4)
    got = gaussian_filter(x, 0.0)
    assert torch.equal(got, x)
    assert got.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("radius", [0, 1, 3, 4, 9])
@pytest.mark.parametrize("size", [(20, 17), (5, 3)])
def test_a_kernel_is_a_correlation_mirrored_at_the_border(
    radius: int, size: tuple[int, int]
) -> None:
    rows = np.outer(gaussian_weights(2.0, radius), gaussian_weights(3.0, radius))
    rows[-1, -1] = 0.3
    half = np.concatenate([rows[:0:-1], rows])
    kernel = np.concatenate([half[:, :0:-1], half], axis=1)
    x = torch.rand(2, 3, *size, dtype=torch.float64)
    got = convolve(x, tuple(map(tuple, kernel.tolist())))
    wanted = ndimage.correlate(x.numpy(), kernel[None, None], mode="mirror")
    assert np.allclose(got, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("zoom", [1.0, 1.01, 1.3, 2.0, 4.5])
@pytest.mark.parametrize("side", [9, 32, 50])
def test_zoom_is_scipys_of_order_1(zoom: float, side: int) -> None:
    x = torch.rand(1, 2, side, side, dtype=torch.float64)
    got = clipped_zoom(x, zoom)
    crop = int(np.ceil(side / zoom))
    top = (side - crop) // 2
    inner = x.numpy()[..., top : top + crop, top : top + crop]
    large = ndimage.zoom(inner, (1, 1, zoom, zoom), order=1)
    trim = (large.shape[-1] - side) // 2
    wanted = large[..., trim : trim + side, trim : trim + side]
    assert np.allclose(got, wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("angle", [-135.0, -45.0, 0.0, 20.0, 90.0])
def test_motion_taps_are_steps_along_the_ray(angle: float) -> None:
    taps = motion_taps(7.0, 3.0, angle)
    direction = np.array([np.sin(np.radians(angle)), np.cos(np.radians(angle))])
    places = np.array([tap[:2] for tap in taps])
    assert sum(tap[2] for tap in taps) == pytest.approx(1.0, abs=1e-7)
    assert tuple(places[0]) == (0, 0)
    off = places - np.outer(places @ direction, direction)
    assert np.abs(off).max() <= 1.0  # beside the ray by the rounding of a step only
    assert (places @ direction >= -1e-9).all()
    assert np.linalg.norm(places, axis=1).max() == pytest.approx(14.0, abs=1.0)
    assert taps[0][2] > taps[-1][2]
