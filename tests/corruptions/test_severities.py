"""The published constants, and what they do to photographs, beside what the originals did.

The values are those of the scripts of Hendrycks & Dietterich under the libraries of 2018, averaged
over 16 photographs of 32 pixels and 8 of 224. Ours must agree within 0.3 dB of PSNR, or within
4 standard errors of the mean absolute change over images and draws.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vicinal import corruptions
from vicinal.corruptions import severities

MEASURED: dict[int, dict[str, str]] = {
    224: {
        "gaussian_noise": "15.36/22.35 22.46/19.04 32.32/15.86 44.03/13.15 58.61/10.67",
        "shot_noise": "15.18/22.01 22.98/18.46 32.21/15.59 47.45/12.33 59.29/10.52",
        "impulse_noise": "3.83/19.97 7.66/16.97 11.49/15.21 21.70/12.45 34.43/10.45",
        "defocus_blur": "8.49/25.06 10.08/23.82 12.84/22.10 14.96/21.05 16.82/20.19",
        "glass_blur": "9.59/23.71 9.72/23.92 14.66/20.53 14.17/21.05 15.74/20.47",
        "motion_blur": "9.97/23.35 13.39/21.17 16.94/19.50 20.19/18.30 22.17/17.69",
        "zoom_blur": "14.77/20.68 17.41/19.55 18.97/19.12 20.82/18.49 22.48/18.05",
        "snow": "39.99/15.29 64.49/11.21 64.29/11.09 77.77/9.41 91.02/8.33",
        "fog": "42.83/14.19 47.56/13.29 51.47/12.56 51.58/12.51 54.21/12.07",
        "brightness": "18.15/22.32 35.00/16.52 49.00/13.49 60.99/11.46 70.27/10.09",
        "contrast": "31.43/17.32 36.68/15.98 41.92/14.82 47.15/13.80 49.77/13.33",
        "elastic_transform": "33.83/14.12 44.49/12.45 16.60/18.96 16.93/18.79 18.01/18.27",
        "pixelate": "5.08/28.42 5.83/27.59 7.23/25.70 8.70/24.30 9.70/23.54",
        "jpeg_compression": "6.50/28.57 7.37/27.60 7.97/27.00 9.42/25.71 11.20/24.37",
    },
    32: {
        "gaussian_noise": "7.93/28.12 11.79/24.68 15.56/22.27 17.41/21.30 19.23/20.44",
        "shot_noise": "5.42/30.98 7.63/28.01 11.95/24.15 13.74/22.95 16.71/21.27",
        "impulse_noise": "1.26/25.03 2.54/21.90 3.79/20.15 6.28/17.95 8.83/16.46",
        "defocus_blur": "1.64/40.77 3.92/33.12 5.85/29.62 7.76/27.12 10.58/24.47",
        "glass_blur": "11.85/20.97 12.03/21.06 11.85/21.81 18.92/18.08 18.12/18.70",
        "motion_blur": "7.56/26.71 11.14/23.54 13.93/21.80 13.93/21.80 16.22/20.65",
        "zoom_blur": "9.22/24.91 10.91/23.63 12.86/22.32 14.86/21.24 16.71/20.37",
        "snow": "10.50/25.74 23.42/19.69 25.23/18.55 36.82/15.82 51.87/13.27",
        "fog": "11.60/25.52 23.01/19.60 29.58/17.42 34.68/16.02 41.63/14.42",
        "brightness": "9.03/28.46 18.39/22.26 27.32/18.79 35.64/16.43 50.15/13.35",
        "contrast": "12.12/25.75 24.26/19.74 29.12/18.16 33.97/16.82 41.25/15.13",
        "elastic_transform": "22.19/17.83 20.32/18.54 18.38/19.40 17.03/19.96 14.30/21.22",
        "pixelate": "1.84/33.70 3.62/30.11 4.38/28.17 6.65/26.70 9.29/24.77",
        "jpeg_compression": "6.72/29.28 8.20/27.61 8.64/27.06 9.20/26.57 9.87/25.96",
    },
}
CASES = [(side, name) for side, rows in MEASURED.items() for name in rows]
SEEDS = {32: 40, 224: 10}


def photographs(side: int) -> Tensor:
    """Load the photographs (N, 3, side, side) that the values were measured on."""
    folder = os.environ.get("VICINAL_DATA_DIR")
    path = Path(folder or ".") / "corruption_photographs.npz"
    if folder is None or not path.exists():
        pytest.skip("VICINAL_DATA_DIR does not name a folder with corruption_photographs.npz")
    with np.load(path, allow_pickle=False) as arrays:
        return torch.from_numpy(arrays[f"x{side}"]).permute(0, 3, 1, 2).float() / 255


def change_and_psnr(x: Tensor, name: str, severity: int, seed: int) -> Tensor:
    """Measure every image: mean absolute change in levels, and PSNR in dB."""
    rng = torch.Generator().manual_seed(seed)
    bad = corruptions.CORRUPTIONS[name](x, severity=severity, rng=rng)
    off = (bad - x).double().flatten(1)
    psnr = -10 * off.square().mean(dim=1).log10()
    return torch.stack([255 * off.abs().mean(dim=1), psnr])


@pytest.mark.slow
@pytest.mark.parametrize("severity", corruptions.SEVERITIES)
@pytest.mark.parametrize(("side", "name"), CASES)
def test_photographs_change_as_much_as_in_the_originals(
    side: int, name: str, severity: int
) -> None:
    x = photographs(side)
    change, psnr = (float(v) for v in MEASURED[side][name].split()[severity - 1].split("/"))
    runs = torch.stack([change_and_psnr(x, name, severity, seed) for seed in range(SEEDS[side])])
    means = runs.mean(dim=(0, 2))
    error = runs.mean(dim=2).std(dim=0)[0]
    # The reference is an average over fewer draws than ours: its error is at least as large.
    near = abs(float(means[0]) - change) <= 4 * float(error) * math.sqrt(2) + 0.02
    wide = 0.5 if name == "jpeg_compression" else 0.3
    assert abs(float(means[1]) - psnr) <= wide or near, (means.tolist(), change, psnr)


def test_every_table_has_five_severities_for_every_size() -> None:
    tables = {
        name: table
        for name, table in vars(severities).items()
        if name.isupper() and not name.startswith("_") and isinstance(table, dict)
    }
    assert len(tables) >= 9
    for name, table in tables.items():
        assert set(table) == set(corruptions.PRESETS), name
        assert all(len(row) == 5 for row in table.values()), name
