"""Every recipe of the package: found, resolved at every scale for every method, and one trained."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

import pytest
import torch

import vicinal
from vicinal import data, models, objectives, recipes
from vicinal.recipes import paper_tables, resolve
from vicinal.recipes.schema import Recipe

ROOT = Path(vicinal.__file__).parent / "recipes"
NAMES = sorted(str(file.relative_to(ROOT).with_suffix("")) for file in ROOT.rglob("*/*.yaml"))
METHODS = ["alps", "erm", "dropout", "label-smoothing", "mixup", "alps-eps0", "alps-label"]
SWEEP = "alps/cifar10-preactresnet18-sweep"
STUDY = [n for n in recipes.names() if n.startswith("alps/") and n != SWEEP]
FILES = {"alps": 11, "avmixup": 8, "bat": 5, "family": 2, "m-tlat": 3}
ALL = [
    (name, method, scale)
    for name, scale in product(recipes.names(), recipes.SCALES)
    for method in recipes.methods(name)
]


def test_the_package_knows_every_file_and_how_many_there_are() -> None:
    assert [name.replace("\\", "/") for name in NAMES] == list(recipes.names())
    assert Counter(name.partition("/")[0] for name in recipes.names()) == FILES


def test_every_recipe_has_the_same_methods_with_the_papers_own_first() -> None:
    for name in STUDY:
        assert list(recipes.methods(name)) == METHODS


def test_the_sweep_is_alps_in_six_settings_judged_on_images_that_are_not_trained_on() -> None:
    wanted = {
        f"eps{eps}-mode{mode}": objectives.ALPS(eps=eps, mode=mode, concentration=12.0)
        for eps in (0.1, 0.2, 0.4)
        for mode in (0.8, 0.9)
    }
    found = {m: resolve.objective(recipes.recipe(SWEEP, method=m)) for m in recipes.methods(SWEEP)}
    assert found == wanted
    one = recipes.recipe(SWEEP)
    other = recipes.recipe(SWEEP.removesuffix("-sweep"))
    differing = {k for k, v in one.model_dump().items() if v != other.model_dump()[k]}
    assert differing == {
        "name",
        "title",
        "tables",
        "method",
        "validation",
        "validate_every",
        "evaluation",
    }
    assert (one.validation, one.evaluation.split) == (1000, "validation")


def test_the_keys_are_those_of_the_papers_rows() -> None:
    keys = {
        row.key for table in ("1", "2", "3", "4", "5", "6") for row in recipes.rows("ALPS", table)
    }
    assert keys == set(METHODS) - {"alps-eps0", "alps-label"}


def test_every_file_opens_with_paper_tables_claims_cost_and_command() -> None:
    for name in recipes.names():
        head = (ROOT / f"{name}.yaml").read_text(encoding="utf-8").split("\n\n")[0]
        for word in ("Paper:", "Tables:", "Claims:", "Cost:", "Command:", f"train {name} "):
            assert word in head


def test_every_table_that_a_recipe_names_exists_and_has_its_column() -> None:
    papers = {"alps": "ALPS", "bat": "BAT", "avmixup": "AVmixup", "m-tlat": "M-TLAT"}
    for name in recipes.names():
        room, _, where = name.partition("/")
        for table in recipes.recipe(name).tables:
            columns = {
                _plain(row.dataset + row.model) for row in paper_tables.rows(papers[room], table)
            }
            # The source of M-TLAT's black-box examples is no column itself.
            net = "resnet50" if where.endswith("vgg16") and room == "m-tlat" else ""
            wanted = _plain(where.replace("vgg16", net) if net else where).removesuffix("trades")
            assert wanted in columns


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


@pytest.mark.parametrize(("name", "method", "scale"), ALL)
def test_a_recipe_resolves_at_every_scale_for_every_method(
    name: str, method: str, scale: str
) -> None:
    recipe = recipes.recipe(name, method=method, scale=scale)
    objective = resolve.objective(recipe)
    if name.startswith("alps/"):
        assert str(objective.passes) == "1+1"
        assert resolve.optimizer(recipe).lr == 0.1
    assert resolve.complete(recipe) == recipe
    assert {**data.DATASETS, **data.FOLDERS}.keys() >= {recipe.dataset}
    resolve.schedule(recipe)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("net", ["preactresnet18", "vgg16", "digits_net"])
def test_every_objective_trains_every_net(method: str, net: str) -> None:
    recipe = recipes.recipe(
        "alps/cifar10-preactresnet18", method=method, overrides={"model": net, "model.width": 4}
    )
    torch.manual_seed(0)
    known = {"num_classes": 3, "in_channels": 1, "mean": [0.5], "std": [0.25]}
    part = recipe.model.model_copy(update={})
    model = resolve.model(_with_data(recipe, {**part.model_dump(), **known}))
    optimizer = resolve.optimizer(recipe).build(model.parameters())
    x, y = torch.rand(4, 1, 32, 32), torch.tensor([0, 1, 2, 0])
    for _ in range(2):
        loss = resolve.objective(recipe)(model, x, y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert bool(torch.isfinite(model.eval()(x)).all())


def _with_data(recipe: Recipe, model: dict[str, object]) -> Recipe:
    return recipe.model_copy(update={"model": type(recipe.model).model_validate(model)})


def test_the_papers_setting_is_what_the_reproduction_sheet_decided() -> None:
    for name in STUDY:
        recipe = recipes.recipe(name, method="alps")
        assert (recipe.epochs, recipe.batch_size, recipe.precision) == (200, 128, "fp32")
        assert recipe.optimizer.arguments == {
            "lr": 0.1,
            "momentum": 0.9,
            "nesterov": False,
            "weight_decay": 1e-4,
            "decay": "all",
        }
        schedule = resolve.schedule(recipe)
        rates = [schedule.factor(epoch, 200) for epoch in (0, 99.9, 100, 149.9, 150, 199.9)]
        assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
        assert (recipe.augment.pad, recipe.augment.flip) == (4, True)
        assert (recipe.evaluation.eps, recipe.evaluation.step_size) == (4 / 255, 1 / 255)
        assert recipe.evaluation.steps == 10
        assert recipe.train_subset is None
        assert recipe.evaluation.attack_subset is None


def test_the_rows_are_the_papers() -> None:
    def objective(method: str) -> object:
        return resolve.objective(recipes.recipe("alps/cifar10-vgg16", method=method))

    assert objective("erm") == objective("dropout") == objectives.ERM()
    assert objective("label-smoothing") == objectives.LabelSmoothing(eps=0.1, convention="others")
    assert objective("mixup") == objectives.MixUp(alpha=1.0)
    assert objective("alps") == objectives.ALPS(eps=0.2, mode=0.9, concentration=12.0)
    assert objective("alps-eps0") == objectives.ALPS(eps=0.0, mode=0.9, concentration=12.0)
    for method in METHODS:
        recipe = recipes.recipe("alps/cifar10-vgg16", method=method)
        assert recipe.model.arguments["dropout"] == (0.5 if method == "dropout" else 0.0)


def test_the_label_move_alone_pays_what_alps_pays_on_unmixed_images() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5)).double()
    x, y = torch.rand(16, 3, 2, 2, dtype=torch.float64), torch.arange(16) % 5
    alone = resolve.objective(recipes.recipe("alps/cifar10-vgg16", method="alps-label"))
    unmixed = objectives.ALPS(eps=0.2, mode=1.0, concentration=float("inf"))
    assert torch.allclose(alone(model, x, y), unmixed(model, x, y), rtol=0, atol=1e-12)


def test_small_is_what_the_design_says() -> None:
    recipe = recipes.recipe("alps/cifar10-preactresnet18", method="dropout", scale="small")
    assert recipe.train_subset == 10_000
    assert (recipe.epochs, recipe.batch_size) == (40, 128)
    assert recipe.optimizer.arguments == {
        "lr": 0.1,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 5e-4,
        "decay": "all",
    }
    rate = resolve.schedule(recipe).factor
    assert [rate(epoch, 40) for epoch in (0, 3, 6, 23, 40)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert (recipe.precision, recipe.channels_last) == ("bf16", True)
    assert recipe.evaluation.attack_subset == 2000
    assert recipe.model.arguments == {"width": 16, "dropout": 0.5}
    net = models.preactresnet18(num_classes=10, width=16)
    assert round(sum(weight.numel() for weight in net.parameters()) / 1e6, 2) == 0.70


@pytest.mark.parametrize(
    ("overrides", "width", "channels"),
    [
        ({"model": "wide_resnet", "model.depth": 10}, 1, 16),
        ({"model": "preactresnet18"}, 16, 16),
        ({"model": "vgg16"}, 16, 16),
        ({"model": "resnet50"}, 16, 16),
        ({"model": "wide_resnet", "model.depth": 10, "model.width": 2}, 2, 32),
    ],
)
def test_small_is_sixteen_channels_wide_however_a_net_counts_them(
    overrides: dict[str, object], width: int, channels: int
) -> None:
    recipe = recipes.recipe("alps/cifar10-vgg16", scale="small", overrides=overrides)
    assert recipe.model.arguments["width"] == width
    known = {"num_classes": 10, "in_channels": 3, "mean": [0.5], "std": [0.25]}
    net = resolve.model(_with_data(recipe, {**recipe.model.model_dump(), **known}))
    convolutions = [m.out_channels for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert convolutions[1] == channels


def test_a_wide_resnets_factor_is_no_other_nets_number_of_channels(tmp_path: Path) -> None:
    text = (ROOT / "alps" / "cifar10-vgg16.yaml").read_text(encoding="utf-8")
    file = tmp_path / "wide.yaml"
    wide = "{name: wide_resnet, depth: 34, width: 10, dropout: 0.0, mean: [0, 0, 0], std: [1]}"
    file.write_text(text.replace("{name: vgg16, dropout: 0.0}", wide), encoding="utf-8")

    def model(scale: str, **overrides: object) -> dict[str, object]:
        return recipes.recipe(str(file), scale=scale, overrides=overrides).model.arguments

    assert (model("full")["width"], model("medium")["width"]) == (10, 10)
    assert (model("small")["width"], model("small")["depth"]) == (1, 34)
    assert model("full", model="preactresnet18")["width"] == 64
    assert model("small", model="preactresnet18")["width"] == 16
    digits = recipes.recipe("alps/cifar10-vgg16", scale="smoke").model.arguments
    # What is fixed for the paper's images does not hold for the digits.
    assert model("smoke") == {**digits, "dropout": 0.0}
    assert (model("small")["mean"], model("small")["std"]) == ([0, 0, 0], [1])


def test_a_recipes_name_is_its_data_set_and_its_net() -> None:
    for name in STUDY:
        recipe = recipes.recipe(name)
        assert name.partition("/")[2] == f"{recipe.dataset}-{recipe.model.name}"


def test_30_classes_stand_in_no_table_of_the_paper() -> None:
    for name in STUDY:
        if "tiny-imagenet-30" in name:
            assert recipes.recipe(name).tables == ()
        else:
            assert recipes.recipe(name).tables


def test_medium_is_the_papers_net_and_images_for_30_epochs() -> None:
    full = recipes.recipe("alps/cifar100-vgg16").model_dump()
    medium = recipes.recipe("alps/cifar100-vgg16", scale="medium").model_dump()
    assert medium["schedule"]["name"] == "cyclic"
    assert {name for name in full if full[name] != medium[name]} == {"scale", "epochs", "schedule"}
    assert medium["epochs"] == 30


def test_smoke_is_digits_unflipped_with_a_budget_that_moves_them() -> None:
    for name in STUDY:
        recipe = recipes.recipe(name, method="dropout", scale="smoke")
        assert (recipe.dataset, recipe.model.name) == ("digits", "digits_net")
        assert (recipe.augment.pad, recipe.augment.flip) == (0, False)
        assert recipe.evaluation.eps == 0.1
        assert recipe.evaluation.step_size == 0.025
        assert recipe.model.arguments["dropout"] == 0.5


def test_every_recipe_names_a_paper_of_the_bibliography() -> None:
    bibliography = Path(recipes.__file__).with_name("references.bib").read_text(encoding="utf-8")
    for name in recipes.names():
        assert f"{{{recipes.recipe(name).paper},\n" in bibliography
