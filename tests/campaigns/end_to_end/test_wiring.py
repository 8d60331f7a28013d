"""From a campaign to its attacks: the numbers of a table, computed once more by hand."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
import torch

from vicinal import campaigns, data
from vicinal._typing import Attack
from vicinal.attacks import PGD, Transfer
from vicinal.recipes import load

N = 100
TEXT = "pgd(eps=0.1, step_size=0.025, steps=10, random_start=True, iterate=last)"
BLACK = f"transfer(source='erm-seed1000', attack={TEXT})"
ATTACK = PGD(eps=0.1, step_size=0.025, steps=10, random_start=True, iterate="last")


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> campaigns.TableResult:
    """Table 6 on digits, ALPS alone: one epoch, 100 attacked images."""
    return campaigns.reproduce(
        "alps/table-6",
        scale="smoke",
        seeds=1,
        only=["alps"],
        overrides={"epochs": 1, "evaluation.attack_subset": N},
        out=tmp_path_factory.mktemp("campaign"),
    )


def wrong(folder: Path, attack: Attack, text: str, part: slice = slice(N)) -> float:
    """Per cent of some test images on which the attack makes ALPS's net err."""
    test = data.load("digits").test
    x, y = test.x[part].float() / 255, test.y[part]
    rng = torch.Generator().manual_seed(zlib.crc32(text.encode()))
    adv = attack(load(folder / "alps-seed0"), x, y, rng=rng).adv
    with torch.no_grad():
        guess = load(folder / "alps-seed0")(adv).argmax(dim=1)
    return 100 * int((guess != y).sum()) / N


def test_the_campaigns_numbers_are_those_of_its_attacks_on_the_first_images(
    campaign: campaigns.TableResult,
) -> None:
    (folder,) = campaign.folders
    black = Transfer(source=load(folder / "erm-seed1000"), attack=ATTACK)
    for condition, attack, text in (("white-box", ATTACK, TEXT), ("black-box", black, BLACK)):
        (cell,) = (
            record
            for record in campaign.records
            if record.get("dataset") == "CIFAR-10"
            and record["key"] == "alps"
            and record["condition"].startswith(condition)
        )
        assert (cell["attack"], cell["images"]) == (text, N)
        assert cell["values"] == pytest.approx([wrong(folder, attack, text)], abs=1e-9)


def test_a_wrong_source_or_other_images_would_have_shown(campaign: campaigns.TableResult) -> None:
    """The oracle above tells apart what it must."""
    (folder,) = campaign.folders
    black = Transfer(source=load(folder / "erm-seed1000"), attack=ATTACK)
    itself = Transfer(source=load(folder / "alps-seed0"), attack=ATTACK)
    assert wrong(folder, black, BLACK) != wrong(folder, itself, BLACK)
    last = slice(-N, None)
    assert wrong(folder, ATTACK, TEXT) != wrong(folder, ATTACK, TEXT, last)
