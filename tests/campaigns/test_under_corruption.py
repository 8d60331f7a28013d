"""Corruption columns: their keys, their numbers against a loop, and M-TLAT's table on digits."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vicinal import campaigns, data, records
from vicinal.campaigns.under_corruption import (
    AllSeverities,
    accuracy_of,
    corruptions_of,
    is_corruption,
    measure_corruption,
    text_of,
)
from vicinal.corruptions import CORRUPTIONS, SETS, draw_keys, fixed_keys
from vicinal.recipes import load

X, Y = torch.rand(12, 3, 16, 16), torch.arange(12) % 3


def net() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(768, 3)).eval()


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.mark.parametrize("name", SETS["all"])
def test_a_key_names_its_corruption(name: str) -> None:
    assert is_corruption(text_of(name))
    assert corruptions_of(text_of(name)) == {name: CORRUPTIONS[name]}


def test_keys_are_written_in_results_and_stay() -> None:
    assert text_of("glass_blur") == "corrupted(by=glass_blur)"
    assert text_of("frost") == "corrupted(by=frost, textures=procedural)"
    assert not is_corruption("pgd(eps=0.1)")


def test_a_measurement_is_the_mean_over_severities_beside_the_clean_accuracy() -> None:
    model, name = net(), "contrast"
    found = measure_corruption(model, [(X, Y)], text_of(name), rng=rng())
    seed, shares = int(draw_keys(1, rng())), []
    for severity in range(1, 6):
        keys = fixed_keys(torch.arange(12), seed=seed, name=name, severity=severity)
        bad = CORRUPTIONS[name](X, severity=severity, keys=keys)
        shares.append(float((model(bad).argmax(1) == Y).double().mean()))
    clean = float((model(X).argmax(1) == Y).double().mean())
    assert found["by_severity"] == pytest.approx(shares)
    assert found["accuracy"] == pytest.approx(sum(shares) / 5)
    assert found["robustness_score"] == pytest.approx(sum(shares) / 5 / clean)
    assert (found["n"], found["attack"]) == (12, text_of(name))


def test_a_set_is_measured_at_once_and_its_mean_leaves_out_what_cannot_be_compared() -> None:
    model, text = net(), text_of("all")
    assert text == "corrupted(by=all, textures=procedural)"
    assert text_of("common") == "corrupted(by=common, textures=procedural)"
    assert list(corruptions_of(text)) == list(SETS["all"])
    found = measure_corruption(model, [(X, Y)], text, rng=rng())
    assert found["by_corruption"].keys() == set(SETS["all"])
    seed, means = int(draw_keys(1, rng())), {}
    for name in SETS["all"]:
        shares = []
        for severity in range(1, 6):
            keys = fixed_keys(torch.arange(12), seed=seed, name=name, severity=severity)
            bad = CORRUPTIONS[name](X, severity=severity, keys=keys)
            shares.append(float((model(bad).argmax(1) == Y).double().mean()))
        assert found["by_corruption"][name] == pytest.approx(shares)
        means[name] = sum(shares) / 5
        assert accuracy_of(found, name) == pytest.approx(means[name])
    clean = float((model(X).argmax(1) == Y).double().mean())
    assert accuracy_of(found, "clean") == found["clean_accuracy"] == pytest.approx(clean)
    comparable = [means[name] for name in SETS["common"] if name != "frost"]
    assert found["accuracy"] == pytest.approx(sum(comparable) / 14)
    assert found["robustness_score"] == pytest.approx(sum(comparable) / 14 / clean)
    assert found["forward"] == 12 * 96
    assert AllSeverities(text=text)(model, X, Y, rng=rng()).passes == (95, 0)


def test_frost_is_measured_although_it_is_set_aside_elsewhere() -> None:
    found = measure_corruption(net(), [(X, Y)], text_of("frost"), rng=rng())
    assert 0 <= found["accuracy"] <= 1


def test_a_trial_costs_what_the_measurement_costs() -> None:
    found = AllSeverities(text=text_of("fog"))(net(), X, Y, rng=rng())
    assert found.passes == (5, 0)
    assert found.adv.shape == X.shape


@pytest.fixture(scope="module")
def campaign(
    tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, Any]
) -> tuple[campaigns.TableResult, Path]:
    """Table 1 with digits in the place of ImageNet, ERM on one net alone, one epoch."""
    out = tmp_path_factory.mktemp("campaign")
    found = campaigns.reproduce(
        "m-tlat/table-1",
        scale="smoke",
        seeds=1,
        only=["erm"],
        models=["resnet-50"],
        overrides=tiny,
        out=out,
    )
    return found, out


def test_every_cell_of_a_row_is_measured(
    campaign: tuple[campaigns.TableResult, Path],
) -> None:
    found, out = campaign
    row = [
        cell for cell in found.records if cell.get("key") == "erm" and cell["model"] == "ResNet-50"
    ]
    assert {cell["status"] for cell in row} == {"ok"}
    assert len(row) == 1 + 15 + 4 + 5
    folder = out / "m-tlat-imagenet-100-resnet50-smoke" / "erm-seed0"
    there = {record["attack"]: record for record in records.read(folder / "results.jsonl")}
    test = data.first(data.load("digits").test, 20)
    for name in ("fog", "rotation"):
        (cell,) = [cell for cell in row if cell["condition"] == name]
        assert cell["mean"] == there[text_of(name)]["robustness_score"]
        again = measure_corruption(
            load(folder),
            [(test.x.float() / 255, test.y)],
            text_of(name),
            rng=torch.Generator().manual_seed(zlib.crc32(text_of(name).encode())),
        )
        assert again["accuracy"] == there[text_of(name)]["accuracy"]
    (black,) = [cell for cell in row if "MI-FGSM-10 eps=0.1 " in cell["condition"]]
    assert black["source"] == "erm-seed1000"
