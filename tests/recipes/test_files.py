"""Recipe files: precedence, names, what is refused, and that a file runs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from vicinal._checks import InputError
from vicinal.recipes import files

NAME = "alps/cifar10-preactresnet18"

TOY = """
paper: nobody2026nothing
dataset: digits
model: {name: digits_net, dropout: 0.1}
objective: {name: ERM}
epochs: 9
batch_size: 10
train_subset: 77
optimizer: {name: sgd, lr: 1e-2}
schedule: {name: constant}
evaluation: {eps: 8/255}
default_method: second
methods:
  first: {epochs: 8}
  second: {epochs: 7, batch_size: 11, train_subset: 66}
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    file = tmp_path / "toy.yaml"
    file.write_text(TOY, encoding="utf-8")
    return file


def test_a_users_own_file_is_a_recipe(toy: Path) -> None:
    recipe = files.recipe(str(toy), method="first")
    assert (recipe.name, recipe.method, recipe.scale) == ("toy", "first", "full")
    assert recipe.optimizer.arguments["lr"] == 0.01
    assert recipe.evaluation.eps == 8 / 255
    assert list(files.methods(str(toy))) == ["second", "first"]


def test_scale_lies_over_method_over_base_and_the_user_over_all(toy: Path) -> None:
    name = str(toy)
    assert files.recipe(name).epochs == 7
    assert files.recipe(name).train_subset == 66
    small = files.recipe(name, scale="small")
    assert (small.epochs, small.batch_size, small.train_subset) == (40, 128, 10_000)
    assert small.model.arguments["dropout"] == 0.1
    mine = files.recipe(name, scale="small", overrides={"epochs": 3, "optimizer.lr": "1/4"})
    assert (mine.epochs, mine.batch_size) == (3, 128)
    assert mine.optimizer.arguments["lr"] == 0.25
    assert mine.optimizer.arguments["nesterov"] is True


def test_a_new_name_from_the_user_drops_the_old_arguments(toy: Path) -> None:
    recipe = files.recipe(str(toy), overrides={"optimizer": "adam", "objective": "LabelSmoothing"})
    assert recipe.optimizer.arguments["lr"] == 0.002
    assert recipe.objective.arguments == {"eps": 0.1, "convention": "others"}


def test_overrides_may_be_nested(toy: Path) -> None:
    one = files.recipe(str(toy), overrides={"model": {"dropout": 0.2}, "epochs": 2})
    assert one == files.recipe(str(toy), overrides={"model.dropout": 0.2, "epochs": 2})


def test_the_seed_is_a_field() -> None:
    assert files.recipe(NAME, seed=3) == files.recipe(NAME, overrides={"seed": 3})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("alps/cifar10-preactresnet", "Did you mean alps/cifar10-preactresnet18?"),
        ("../recipes/scales", "there is no recipe"),
        ("missing.yaml", "there is no recipe file missing.yaml"),
    ],
)
def test_a_recipe_that_is_not_there_is_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises(InputError) as refusal:
        files.recipe(name)
    assert sentence in str(refusal.value)


def test_method_and_scale_name_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean label-smoothing"):
        files.recipe(NAME, method="label_smoothing")
    with pytest.raises(InputError, match="Did you mean small"):
        files.recipe(NAME, scale="smal")


@pytest.mark.parametrize("field", ["name", "method", "scale", "paper", "tables"])
def test_what_names_a_recipe_is_not_overridden(field: str) -> None:
    with pytest.raises(InputError, match=f"`{field}` names a recipe"):
        files.recipe(NAME, overrides={field: "x"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [1", "is not plain YAML"),
        ("- 1\n- 2\n", "must hold fields and values; got list"),
        ("", "must hold fields and values; got NoneType"),
        ("epochs: 1\n", "must have `methods`"),
        (TOY.replace("default_method: second", "default_method: third"), "must have `methods`"),
        (TOY.replace("epochs: 9", "epochs: 9\nepochs: 10"), "line 7 is not plain YAML: 'epochs'"),
        (TOY.replace("epochs: 9", "epoch: 9"), "Did you mean epochs?"),
        ("[" * 3000, "nested too deeply"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refusal:
        files.recipe(str(file), method="first")
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as text"):
        files.recipe(str(file))


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.mkdir [{folder}]",
        "!!python/name:os.mkdir",
        "!!python/object/new:os.mkdir [{folder}]",
        "!mine {{a: 1}}",
    ],
)
@pytest.mark.parametrize("kind", ["recipe", "run"])
def test_nothing_in_a_file_runs(tmp_path: Path, tag: str, kind: str) -> None:
    folder = tmp_path / "made_by_a_file"
    text = TOY.replace("epochs: 9", "epochs: " + tag.format(folder=folder.as_posix()))
    file = tmp_path / "recipe.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="is not plain YAML"):
        files.recipe(str(file)) if kind == "recipe" else files.read(file)
    assert not folder.exists()


@pytest.mark.parametrize("scale", files.SCALES)
def test_what_is_written_reads_back_to_the_same_recipe(tmp_path: Path, scale: str) -> None:
    overrides = {"objective.eps": 1 / 3, "evaluation.eps": float("inf"), "optimizer.lr": 1e-17}
    recipe = files.recipe(NAME, scale=scale, seed=5, overrides=overrides)
    file = tmp_path / "recipe.yaml"
    file.write_text(files.write(recipe), encoding="utf-8")
    assert files.read(file) == recipe


def test_budgets_are_written_as_papers_write_them() -> None:
    text = files.write(files.recipe(NAME))
    assert "eps: 4/255, step_size: 1/255" in text


def test_a_folder_without_a_recipe_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no run folder: it has no recipe\.yaml"):
        files.read(tmp_path / "recipe.yaml")


def test_an_edited_recipe_names_its_file_and_field(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    text = files.write(files.recipe(NAME)).replace("epochs:", "epoch:")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"recipe\.yaml is no resolved recipe: .*`epochs`"):
        files.read(file)


def test_an_exchanged_objective_makes_the_method_custom() -> None:
    name = "alps/cifar10-preactresnet18"
    same = files.recipe(name, scale="smoke", overrides={"objective.eps": 0.3})
    again = files.recipe(name, scale="smoke", overrides={"objective.name": "ALPS"})
    other = files.recipe(name, scale="smoke", overrides={"objective.name": "MixUp"})
    assert (same.method, again.method, other.method) == ("alps", "alps", "custom")
