"""A table with top-1 and top-5 error: made up on digits, both computed once more by hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from oracles import calibration as oracle
from vicinal import campaigns, data, records, report
from vicinal.campaigns import alps_tables
from vicinal.recipes import load

RECIPE = "alps/cifar10-preactresnet18"


@pytest.fixture(scope="module")
def campaign(
    tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, Any]
) -> campaigns.TableResult:
    """Table 4 with digits in the place of Tiny-ImageNet, ERM alone, one epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alps_tables, "recipe_name", lambda *_: RECIPE)
        return campaigns.reproduce(
            "alps/table-4",
            scale="smoke",
            seeds=1,
            only=["erm"],
            overrides=tiny,
            out=tmp_path_factory.mktemp("campaign"),
        )


def erm_cells(campaign: campaigns.TableResult) -> dict[str, dict[str, Any]]:
    return {
        cell["metric"]: cell
        for cell in campaign.records
        if cell.get("key") == "erm" and cell["model"] == "PreActResNet18"
    }


def test_both_errors_are_those_of_the_nets_logits(campaign: campaigns.TableResult) -> None:
    (folder,) = campaign.folders
    test = data.load("digits").test
    with torch.no_grad():
        z = load(folder / "erm-seed0")(test.x.float() / 255)
    cells = erm_cells(campaign)
    assert (cells["top1_error"]["paper"], cells["top5_error"]["paper"]) == (39.05, 18.25)
    for metric, k in (("top1_error", 1), ("top5_error", 5)):
        exact = oracle.top_k_error(z.tolist(), test.y.tolist(), k)
        assert cells[metric]["values"] == pytest.approx([100 * float(exact)], abs=1e-9)
        assert cells[metric]["images"] == len(test)
    assert 0 < cells["top5_error"]["mean"] < cells["top1_error"]["mean"]


def test_one_evaluation_gave_both(campaign: campaigns.TableResult) -> None:
    (folder,) = campaign.folders
    (record,) = records.read(folder / "erm-seed0" / "results.jsonl")
    assert record["top5_error"] < record["error"]


def test_they_stand_beside_each_other_and_beside_the_papers(
    campaign: campaigns.TableResult,
) -> None:
    section = report.sections(campaign.records)[0]
    row = dict(zip(section.header, section.rows[0], strict=True))
    cells = erm_cells(campaign)
    assert row["top-1 paper"] == "39.05±0.151"
    assert row["top-5 paper"] == "18.25"
    assert row["top-1 ours"] == f"{cells['top1_error']['mean']:.2f}"
    assert row["top-5 ours"] == f"{cells['top5_error']['mean']:.2f}"


def test_what_an_older_version_measured_is_measured_anew_for_the_top5_column_alone(
    campaign: campaigns.TableResult, tmp_path: Path, tiny: dict[str, Any]
) -> None:
    (folder,) = campaign.folders
    shutil.copytree(folder, tmp_path / folder.name)
    file = tmp_path / folder.name / "erm-seed0" / "results.jsonl"
    (new,) = records.read(file)
    old = {key: value for key, value in new.items() if key not in {"top5_error", "ece"}}
    records.rewrite(file, [old])
    again: dict[str, Any] = {"scale": "smoke", "seeds": 1, "only": ["erm"], "overrides": tiny}
    campaigns.reproduce("alps/table-2", out=tmp_path, **again)
    assert records.read(file) == [old]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alps_tables, "recipe_name", lambda *_: RECIPE)
        for _ in range(2):
            found = campaigns.reproduce("alps/table-4", out=tmp_path, **again)
    assert [record.get("top5_error") for record in records.read(file)] == [None, new["top5_error"]]
    assert erm_cells(found)["top5_error"]["values"] == [100 * new["top5_error"]]
