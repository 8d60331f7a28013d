"""Blur against its description, by SciPy and loops given the same draws: to one grey level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

import pictures
from oracles import corruption_blur as oracle
from vicinal import corruptions
from vicinal.corruptions import blur
from vicinal.corruptions.blur import Glass, Optics, Ray, disk, zooms
from vicinal.corruptions.severities import DEFOCUS_BLUR, ZOOM_BLUR

KEYS = torch.tensor([11, 12])
every_case = pytest.mark.parametrize(
    ("preset", "severity"),
    [(preset, severity) for preset in corruptions.PRESETS for severity in corruptions.SEVERITIES],
)


def levels_off(name: str, severity: int, preset: int, size: tuple[int, int]) -> Any:
    """Corrupt two pictures, and compare with the oracle of that name."""
    corruption = corruptions.CORRUPTIONS[name]
    x = pictures.batch(2, size=size)
    draw = corruption.sample(KEYS, x.shape, severity=severity, preset=preset)
    got = pictures.levels(corruption.apply(x, draw))
    wanted = [described(draw, name, i, pictures.array(image)) for i, image in enumerate(x)]
    return np.abs(got - np.stack(wanted).astype(int))


def described(draw: Any, name: str, i: int, x: Any) -> Any:
    match draw:
        case Optics(numbers=(sigma,)):
            return oracle.levels(oracle.gaussian(x, sigma))
        case Optics(numbers=(radius, sigma)):
            return oracle.defocus(x, radius, sigma)
        case Ray(angle=angle, radius=radius, sigma=sigma):
            return oracle.motion(x, radius, sigma, float(angle[i]))
        case Glass(places=places, sigma=sigma, reach=reach):
            return glass(x, places[i].numpy().astype(int), sigma, reach)
    raise AssertionError(name)


def glass(x: Any, codes: Any, sigma: float, reach: int) -> Any:
    down, right = np.zeros((2, len(codes), *x.shape[:2]), dtype=int)
    inside = np.s_[:, reach + 1 : x.shape[0] - reach + 1, reach + 1 : x.shape[1] - reach + 1]
    down[inside] = codes // (2 * reach) - reach
    right[inside] = codes % (2 * reach) - reach
    return oracle.glass(x, down, right, sigma, reach)


@every_case
@pytest.mark.parametrize("name", ["defocus_blur", "gaussian_blur", "motion_blur"])
def test_equals_its_description_given_the_draws(name: str, preset: int, severity: int) -> None:
    off = levels_off(name, severity, preset, (37, 41))
    assert off.max() <= 1
    # A disk of five pixels means fifths of levels: many sums lie on the edge of one.
    assert (off > 0).mean() < (0.15 if name == "defocus_blur" else 0.01)


@every_case
def test_defocus_blur_equals_its_description_before_truncation(preset: int, severity: int) -> None:
    x = pictures.batch(2, size=(37, 41)).double() * 0.9
    numbers = DEFOCUS_BLUR[preset][severity - 1]
    got = corruptions.defocus_blur(x, severity=severity, preset=preset, quantize=False)
    for image, row in zip(x, got, strict=True):
        kernel = oracle.disk(*numbers)[:, :, None]
        wanted = ndimage.correlate(pictures.array(image), kernel, mode="mirror")
        assert np.allclose(pictures.array(row), wanted, rtol=0, atol=1e-9)


@every_case
def test_glass_blur_equals_its_loop_given_the_draws(preset: int, severity: int) -> None:
    off = levels_off("glass_blur", severity, preset, (24, 27))
    # A level lost where the first blur ends on the edge of one is spread by the second.
    assert off.max() <= 1
    assert (off > 0).mean() < 0.01


@every_case
@pytest.mark.parametrize("side", [32, 40])
def test_zoom_blur_equals_its_description(side: int, preset: int, severity: int) -> None:
    x = pictures.batch(2, size=(side, side))
    got = pictures.levels(corruptions.zoom_blur(x, severity=severity, preset=preset))
    numbers = ZOOM_BLUR[preset][severity - 1]
    for image, row in zip(x, got, strict=True):
        off = np.abs(row - oracle.zoom_blur(pictures.array(image), *numbers).astype(int))
        assert off.max() <= 1
        assert (off > 0).mean() < 0.01


@pytest.mark.parametrize("preset", corruptions.PRESETS)
def test_zooms_are_numpys_range(preset: int) -> None:
    for stop, step in ZOOM_BLUR[preset]:
        assert list(zooms(stop, step)) == np.arange(1, stop, step).tolist()
    counts = [len(zooms(*end)) for end in ZOOM_BLUR[preset]]
    assert counts == ([12, 16, 11, 13, 11] if preset == 224 else [7, 12, 16, 21, 26])


@pytest.mark.parametrize(
    ("preset", "sums", "centres"),
    [
        (224, (1, 1, 1, 1.01298, 1.01079), (0.03448, 0.02041, 0.00885, 0.00508, 0.00315)),
        (64, (1, 1, 1, 1, 1), (0.44521, 0.2, 0.11111, 0.04762, 0.03448)),
        (32, (1, 1, 1, 1, 1), (0.84497, 0.61935, 0.44521, 0.2, 0.11111)),
    ],
)
def test_kernels_out_of_focus_have_the_published_weights(
    preset: int, sums: tuple[float, ...], centres: tuple[float, ...]
) -> None:
    for numbers, total, centre in zip(DEFOCUS_BLUR[preset], sums, centres, strict=True):
        kernel = np.array(disk(*numbers))
        wanted = oracle.disk(*numbers)
        margin = (len(wanted) - len(kernel)) // 2
        assert np.allclose(np.pad(kernel, margin), wanted, rtol=0, atol=1e-12)
        assert kernel.sum() == pytest.approx(total, abs=6e-6)
        assert kernel[len(kernel) // 2, len(kernel) // 2] == pytest.approx(centre, abs=6e-6)


def test_motion_follows_its_ray_and_moves_content_to_the_left() -> None:
    point = torch.zeros(1, 1, 9, 40)
    point[..., 4, 30] = 1.0
    draw = Ray(angle=torch.zeros(1), radius=6.0, sigma=3.0)
    moved = blur.MotionBlur().apply(point, draw, quantize=False)[0, 0]
    weights = np.exp(-(np.arange(13) ** 2) / 18.0)
    assert np.allclose(moved[4, 30 - np.arange(13)], weights / weights.sum(), atol=1e-6)
    assert float(moved.sum()) == pytest.approx(1.0, abs=1e-5)
    assert not moved[:4].any()


def test_severities_3_and_4_of_motion_coincide_at_32_pixels() -> None:
    x = pictures.batch(2)
    three, four = (corruptions.motion_blur(x, severity=s, keys=KEYS) for s in (3, 4))
    assert torch.equal(three, four)


def test_glass_blur_leaves_the_first_rows_and_columns_to_the_blurs() -> None:
    x = pictures.batch(1, size=(20, 20))
    thin = Glass(places=torch.zeros(1, 1, 18, 18, dtype=torch.uint8), sigma=0.05, reach=1)
    out = blur.GlassBlur().apply(x, thin)
    assert torch.equal(out[..., :2, :], x[..., :2, :])
    assert torch.equal(out[..., :2], x[..., :2])
    assert torch.equal(out[..., 2:, 2:], x[..., 1:-1, 1:-1])


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 9)])
@pytest.mark.parametrize("name", ["defocus_blur", "gaussian_blur", "motion_blur", "glass_blur"])
def test_a_picture_smaller_than_the_kernel_folds_it(name: str, size: tuple[int, int]) -> None:
    off = levels_off(name, 5, 224, size)
    assert off.max() <= 1


def test_zoom_blur_takes_pictures_that_are_not_square() -> None:
    wide = torch.linspace(0, 1, 60).expand(1, 3, 30, 60).contiguous()
    out = corruptions.zoom_blur(wide, severity=5, quantize=False)
    # A ramp enlarged about its middle is a ramp of the same middle: it only gets flatter.
    assert torch.allclose(out[..., 0, :], out[..., 15, :], atol=1e-5)
    assert torch.allclose(out + out.flip(-1), torch.ones(()), atol=0.02)
