"""Our own tables: their rows, their columns, and the images that a sweep is judged on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vicinal import data, evaluation, records
from vicinal._checks import InputError
from vicinal.campaigns import cells, plan
from vicinal.campaigns.cells import CLEAN, Evaluating, Measurement
from vicinal.campaigns.notes import notes
from vicinal.campaigns.own_tables import TABLES, own_cells
from vicinal.recipes import files, loading, run

FEW = {"epochs": 1, "train_subset": 300, "validation": 200, "evaluation.split": "validation"}


def test_every_table_has_cells_without_a_papers_number() -> None:
    for table in TABLES:
        found = own_cells(table, scale="small", overrides={})
        assert found
        assert all(cell.table == table and cell.paper is None for cell in found)


def test_the_sweep_has_six_rows_and_each_attack_in_both_spaces() -> None:
    found = own_cells("alps/sweep", scale="small", overrides={})
    assert len({cell.key for cell in found}) == 6
    assert len(found) == 6 * 5
    for cell in found:
        assert (cell.threat is None) == (cell.condition == "clean")
        assert cell.condition.endswith(", normalised") == (
            cell.threat is not None and cell.threat.space == "normalised"
        )


def test_a_sweep_counts_and_judges_the_images_held_out(tmp_path: Path) -> None:
    name = "alps/cifar10-preactresnet18"
    trained = run.train(name, scale="smoke", overrides=FEW, run_dir=tmp_path / "run")
    request = plan.Request(
        table="alps/demo", scale="smoke", seeds=(0,), out=tmp_path, overrides=FEW
    )
    laid_out = plan.make_plan(request)
    assert {facts.images for facts in laid_out.facts.values()} == {200}
    told = " ".join(notes(laid_out, {}))
    assert "all 200 training images held out" in told
    assert "test images" not in told
    cells.measure(
        Evaluating(
            run_dir=trained.path,
            measurements=(Measurement(CLEAN, 200),),
            source_dir=None,
            data_dir=None,
            device="cpu",
        )
    )
    (record,) = records.read(trained.path / "results.jsonl")
    recipe = trained.recipe
    _, held = loading.splits(recipe, loading.open_images(recipe, None))
    assert isinstance(held, data.Split)
    net = run.load(trained.path)
    alone = evaluation.evaluate(net, (held.x.float() / 255, held.y))
    assert record["n"] == 200
    assert record["accuracy"] == alone["clean"]


def test_what_is_judged_on_is_what_the_recipe_says() -> None:
    recipe = files.recipe("alps/cifar10-vgg16", scale="smoke", overrides=FEW)
    images = loading.open_images(recipe, None)
    _, held = loading.splits(recipe, images)
    judged = loading.judged_on(recipe, images)
    assert isinstance(held, data.Split)
    assert isinstance(judged, data.Split)
    assert torch.equal(judged.x, held.x)
    usual = recipe.model_copy(
        update={"evaluation": recipe.evaluation.model_copy(update={"split": "test"})}
    )
    assert loading.judged_on(usual, images) is images.test
    none = recipe.model_copy(update={"validation": None})
    with pytest.raises(InputError, match=r"`validation` must say how many images are held out"):
        loading.judged_on(none, images)


def test_a_table_of_ours_changes_only_by_budgets() -> None:
    found = own_cells("alps/demo", scale="smoke", overrides={"evaluation.eps": 0.2, "epochs": 1})
    usual = own_cells("alps/demo", scale="smoke", overrides={})
    assert [replace(a, threat=None) for a in found] == [replace(a, threat=None) for a in usual]
    assert {cell.threat.eps for cell in found if cell.threat} == {0.2, float("inf")}
