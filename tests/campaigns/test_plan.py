"""What is left to do: cells are shared between tables, finished ones are not planned again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vicinal import records
from vicinal._checks import InputError
from vicinal.attacks import PGD
from vicinal.campaigns.cells import CLEAN, Evaluating, Measurement, Training
from vicinal.campaigns.plan import Plan, Request, Step, make_plan
from vicinal.campaigns.threats import source_name
from vicinal.data import ImageSet, Split
from vicinal.recipes import parse_attack, recipe, write


def plan(table: str, out: Path, **fields: Any) -> Plan:
    return make_plan(
        Request(table=table, **{"scale": "smoke", "seeds": (0, 1), "out": out, **fields})
    )


def trainings(steps: list[Step]) -> list[str]:
    return [step.task.run_dir.name for step in steps if isinstance(step.task, Training)]


def pretend(steps: list[Step]) -> None:
    """Leave behind what a task that is done leaves."""
    for step in steps:
        task = step.task
        task.run_dir.mkdir(parents=True, exist_ok=True)
        if isinstance(task, Evaluating):
            for attack, n in task.measurements:
                record = {"attack": attack, "n": n, "hardware": "h", "threads": 1, "date": "d"}
                records.append(task.run_dir / "results.jsonl", record)
            continue
        chosen = recipe(
            task.recipe,
            method=task.method,
            scale=task.scale,
            seed=task.seed,
            overrides=task.overrides,
        )
        (task.run_dir / "recipe.yaml").write_text(write(chosen), encoding="utf-8")
        (task.run_dir / "weights.safetensors").touch()


def test_a_clean_table_trains_every_row_and_seed_and_needs_no_source(tmp_path: Path) -> None:
    steps = plan("alps/table-2", tmp_path).steps
    methods = ("erm", "dropout", "label-smoothing", "mixup", "alps")
    assert trainings(steps) == [f"{m}-seed{k}" for k in (0, 1) for m in methods]
    for step in steps:
        if isinstance(step.task, Evaluating):
            assert [one.attack for one in step.task.measurements] == [CLEAN]
            assert step.training == f"train digits-digits_net-smoke {step.task.run_dir.name}"
            assert step.source is None


def test_black_box_columns_train_one_source_that_no_row_uses(tmp_path: Path) -> None:
    steps = plan("alps/table-5", tmp_path).steps
    assert trainings(steps).count(source_name()) == 1
    sources = [step for step in steps if step.task.run_dir.name == source_name()]
    assert [type(step.task) for step in sources] == [Training]
    for step in steps:
        if isinstance(step.task, Evaluating):
            assert step.source == sources[0].task.key
            assert step.task.source_dir == sources[0].task.run_dir


def test_two_nets_that_stand_in_for_each_other_are_one_cell(tmp_path: Path) -> None:
    """Table 2 has two nets; at smoke both are digits_net, trained once."""
    found = plan("alps/table-2", tmp_path)
    assert len(found.cells) == 10
    assert len(trainings(found.steps)) == len(set(trainings(found.steps))) == 10


def test_tables_over_the_same_nets_share_them(tmp_path: Path) -> None:
    pretend(plan("alps/table-2", tmp_path).steps)
    assert trainings(plan("alps/table-5", tmp_path).steps) == [source_name()]
    pretend(plan("alps/table-5", tmp_path).steps)
    assert trainings(plan("alps/table-6", tmp_path).steps) == []
    assert trainings(plan("alps/section-5.3", tmp_path).steps) == []


@pytest.mark.parametrize("table", ["alps/demo", "alps/table-2", "alps/table-6"])
def test_a_finished_campaign_has_nothing_to_do(table: str, tmp_path: Path) -> None:
    pretend(plan(table, tmp_path).steps)
    assert plan(table, tmp_path).steps == []


def test_more_seeds_or_rows_add_only_theirs(tmp_path: Path) -> None:
    pretend(plan("alps/table-2", tmp_path).steps)
    more = plan("alps/table-2", tmp_path, seeds=(0, 1, 2)).steps
    assert {step.task.run_dir.name.rpartition("-")[2] for step in more} == {"seed2"}
    controls = plan("alps/table-2", tmp_path, controls=True).steps
    assert set(trainings(controls)) == {
        f"{key}-seed{k}" for key in ("alps-eps0", "alps-label") for k in (0, 1)
    }


def test_a_run_that_was_interrupted_is_trained_on_and_a_trained_one_is_only_measured(
    tmp_path: Path,
) -> None:
    steps = plan("alps/table-2", tmp_path, only=("erm",), seeds=(0,)).steps
    pretend(steps[:1])
    (left,) = plan("alps/table-2", tmp_path, only=("erm",), seeds=(0,)).steps
    assert isinstance(left.task, Evaluating)
    assert left.training is None
    (steps[0].task.run_dir / "weights.safetensors").unlink()
    assert len(plan("alps/table-2", tmp_path, only=("erm",), seeds=(0,)).steps) == 2


def test_only_the_rows_asked_for_run_and_all_are_shown(tmp_path: Path) -> None:
    found = plan("alps/table-2", tmp_path, only=("alps", "erm"))
    assert set(trainings(found.steps)) == {f"{m}-seed{k}" for m in ("alps", "erm") for k in (0, 1)}
    assert len({cell.key for cell in found.cells}) == 5


def test_a_misspelt_row_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`only`.*mixpu.*Did you mean mixup"):
        plan("alps/table-2", tmp_path, only=("mixpu",))


def test_a_folder_of_another_recipe_is_refused_before_anything_runs(tmp_path: Path) -> None:
    pretend(plan("alps/table-2", tmp_path).steps)
    with pytest.raises(InputError, match="another recipe: its `epochs`"):
        plan("alps/table-2", tmp_path, overrides={"epochs": 2})


def test_sets_that_are_not_at_hand_are_no_steps(tmp_path: Path) -> None:
    for table in ("alps/table-1", "alps/table-4"):
        assert plan(table, tmp_path, scale="full").steps == []
    found = plan("alps/table-6", tmp_path, scale="small", data_dir=tmp_path)
    assert found.steps == []
    assert set(found.missing) == {
        "alps/cifar10-preactresnet18",
        "alps/cifar100-preactresnet18",
        "alps/svhn-preactresnet18",
        "alps/tiny-imagenet-preactresnet18",
    }


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    """A stand-in for every set: 3,000 colour images, channels of different deviations."""
    x = torch.randint(0, 256, (3000, 3, 4, 4), dtype=torch.uint8)
    x[:, 1] //= 2
    split = Split(x=x, y=torch.arange(3000) % 10)
    found = ImageSet(name="cifar10", train=split, test=split, num_classes=10)
    monkeypatch.setattr("vicinal.data.load", lambda *_, **__: found)
    return found


def measurements(found: Plan) -> list[Measurement]:
    tasks = [step.task for step in found.steps if isinstance(step.task, Evaluating)]
    return [one for task in tasks for one in task.measurements]


@pytest.mark.usefixtures("colours")
def test_only_the_nets_asked_for_run(tmp_path: Path) -> None:
    found = plan("alps/table-2", tmp_path, scale="small", models=("vgg16",))
    assert {cell.model for cell in found.cells} == {"PreActResNet18", "VGG16"}
    recipes = {step.task.recipe for step in found.steps if isinstance(step.task, Training)}
    assert recipes == {"alps/cifar10-vgg16"}
    with pytest.raises(InputError, match=r"`models`.*vgg19.*Did you mean vgg16"):
        plan("alps/table-2", tmp_path, scale="smoke", models=("vgg19",))


@pytest.mark.usefixtures("colours")
def test_at_small_2000_images_are_attacked_and_all_are_classified(tmp_path: Path) -> None:
    few: dict[str, Any] = {"scale": "small", "only": ("erm",), "seeds": (0,)}
    assert {one.n for one in measurements(plan("alps/table-6", tmp_path, **few))} == {2000}
    assert {one.n for one in measurements(plan("alps/table-2", tmp_path, **few))} == {3000}
    few["scale"] = "full"
    assert {one.n for one in measurements(plan("alps/table-6", tmp_path, **few))} == {3000}


def test_the_second_space_scales_by_the_training_sets_deviation(
    colours: ImageSet, tmp_path: Path
) -> None:
    found = plan("alps/table-6", tmp_path, scale="small", only=("erm",), seeds=(0,))
    facts = found.facts["alps/cifar10-preactresnet18"]
    assert facts.folder == tmp_path / "cifar10-preactresnet18-small"
    std = (colours.train.x.numpy().astype(np.float64) / 255).std(axis=(0, 2, 3))
    np.testing.assert_allclose(facts.std, std)
    attacks = [parse_attack(one.attack, load=no_net) for one in measurements(found)]
    plain, twin = [attack for attack in attacks if isinstance(attack, PGD)][:2]
    assert plain.eps == 4 / 255
    np.testing.assert_allclose(np.asarray(twin.eps), std * 4 / 255, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(twin.step_size), std / 255, rtol=1e-6)


def no_net(_: str) -> torch.nn.Module:
    return torch.nn.Identity()


def test_a_row_is_measured_once_for_each_net_that_makes_its_examples(tmp_path: Path) -> None:
    steps = plan("avmixup/table-2", tmp_path, seeds=(0,), only=("avmixup",)).steps
    sources = ["erm-seed1000", "pgd-10-2-seed1000", "ls-0.8-seed1000", "ls-0.9-seed1000"]
    assert trainings(steps) == [*sources, "avmixup-seed0"]
    evaluations = [step for step in steps if isinstance(step.task, Evaluating)]
    assert len({step.task.key for step in evaluations}) == len(evaluations) == 4
    for step, source in zip(evaluations, sources, strict=True):
        assert isinstance(step.task, Evaluating)
        assert step.task.source_dir == step.task.run_dir.parent / source
        assert step.source == f"train {step.task.run_dir.parent.name} {source}"
        assert [source in one.attack for one in step.task.measurements] == [True]


def test_recipes_of_the_other_papers_have_folders_of_their_own(tmp_path: Path) -> None:
    for table in ("bat/table-1", "avmixup/table-5", "m-tlat/table-3", "family/demo"):
        found = plan(table, tmp_path)
        for name, facts in found.facts.items():
            assert facts.folder == tmp_path / f"{name.replace('/', '-')}-smoke"


def test_examples_of_another_net_come_from_its_own_recipe(tmp_path: Path) -> None:
    only: dict[str, Any] = {"only": ("mtlat",), "models": ("resnet-50",)}
    steps = plan("m-tlat/table-1", tmp_path, seeds=(0,), **only).steps
    assert trainings(steps) == ["erm-seed1000", "mtlat-seed0"]
    source = steps[0].task
    assert source.run_dir == tmp_path / "m-tlat-imagenet-100-vgg16-smoke" / "erm-seed1000"
    white, black = [step for step in steps if isinstance(step.task, Evaluating)]
    assert isinstance(white.task, Evaluating)
    assert isinstance(black.task, Evaluating)
    # clean, two PGDs, CW-L2, 15 corruptions and the paper's own four
    assert len(white.task.measurements) == 1 + 2 + 1 + 15 + 4
    assert (white.source, white.task.source_dir) == (None, None)
    assert (black.source, black.task.source_dir) == (source.key, source.run_dir)
    assert [one.attack.partition("(")[0] for one in black.task.measurements] == ["transfer"] * 2
    assert black.task.part == "by imagenet-100-vgg16 erm"


def test_all_norms_of_a_net_are_one_measurement(tmp_path: Path) -> None:
    steps = plan("bat/table-2", tmp_path, seeds=(0,)).steps
    judged = [step.task for step in steps if isinstance(step.task, Evaluating)]
    assert len(judged) == len(trainings(steps)) == 2
    for task in judged:
        assert [one.attack for one in task.measurements] == ["input_gradients(loss=ce)"]


def test_what_is_cited_is_not_planned(tmp_path: Path) -> None:
    cited = plan("avmixup/table-3", tmp_path, seeds=(0,))
    assert trainings(cited.steps) == ["avmixup-seed0"]
