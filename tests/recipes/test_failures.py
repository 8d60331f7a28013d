"""Known failures: the survey's figures, and whom they concern."""

from __future__ import annotations

import pytest

from vicinal.objectives import OBJECTIVES
from vicinal.recipes import recipe
from vicinal.recipes.failures import failures_of, known_failures, warning
from vicinal.recipes.resolve import explicit

FAMILY = "family/cifar10-preactresnet18"
FIGURES = {
    "BAT, R-MC-LA eps 4 (WRN-28-10, released)": ("58.6", "29.35"),
    "BAT, R-MOSA-LA eps 4": ("71.0", "32.28"),
    "Feature Scatter": ("60.6", "36.64"),
    "Adversarial Interpolation": ("68.7", "36.45"),
    "AVmixup, ResNet18 re-implemented": ("61.30", "20.57"),
    "AVmixup, WRN re-implemented": ("57.54", "40.5"),
    "Feature Scatter + AVmixup": ("82.31", "no AutoAttack"),
    "Label smoothing alone": ("75", "transfer"),
    "ALPS": ("55.4", "none published"),
    "M-TLAT": ("0.45", "0.08"),
    "IAT": ("44.6", "no AutoAttack"),
    "Madry's PGD training": ("47.0", "44.0"),
    "TRADES": ("56.4", "53.1"),
    "PGD training, early stopped (Rice et al.)": ("58", "53.4"),
}


def test_the_figures_are_the_surveys() -> None:
    found = {known.method: known for known in known_failures()}
    assert found.keys() == FIGURES.keys()
    for method, (claimed, left) in FIGURES.items():
        assert claimed in found[method].claimed
        assert left in found[method].strong
        assert found[method].source
        assert found[method].kind in {"failure", "expected", "control"}


def test_every_alternative_names_an_objective_and_fields_that_it_has() -> None:
    for known in known_failures():
        assert not (known.kind == "control" and known.where)
        for alternative in known.where:
            assert alternative["name"] in OBJECTIVES
            fields = explicit("objective", {"name": alternative["name"]})
            assert {word.partition(".")[0] for word in alternative} <= fields.keys()


@pytest.mark.parametrize(
    ("method", "named"),
    [
        ("r-mc-la", ["BAT, R-MC-LA"]),
        ("madry-la", ["BAT, R-MC-LA"]),
        ("r-mc-ls", []),
        ("feature-scatter", ["Feature Scatter"]),
        ("avmixup", ["AVmixup, ResNet18", "AVmixup, WRN"]),
        ("fs-avmixup", ["Feature Scatter + AVmixup"]),
        ("label-smoothing", ["Label smoothing"]),
        ("ls-0.8", []),
        ("alps", ["ALPS"]),
        ("mtlat", ["M-TLAT"]),
        ("iat", ["IAT"]),
        ("erm", []),
        ("pgd-10", []),
        ("trades", []),
        ("trades-awp", []),
    ],
)
def test_a_method_is_told_what_concerns_it_in_one_line(method: str, named: list[str]) -> None:
    chosen = recipe(FAMILY, method=method)
    found = [known.method for known in failures_of(chosen.objective.model_dump())]
    assert len(found) == len(named)
    assert all(one.startswith(name) for one, name in zip(found, named, strict=True))
    line = warning(chosen)
    assert "\n" not in line
    assert bool(line) == bool(named)
    assert line.endswith("(see `vicinal list failures`)") == bool(named)
    assert all(name in line for name in named)


def test_the_same_sentence_in_other_words_is_known_too() -> None:
    scatter = recipe("avmixup/cifar10-wrn-28-10", method="fs-avmixup")
    assert "Feature Scatter + AVmixup" in warning(scatter)
    assert "Feature Scatter claims" not in warning(scatter)
    madry_la = {"objective.labels": "Bilateral", "objective.steps": 7}
    assert "29.35" in warning(recipe(FAMILY, method="pgd-10", overrides=madry_la))


def test_an_objective_within_awp_is_known() -> None:
    over = {"objective": "AWP", "objective.objective": "FeatureScatter"}
    assert "36.64" in warning(recipe(FAMILY, overrides=over))


def test_what_nobody_has_measured_is_expected_and_not_known() -> None:
    assert warning(recipe(FAMILY, method="alps")).startswith(
        "expected failure of this method, accuracy in %: ALPS claims 55.4 under PGD-10 at 4/255; "
    )
    assert warning(recipe(FAMILY, method="mtlat")).startswith("known failure of this method")
