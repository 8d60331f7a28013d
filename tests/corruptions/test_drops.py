"""Spatter: mud against SciPy; the pieces of water against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pictures
from oracles import corruption_weather as oracle
from vicinal import corruptions
from vicinal.corruptions.drops import distances, edges, equalised


@pytest.mark.parametrize("preset", corruptions.PRESETS)
@pytest.mark.parametrize("severity", [4, 5])
def test_mud_equals_its_description_given_the_draws(severity: int, preset: int) -> None:
    x = pictures.batch(2)
    draw = corruptions.spatter.sample(
        torch.tensor([1, 2]), x.shape, severity=severity, preset=preset
    )
    got = pictures.levels(corruptions.spatter.apply(x, draw))
    for image, noise, row in zip(x, draw.noise, got, strict=True):
        wanted = oracle.mud(pictures.array(image), noise[0].double().numpy(), draw.strength)
        off = np.abs(row - wanted.astype(int))
        assert (off > 1).mean() < 1e-3
        assert (off > 0).mean() < 0.01


def test_water_only_brightens_and_mud_hides() -> None:
    x = pictures.batch(4) * 0.5
    wet = corruptions.spatter(x, severity=1, keys=torch.arange(4), quantize=False)
    assert float((wet - x).min()) >= 0
    assert 0.005 < float(((wet - x).amax(dim=1) > 0.01).float().mean()) < 0.95
    # The thickest drop of each picture gets the whole strength of the pale colour.
    assert torch.allclose((wet - x)[:, 1].amax(dim=(1, 2)), torch.tensor(0.5 * 238 / 255))
    assert torch.allclose((wet - x)[:, 0] * 238, (wet - x)[:, 1] * 175, atol=1e-3)


def test_distances_are_those_of_the_steps() -> None:
    rng = torch.Generator().manual_seed(0)
    goals = torch.rand(2, 1, 24, 30, generator=rng) < 0.01
    got = distances(goals).clamp(max=20)
    rows, columns = np.indices((24, 30))
    for field, goal in zip(got[:, 0].numpy(), goals[:, 0].numpy(), strict=True):
        wanted = np.full((24, 30), 20.0)
        for y, x in np.argwhere(goal):
            a, b = np.abs(rows - y), np.abs(columns - x)
            far, near = np.maximum(a, b), np.minimum(a, b)
            steep = (far - near) * 2.1969 + (2 * near - far) * 1.4
            wanted = np.minimum(
                wanted, np.where(2 * near <= far, far - 2 * near + near * 2.1969, steep)
            )
        assert np.allclose(field, wanted, atol=1e-4)


def test_edges_are_thin_connected_and_above_the_thresholds() -> None:
    flat = torch.full((1, 1, 12, 12), 90.0)
    assert not edges(flat).any()
    for height, found in ((12.0, 0), (30.0, 0), (40.0, 12)):
        step = flat.clone()
        step[..., 6:] += height
        assert int(edges(step).sum()) == found, height
    # A weak part (gradient 120) stays where it is joined to a strong one (gradient 200).
    mixed = flat.clone()
    mixed[..., :6, 6:] += 50
    mixed[..., 6:, 6:] += 30
    found_rows = edges(mixed)[0, 0].any(dim=1)
    assert bool(found_rows.all())


def test_equalised_levels_follow_their_cumulative_share() -> None:
    levels = torch.tensor([3.0, 3.0, 5.0, 7.0, 7.0, 7.0]).view(1, 1, 2, 3)
    assert equalised(levels).flatten().tolist() == [0, 0, round(255 / 4), 255, 255, 255]
    flat = torch.full((1, 1, 2, 3), 9.0)
    assert torch.equal(equalised(flat), flat)
