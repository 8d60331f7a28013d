"""The elastic transform against OpenCV 3's and SciPy 1.0's arithmetic, pixel by pixel."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

import laws
import pictures
from oracles import corruption_digital as oracle
from vicinal import corruptions
from vicinal._checks import InputError
from vicinal.corruptions.elastic import Bend, affine_places, folded

CASES = (
    [(s, 32) for s in range(1, 6)] + [(s, 64) for s in (1, 2, 5)] + [(s, 224) for s in (1, 2, 4)]
)


@pytest.mark.parametrize(("severity", "preset"), CASES)
def test_equals_its_description_given_the_draws(severity: int, preset: int) -> None:
    """Constants of 224 pixels on 32 throw points far outside: every border rule is met."""
    x = pictures.batch(1, size=(32, 32))
    keys = torch.tensor([severity])
    draw = corruptions.elastic_transform.sample(keys, x.shape, severity=severity, preset=preset)
    got = pictures.levels(corruptions.elastic_transform.apply(x, draw))[0]
    corners, noise = draw.corners[0].double().numpy(), draw.noise[0].double().numpy()
    wanted = oracle.elastic(pictures.array(x[0]), corners, noise, draw.strength)
    off = np.abs(got - wanted.astype(int))
    assert off.max() <= 1
    assert (off > 0).mean() < 0.02


def test_the_affine_map_carries_three_points_to_where_they_were_moved() -> None:
    corners = torch.tensor([[[3.0, -2.0], [0.0, 1.0], [-1.0, 4.0]]])
    columns, rows = affine_places(corners, 40, 33)
    k, q = np.array([16, 20]), 11
    for sign, moved in zip(((1, 1), (1, -1), (-1, -1)), corners[0].int().numpy(), strict=True):
        old = k + q * np.array(sign)
        right, down = old + moved
        assert abs(float(columns[0, down, right]) - old[0]) <= 1 / 32
        assert abs(float(rows[0, down, right]) - old[1]) <= 1 / 32
    assert torch.equal((columns * 32).round(), columns * 32)


def test_folding_agrees_with_scipy_inside_and_with_its_old_rule_at_the_border() -> None:
    places = torch.linspace(-40.0, 60.0, 401, dtype=torch.float64)
    line = np.arange(10.0) ** 2
    wanted = []
    for place in places.tolist():
        row = oracle.reflected(place, 10)
        wanted.append(oracle.bilinear(np.stack([line, line], axis=1)[..., None], row, 0.0)[0])
    got = np.interp(folded(places, 10).numpy(), np.arange(10), line)
    assert np.allclose(got, wanted)
    inside = (places >= 0) & (places <= 9)
    today = ndimage.map_coordinates(line, [places[inside].numpy()], order=1, mode="reflect")
    assert np.allclose(got[inside.numpy()], today)


def test_severity_one_of_small_pictures_is_an_affine_map_alone() -> None:
    x = pictures.batch(2)
    draw = corruptions.elastic_transform.sample(torch.tensor([1, 2]), x.shape, severity=1)
    assert draw.noise.numel() == 0
    still = dataclasses.replace(draw, corners=torch.zeros(2, 3, 2))
    assert torch.equal(corruptions.elastic_transform.apply(x, still), x)


def test_without_displacement_nothing_moves_and_draws_keep_their_reach() -> None:
    x = pictures.batch(1, size=(30, 41))
    none = Bend(corners=torch.zeros(1, 3, 2), noise=torch.zeros(1, 2, 30, 41), strength=(3, 2, 1))
    assert torch.equal(corruptions.elastic_transform.apply(x, none), x)
    draw = corruptions.elastic_transform.sample(torch.arange(64), (1, 8, 8), severity=3)
    assert 0.9 * 1.92 < float(draw.corners.abs().max()) <= 1.92 + 1e-6
    assert float(draw.noise.abs().max()) <= 1


def test_a_picture_of_two_pixels_has_no_third_of_its_side() -> None:
    with pytest.raises(InputError) as caught:
        corruptions.elastic_transform(torch.zeros(1, 3, 2, 5), severity=1)
    laws.assert_one_line(caught.value, "elastic_transform", "3 pixels", "2 x 5")
