"""M-TLAT's tables on a folder of pictures, one folder per class: trained, corrupted, printed."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
import torch

import layouts
import trees
from vicinal import campaigns, records, report
from vicinal.campaigns.under_corruption import measure_corruption, text_of
from vicinal.corruptions import SETS
from vicinal.data.image_folder import read_image_folder
from vicinal.data.pictures import read_picture
from vicinal.recipes import load

SIDE = 16
NET = {"model.name": "digits_net", "model.width": 4, "augment.size": SIDE, "workers": 0}
SHORT = {"epochs": 15, "batch_size": 6, "evaluation.attack_subset": 6}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give pictures of two classes that lie as ImageNet's: dark ones and less dark ones."""
    root = tmp_path_factory.mktemp("data") / "two"
    for part, n in (("train", 6), ("val", 3)):
        for label, wnid in enumerate(layouts.WNIDS[:2]):
            for k in range(n):
                noise = trees.random_pixels(100 * n + 10 * k + label, height=SIDE, width=SIDE)
                trees.write_picture(root / part / wnid / f"{k}.JPEG", noise // 4 + 80 * label)
    return root


@pytest.fixture(scope="module")
def campaign(folder: Path) -> campaigns.TableResult:
    """Table 2 in the paper's setting, but for the net and the pictures: TLAT."""
    return campaigns.reproduce(
        "m-tlat/table-2",
        scale="full",
        seeds=1,
        only=["tlat"],
        models=["resnet-50"],
        overrides={"dataset": "image-folder", **NET, **SHORT},
        data_dir=folder,
        out=folder.parent / "out",
    )


def of_tlat(campaign: campaigns.TableResult) -> dict[str, records.Record]:
    """Return the cells of the row that was run, by their column."""
    row = [cell for cell in campaign.records if cell.get("key") == "tlat"]
    return {cell["condition"]: cell for cell in row if cell["model"] == "ResNet-50"}


def test_every_number_of_the_row_is_measured(campaign: campaigns.TableResult) -> None:
    assert not campaign.failures
    cells = of_tlat(campaign)
    assert {cell["status"] for cell in cells.values()} == {"ok"}
    # Our copy of the paper's table cannot be read at TLAT under occlusion.
    assert set(SETS["all"]) - set(cells) == {"occlusion"}
    assert {cells[name]["images"] for name in SETS["all"] if name in cells} == {6}


def test_a_number_is_the_net_under_that_corruption_of_the_files(
    campaign: campaigns.TableResult, folder: Path
) -> None:
    test = read_image_folder(folder, size=SIDE).test
    x = torch.stack([read_picture(test.folder / name) for name in test.names]).float() / 255
    (run,) = [path / "tlat-seed0" for path in campaign.folders if "resnet50" in path.name]
    for name in ("brightness", "fog"):
        rng = torch.Generator().manual_seed(zlib.crc32(text_of(name).encode()))
        again = measure_corruption(load(run), [(x, test.y)], text_of(name), rng=rng)
        assert of_tlat(campaign)[name]["values"] == [again["robustness_score"]]


def test_it_stands_beside_the_papers(campaign: campaigns.TableResult) -> None:
    cell = of_tlat(campaign)["brightness"]
    assert 0 < cell["mean"] != 1
    part = report.markdown(campaign.records).split("brightness: robustness score")[1]
    row = next(line for line in part.splitlines() if line.startswith("| TLAT "))
    assert row.startswith(f"| TLAT | {cell['paper']:.2f} | {cell['mean']:.2f} |")


def test_without_the_folder_the_row_says_so(tmp_path: Path) -> None:
    found = campaigns.reproduce(
        "m-tlat/table-2", scale="full", seeds=1, only=["tlat"], data_dir=tmp_path, out=tmp_path
    )
    assert {cell["status"] for cell in of_tlat(found).values()} == {"no data"}
