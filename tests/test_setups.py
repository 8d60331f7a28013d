"""The set-ups of BAT, AVmixup, M-TLAT and the family, against the sheet of reproduction.

Every number here is typed from the papers and their authors' code, not read from a recipe.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vicinal import inputs, labels, objectives, recipes
from vicinal.objectives import BAT, AdversarialTraining, AVmixup, FeatureScatter, Vicinal
from vicinal.recipes import resolve
from vicinal.recipes.schema import Recipe

TEXTS = Path(recipes.__file__).parent

PX = 1 / 255
BAT_10 = ["bat/cifar10-wrn-28-10", "bat/svhn-wrn-28-10"]
AV_34 = ["avmixup/cifar10-wrn-34-10", "avmixup/cifar100-wrn-34-10"]
AV_TF = [*AV_34, "avmixup/svhn-wrn-16-8", "avmixup/tiny-imagenet-preactresnet18"]
AV_FS = [f"avmixup/{name}-wrn-28-10" for name in ("cifar10", "cifar100", "svhn")]
MT = [f"m-tlat/imagenet-100-{net}" for net in ("resnet50", "resnext50", "vgg16")]
IMAGENET = [f"bat/imagenet-resnet{depth}" for depth in (50, 101, 152)]
FAMILY = "family/cifar10-preactresnet18"
DIGITS = "family/digits-digits_net"

PASSES = {
    "erm": "1+1", "dropout": "1+1", "label-smoothing": "1+1", "gaussian": "1+1", "mixup": "1+1",
    "cutmix": "1+1", "manifold-mixup": "1+1", "alps": "1+1",
    "fgsm": "2+2", "r-fgsm": "2+2", "n-fgsm": "2+2", "ll": "2+2", "mc": "2+2",
    "r-ll": "3+2", "r-mc": "3+2", "r-mc-ls": "3+2", "r-mc-la": "3+2", "r-fgsm-ls": "2+2",
    "pgd-2-8": "3+3", "pgd-7-2": "8+8", "pgd-10-2": "11+11", "pgd-10": "11+11",
    "ls-0.8": "11+11", "ls-0.9": "11+11", "pgd-10-half": "12+12", "madry-la": "9+8",
    "avmixup": "11+11", "feature-scatter": "3+2", "fs-avmixup": "3+2",
    "trades": "13+12", "trades-1": "13+12", "trades-6": "13+12", "mart": "12+12",
    "tlat": "3+3", "mtlat": "3+3", "fgsm-half": "3+3", "target-fgsm": "3+3",
    "target-fgsm-ls": "3+3", "iat": "9+9", "pgd-10-awp": "12+12", "trades-awp": "15+14",
}  # fmt: skip
"""The third column of the table of methods, typed; two-step BAT and one-step IAT are apart."""


def _passes(name: str, method: str) -> str:
    if name in IMAGENET:
        return "4+3"
    if name in MT and method == "iat":
        return "3+3"
    plain = method.replace("-long", "").replace("-eps4", "")
    return PASSES["fs-avmixup" if plain.startswith("fs-avmixup") else plain]


@pytest.mark.parametrize(
    ("name", "method"),
    [
        (name, method)
        for name in recipes.names()
        if not name.startswith("alps/")
        for method in recipes.methods(name)
    ],
)
def test_a_row_costs_what_the_table_of_methods_says(name: str, method: str) -> None:
    for scale in ("full", "smoke"):
        recipe = recipes.recipe(name, method=method, scale=scale)
        assert str(resolve.objective(recipe).passes) == _passes(name, method)


def _full(name: str, method: str | None = None) -> Recipe:
    return recipes.recipe(name, method=method)


def _objective(name: str, method: str | None = None, **fields: Any) -> object:
    return resolve.objective(recipes.recipe(name, method=method, **fields))


def _rates(recipe: Recipe, *epochs: float) -> list[float]:
    schedule = resolve.schedule(recipe)
    lr = recipe.optimizer.arguments["lr"]
    return [lr * schedule.factor(epoch, recipe.epochs) for epoch in epochs]


def _sgd(lr: float, decay: float, on: str) -> dict[str, object]:
    return {"lr": lr, "momentum": 0.9, "nesterov": False, "weight_decay": decay, "decay": on}


@pytest.mark.parametrize(("name", "lr"), list(zip(BAT_10, (0.1, 0.01), strict=True)))
def test_bat_trains_as_its_code_does(name: str, lr: float) -> None:
    recipe = _full(name, "r-mc-la")
    assert recipe.optimizer.arguments == _sgd(lr, 2e-4, "weights")
    assert (recipe.epochs, recipe.batch_size, recipe.augment.pad) == (100, 128, 4)
    assert recipe.augment.flip
    assert _rates(recipe, 59.9, 60, 89.9, 90) == pytest.approx([lr, lr / 10, lr / 10, lr / 100])
    long = _full(name, "r-mc-la-long")
    assert long.epochs == 200
    assert _rates(long, 99.9, 100, 149.9, 150) == pytest.approx([lr, lr / 10, lr / 10, lr / 100])
    model = recipe.model.arguments
    assert (model["depth"], model["width"], model["shortcut"]) == (34, 10, "pad")
    assert (model["mean"], model["std"]) == ([0.5], [0.5])
    assert (recipe.evaluation.eps, recipe.evaluation.step_size) == (8 * PX, 2 * PX)


def test_bats_rows_are_the_papers() -> None:
    name = BAT_10[0]
    assert _objective(name, "r-mc-la") == BAT(eps=8 * PX, beta=9.0, gamma=0.01)
    assert _objective(name, "r-mc-la-long-eps4") == BAT(eps=4 * PX)
    assert _objective(name, "r-mc-ls") == BAT(eps=8 * PX, label="smooth", smoothing=0.5)
    smooth = BAT(eps=8 * PX, label="smooth", target=None)
    assert _objective(name, "r-fgsm-ls") == smooth
    assert _objective(name, "madry-la") == BAT(eps=8 * PX, step_size=2 * PX, steps=7, target=None)
    one = AdversarialTraining.one_step
    assert _objective(name, "fgsm") == one(eps=8 * PX)
    assert _objective(name, "r-fgsm") == one(eps=8 * PX, random_start=True)
    assert _objective(name, "ll") == one(eps=8 * PX, target="least_likely")
    assert _objective(name, "r-ll") == one(eps=8 * PX, target="least_likely", random_start=True)
    assert _objective(name, "mc") == one(eps=8 * PX, target="most_confusing")
    assert _objective(name, "r-mc") == one(eps=8 * PX, target="most_confusing", random_start=True)
    pgd: dict[str, Any] = {"eps": 8 * PX, "clip_start": False, "batchnorm": "eval"}
    assert _objective(name, "pgd-7-2") == AdversarialTraining(step_size=2 * PX, steps=7, **pgd)
    assert _objective(name, "pgd-2-8") == AdversarialTraining(step_size=8 * PX, steps=2, **pgd)


@pytest.mark.parametrize("name", IMAGENET)
def test_bat_on_imagenet_takes_two_steps_of_8_in_a_ball_of_16(name: str) -> None:
    recipe = _full(name)
    assert resolve.objective(recipe) == BAT(eps=16 * PX, steps=2, beta=100.0)
    assert recipe.model.name == name.removeprefix("bat/imagenet-")
    assert recipe.epochs == 100
    rates = _rates(recipe, 29.9, 30, 60, 90)
    assert rates == pytest.approx([0.1, 0.01, 0.001, 0.0001])
    assert (recipe.augment.size, recipe.augment.view) == (224, "cropped")


@pytest.mark.parametrize(
    ("name", "lr", "epochs"),
    list(zip(AV_TF, (0.1, 0.1, 0.01, 0.1), (205, 205, 140, 64), strict=True)),
)
def test_avmixup_trains_as_its_code_does(name: str, lr: float, epochs: int) -> None:
    recipe = _full(name)
    images = {"svhn": 73_257, "tiny-imagenet": 100_000}.get(recipe.dataset, 50_000)
    steps = 50_000 if recipe.dataset == "tiny-imagenet" else 80_000
    assert recipe.epochs == epochs == round(steps / (images / 128))
    assert recipe.batch_size == 128
    assert recipe.optimizer.arguments == _sgd(lr, 2e-4, "weights")
    half, most = 0.5 * epochs, 0.75 * epochs
    rates = _rates(recipe, half - 0.1, half, most - 0.1, most)
    assert rates == pytest.approx([lr, lr / 10, lr / 10, lr / 100])
    assert (recipe.augment.pad, recipe.augment.flip) == (2, True)
    found = resolve.objective(recipe)
    assert found == AVmixup(
        eps=8 * PX, step_size=2 * PX, steps=10, gamma=2.0, lambda1=1.0, lambda2=0.1,
        batchnorm="train_frozen_stats",
    )  # fmt: skip
    frozen = "train_frozen_stats"
    pgd: dict[str, Any] = {
        "eps": 8 * PX,
        "step_size": 2 * PX,
        "steps": 10,
        "batchnorm": frozen,
    }
    assert _objective(name, "pgd-10-2") == AdversarialTraining(**pgd)
    for method, eps in (("ls-0.8", 0.2), ("ls-0.9", 0.1)):
        smooth = AdversarialTraining(labels=labels.Smooth(eps=eps), **pgd)
        assert _objective(name, method) == smooth


def test_avmixups_nets_are_the_ones_that_its_code_builds() -> None:
    for name in AV_34:
        model = _full(name).model.arguments
        assert (model["depth"], model["width"], model["shortcut"]) == (34, 10, "pad")
    model = _full("avmixup/svhn-wrn-16-8").model.arguments
    assert (model["depth"], model["width"], model["shortcut"]) == (16, 8, "pad")


def test_table_3_of_avmixup_is_the_code_of_trades() -> None:
    recipe = _full("avmixup/cifar10-wrn-34-10-trades")
    assert (recipe.epochs, recipe.batch_size, recipe.augment.pad) == (76, 128, 4)
    assert _rates(recipe, 74.9, 75) == pytest.approx([0.1, 0.01])
    assert recipe.optimizer.arguments == _sgd(0.1, 2e-4, "all")
    model = recipe.model.arguments
    assert (model["shortcut"], model["mean"], model["std"]) == ("conv", [0.0], [1.0])
    assert resolve.objective(recipe) == AVmixup(batchnorm="eval")


@pytest.mark.parametrize("name", AV_FS)
def test_feature_scatter_trains_as_its_code_does(name: str) -> None:
    recipe = _full(name)
    svhn = recipe.dataset == "svhn"
    assert (recipe.augment.pad, recipe.augment.flip) == ((0, False) if svhn else (4, True))
    assert recipe.optimizer.arguments == _sgd(0.1, 2e-4, "all")
    assert (recipe.epochs, recipe.batch_size) == (200, 60)
    assert _rates(recipe, 59.9, 60, 89.9, 90) == pytest.approx([0.1, 0.01, 0.01, 0.001])
    model = recipe.model.arguments
    assert (model["depth"], model["width"], model["shortcut"]) == (28, 10, "conv")
    scatter: dict[str, Any] = {"eps": 8 * PX, "step_size": 8 * PX, "transport": "paper"}
    assert _objective(name, "feature-scatter") == FeatureScatter(smoothing=0.5, **scatter)
    gamma, first, second = (1.5, 0.3, 0.42) if recipe.dataset == "cifar100" else (1.0, 0.5, 0.7)
    assert resolve.objective(recipe) == Vicinal(
        inputs=inputs.Vertex(move=inputs.FeatureScatter(**scatter), gamma=gamma),
        labels=labels.Vertex(lambda1=first, lambda2=second),
    )


@pytest.mark.parametrize(("first", "second"), [(0.1, 0.5), (0.5, 0.3), (1.0, 0.5)])
def test_table_6_sweeps_the_lambdas(first: float, second: float) -> None:
    found = _objective(AV_FS[0], f"fs-avmixup-{first}-{second}")
    assert isinstance(found, Vicinal)
    assert found.labels == labels.Vertex(lambda1=first, lambda2=second)
    assert vars(found.inputs)["gamma"] == 1.0


@pytest.mark.parametrize("name", MT)
def test_m_tlat_trains_with_adam_on_images_that_are_resized_only(name: str) -> None:
    recipe = _full(name)
    assert recipe.optimizer.name == "adam"
    assert (recipe.optimizer.arguments["lr"], recipe.optimizer.arguments["weight_decay"]) == (
        0.002,
        1e-4,
    )
    assert (recipe.epochs, recipe.batch_size) == (90, 256)
    rates = _rates(recipe, 29.9, 30, 59.9, 60, 79.9, 80)
    assert rates == pytest.approx([2e-3, 2e-4, 2e-4, 2e-5, 2e-5, 2e-6])
    assert recipe.augment.model_dump() == {"pad": 0, "flip": False, "size": 224, "view": "resized"}
    assert (recipe.model.arguments["mean"], recipe.model.arguments["std"]) == ([0.0], [1.0])
    assert (recipe.evaluation.eps, recipe.evaluation.step_size) == (0.04, 0.01)


def test_m_tlats_rows_are_the_papers() -> None:
    name = MT[0]
    assert _objective(name) == objectives.MTLAT(eps_max=0.025, alpha=0.4, reduction="sum")
    assert _objective(name, "tlat") == objectives.TLAT(eps_max=0.025)
    assert _objective(name, "mixup") == objectives.MixUp(alpha=0.4)
    assert _objective(name, "fgsm-half") == objectives.TLAT(label="keep", target=None)
    assert _objective(name, "target-fgsm") == objectives.TLAT(label="keep")
    assert _objective(name, "target-fgsm-ls") == objectives.TLAT(label="smooth")
    assert _objective(name, "iat") == objectives.IAT(
        alpha=0.4, eps=0.025, step_size=0.025, steps=1, random_start=False, random_eps=True
    )


def test_the_family_holds_every_objective_of_the_library() -> None:
    names: set[str] = set()
    for method in recipes.methods(FAMILY):
        names |= set(_names(_full(FAMILY, method).objective.model_dump()))
    assert names >= set(objectives.OBJECTIVES) - {"Vicinal"}


def _names(part: dict[str, Any]) -> list[str]:
    within = (value for value in part.values() if isinstance(value, dict))
    return [part["name"], *(name for value in within for name in _names(value))]


@pytest.mark.parametrize("method", recipes.methods(FAMILY))
def test_on_digits_a_method_of_the_family_is_what_it_is_at_scale_smoke(method: str) -> None:
    smoke = recipes.recipe(FAMILY, method=method, scale="smoke")
    digits = recipes.recipe(DIGITS, method=method)
    assert _near(smoke.objective.model_dump(), digits.objective.model_dump())
    for field in ("dataset", "model", "augment", "optimizer", "schedule", "epochs", "batch_size"):
        assert getattr(smoke, field) == getattr(digits, field)


def _near(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_near(one[k], other[k]) for k in one)
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other)
    return one == other


def test_the_family_has_one_set_up() -> None:
    for method in recipes.methods(FAMILY):
        recipe = _full(FAMILY, method)
        assert recipe.optimizer.arguments == _sgd(0.1, 5e-4, "all")
        assert (recipe.epochs, recipe.batch_size, recipe.select) == (200, 128, "last")
        assert "train_frozen_stats" not in str(recipe.objective)
        budgets = _budgets(recipe.objective.model_dump())
        assert budgets <= {8 * PX}


def _budgets(part: dict[str, Any]) -> set[float]:
    within = [_budgets(value) for value in part.values() if isinstance(value, dict)]
    own = {part[word] for word in ("eps", "eps_max") if word in part and "batchnorm" in part}
    return own.union(*within)


@pytest.mark.parametrize("name", ["bat/cifar10-wrn-28-10", "m-tlat/imagenet-100-resnet50", FAMILY])
def test_small_is_24_epochs_for_every_row_of_a_file_in_which_one_attacks(name: str) -> None:
    for method in recipes.methods(name):
        longer = 2 if method.endswith(("-long", "-long-eps4")) else 1
        assert recipes.recipe(name, method=method, scale="small").epochs == 24 * longer
        assert recipes.recipe(name, method=method, scale="medium").epochs == 30 * longer
        assert recipes.recipe(name, method=method, scale="smoke").epochs == 30 * longer


def test_budgets_in_training_follow_the_budget_of_the_evaluation_at_smoke() -> None:
    def smoke(name: str, method: str) -> object:
        return _objective(name, method, scale="smoke")

    assert smoke(BAT_10[0], "r-mc-la") == BAT(eps=0.1)
    assert smoke(BAT_10[0], "r-mc-la-eps4") == BAT(eps=0.05)
    assert smoke(IMAGENET[0], "r-mc-la") == BAT(eps=0.1, steps=2, beta=100.0)
    assert smoke(MT[0], "mtlat") == objectives.MTLAT(eps_max=0.0625)
    found = smoke(FAMILY, "trades-awp")
    assert isinstance(found, objectives.AWP)
    inner = found.objective
    assert isinstance(inner, objectives.TRADES)
    assert [inner.eps, inner.step_size] == pytest.approx([0.1, 0.025])


def test_every_head_names_its_quirks_one_by_one() -> None:
    for name in recipes.names():
        if name.startswith(("bat/", "avmixup/", "m-tlat/")):
            text = (TEXTS / f"{name}.yaml").read_text(encoding="utf-8")
            head = text.split("\n\n")[0].splitlines()
            assert sum(line.startswith("# Quirk: ") for line in head) >= 5
