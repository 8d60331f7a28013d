"""Every published data set, made up in its own layout, trained and evaluated by the commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

import layouts
import vicinal
from vicinal import campaigns, records
from vicinal.cli import main
from vicinal.recipes import paper_tables

TINY = ["--epochs", "1", "--model", "digits_net", "--model.width", "4", "--threads", "1"]
STREAMED = ["--augment.pad", "0", "--augment.size", "32", "--workers", "0"]


def _train(recipe: str, folder: Path, run: Path, *more: str) -> int:
    where = ["--data-dir", str(folder), "--run-dir", str(run)]
    return main(["train", recipe, "--method", "erm", *TINY, *where, *more])


def _evaluate(run: Path, *more: str) -> list[records.Record]:
    assert main(["evaluate", str(run), "--attack", "fgsm", "--threads", "1", *more]) == 0
    return records.read(run / "results.jsonl")


@pytest.mark.parametrize(
    ("name", "write", "classes", "images"),
    [
        ("svhn", layouts.svhn, 10, 20),
        ("tiny-imagenet", layouts.tiny_imagenet, 200, 40),
        ("tiny-imagenet-30", layouts.tiny_imagenet_30, 30, 30),
    ],
)
def test_sets_in_memory(
    tmp_path: Path, name: str, write: Callable[[Path], Path], classes: int, images: int
) -> None:
    run = tmp_path / "run"
    assert _train(f"alps/{name}-preactresnet18", write(tmp_path / "data"), run) == 0
    clean, attacked = _evaluate(run)
    assert {clean["dataset"], attacked["dataset"]} == {name}
    assert (clean["n"], attacked["n"]) == (images, images)
    assert vicinal.load(run)(torch.rand(1, 3, 64, 64)).shape == (1, classes)


@pytest.mark.parametrize(
    ("name", "write", "classes", "images", "view"),
    [
        ("imagenet", layouts.imagenet, 1000, 1000, "cropped"),
        ("imagenet-100", layouts.imagenet_100, 100, 100, "resized"),
    ],
)
def test_sets_that_stream(
    tmp_path: Path,
    name: str,
    write: Callable[[Path], Path],
    classes: int,
    images: int,
    view: str,
) -> None:
    run = tmp_path / "run"
    more = ["--dataset", name, *STREAMED]
    assert _train("alps/cifar10-preactresnet18", write(tmp_path / "data"), run, *more) == 0
    recipe = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["augment"] == {"pad": 0, "flip": True, "size": 32, "view": view}
    assert recipe["model"]["num_classes"] == classes
    assert recipe["model"]["mean"] == [0.485, 0.456, 0.406]
    found = _evaluate(run, "--n", "10")
    assert [(record["dataset"], record["n"]) for record in found] == [(name, images), (name, 10)]


def test_a_folder_of_images_with_worker_processes_and_images_held_out(tmp_path: Path) -> None:
    folder = layouts.class_tree(tmp_path / "pets", ["cat", "dog"], side=20, train=6, test=2)
    run = tmp_path / "run"
    more = ["--dataset", "image-folder", "--augment.size", "24", "--augment.pad", "0"]
    more += ["--workers", "1", "--validation", "4", "--batch-size", "4"]
    assert _train("alps/cifar10-preactresnet18", folder, run, *more) == 0
    # 12 images less 4 are 2 steps of 4.
    assert "lr" in records.read(run / "metrics.jsonl")[0]
    assert [record["n"] for record in _evaluate(run)] == [4, 4]


def test_a_resumed_run_may_have_other_workers(tmp_path: Path) -> None:
    folder = layouts.class_tree(tmp_path / "pets", ["cat", "dog"], side=20, train=3, test=1)
    more = ["--dataset", "image-folder", "--augment.size", "24", "--augment.pad", "0"]
    for workers in ("0", "3"):
        run = tmp_path / "run"
        assert _train("alps/cifar10-preactresnet18", folder, run, *more, "--workers", workers) == 0


def test_what_does_not_fit_the_set_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = "alps/cifar10-preactresnet18"
    for more, words in (
        (["--dataset", "image-folder"], "`augment.pad` must be 0 for image-folder"),
        (["--augment.size", "64"], "`augment.size` must be left out for cifar10"),
        (["--augment.view", "cropped"], "`augment.view` must be left out for cifar10"),
    ):
        assert _train(recipe, tmp_path, tmp_path / "run", *more) != 0
        assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_campaign_over_a_folder_of_images_keeps_what_it_measured(tmp_path: Path) -> None:
    folder = layouts.class_tree(tmp_path / "pets", ["cat", "dog"], side=20, train=6, test=2)
    fields = {"dataset": "image-folder", "augment.size": 16, "model.width": 4, "epochs": 1}

    def reproduce(workers: int) -> campaigns.TableResult:
        return campaigns.reproduce(
            "alps/demo",
            scale="smoke",
            seeds=1,
            data_dir=folder,
            out=tmp_path / "out",
            only=["erm"],
            overrides={**fields, "workers": workers},
        )

    found = reproduce(0)
    assert not found.failures
    erm = [cell for cell in found.records if cell.get("key") == "erm"]
    assert {cell["status"] for cell in erm} == {"ok"}
    kept = next(iter(found.folders)) / "erm-seed0" / "results.jsonl"
    lines = kept.read_text(encoding="utf-8")
    assert {record["n"] for record in records.read(kept)} == {4}
    # Another number of workers is no other campaign: nothing is trained or measured again.
    assert not reproduce(1).failures
    assert kept.read_text(encoding="utf-8") == lines


def test_table_1_trains_svhn_where_it_lies(tmp_path: Path) -> None:
    few = {"epochs": 1, "model.width": 4, "train_subset": 40, "batch_size": 20}
    found = campaigns.reproduce(
        "alps/table-1",
        scale="small",
        seeds=1,
        data_dir=layouts.svhn(tmp_path / "data"),
        out=tmp_path / "out",
        only=["erm"],
        models=["preactresnet18"],
        overrides=few,
    )
    done = [cell for cell in found.records if cell.get("status") == "ok"]
    assert [(cell["dataset"], cell["model"], cell["paper"]) for cell in done] == [
        ("SVHN", "PreActResNet18", paper_tables.rows("alps", "1")[0].value)
    ]
