"""The papers' claims beside the family's own table: the right row, the right attack, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vicinal.campaigns.family_claims import CLAIMS, claimed, told
from vicinal.campaigns.family_tables import METHODS, family_cells
from vicinal.campaigns.threats import Threat

_PGD = Threat(name="pgd", eps=8 / 255, step_size=2 / 255, steps=20, random_start=True)


@pytest.mark.parametrize(
    ("key", "clean", "pgd", "margin"),
    [
        ("r-mc-la", 90.8, 54.6, 53.7),
        ("avmixup", 93.24, 58.23, 53.63),
        ("pgd-10", 86.88, 46.34, 47.35),
        ("fs-avmixup", 92.37, 82.31, 71.88),
        ("madry-la", 86.8, 53.2, None),
        ("trades", 84.92, 56.61, None),
        ("fgsm", 55.2, None, None),
        ("cutmix", None, None, None),
    ],
)
def test_papers_rows(
    key: str, clean: float | None, pgd: float | None, margin: float | None
) -> None:
    found = [claimed(key, threat) for threat in (None, _PGD, replace(_PGD, loss="margin"))]
    assert found == [clean, pgd, margin]


def test_every_claim_is_found_and_belongs_to_a_method() -> None:
    assert set(CLAIMS) <= set(METHODS)
    assert all(claimed(key, None) is not None for key in CLAIMS)


@pytest.mark.parametrize(
    "other",
    [
        replace(_PGD, eps=4 / 255),
        replace(_PGD, steps=10),
        replace(_PGD, step_size=1 / 255),
        replace(_PGD, name="apgd"),
    ],
)
def test_another_attack_has_no_claim(other: Threat) -> None:
    assert claimed("r-mc-la", other) is None


def test_digits_have_none() -> None:
    cells = family_cells("family/demo", scale="smoke", overrides={})
    assert all(cell.paper is None for cell in cells)


def test_cells_carry_them() -> None:
    cells = family_cells("family/small", scale="small", overrides={})
    assert [cell.paper for cell in cells if cell.key == "r-mc-la"] == [90.8, 54.6, 53.7]


def test_sources_are_told() -> None:
    assert "BAT 3, 5, 6" in told()
    assert "AVmixup 1, 3, 5" in told()
