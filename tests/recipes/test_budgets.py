"""The budgets of training attacks: found by their fields at any depth, and moved."""

from __future__ import annotations

from typing import Any

import pytest

from vicinal.objectives import OBJECTIVES
from vicinal.recipes.budgets import attacks, moved
from vicinal.recipes.resolve import explicit

QUIET = {
    "ERM", "GaussianVicinity", "LabelSmoothing", "MixUp", "CutMix", "ManifoldMixUp", "ALPS",
    "AWP", "Vicinal",
}  # fmt: skip
"""Those that attack no image by their defaults; AWP's moves the weights against ERM."""


def double(eps: float) -> float:
    return 2 * eps


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_attacks_if_and_only_if_it_searches_an_image(name: str) -> None:
    assert attacks(explicit("objective", {"name": name})) == (name not in QUIET)


@pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - QUIET))
def test_every_budget_moves_and_steps_follow(name: str) -> None:
    fields = explicit("objective", {"name": name})
    found = moved(fields, eps=double)
    radius = "eps_max" if "eps_max" in fields else "eps"
    assert found[radius] == 2 * fields[radius]
    step = fields.get("step_size")
    assert found.get("step_size") == (None if step is None else pytest.approx(2 * step))
    assert set(found) <= {radius, "step_size"}


def test_a_search_within_is_found_and_what_is_beside_it_stays() -> None:
    search = {"name": "PGD", "eps": 0.1, "step_size": 0.05, "batchnorm": "train"}
    awp: dict[str, Any] = {
        "name": "AWP",
        "gamma": 0.005,
        "objective": {
            "name": "Vicinal",
            "inputs": {"name": "Vertex", "gamma": 2.0, "move": search},
            "labels": {"name": "Smooth", "eps": 0.1},
        },
    }
    assert attacks(awp)
    within = {"move": {"eps": 0.2, "step_size": pytest.approx(0.1)}}
    assert moved(awp, eps=double) == {"objective": {"inputs": within}}


def test_further_fields_go_where_they_exist() -> None:
    found = moved(
        {"name": "A", "eps": 0.1, "step_size": 0.1}, eps=double, common={"batchnorm": "x"}
    )
    assert "batchnorm" not in found
    found = moved(
        {"name": "A", "eps": 0.1, "batchnorm": "y"}, eps=double, common={"batchnorm": "x"}
    )
    assert found == {"batchnorm": "x", "eps": 0.2}


@pytest.mark.parametrize("own", [{"norm": "l2", "eps": 0.5}, {"eps": 0.0}, {"eps": [0.1, 0.2]}])
def test_a_radius_that_is_none_of_pixels_stays(own: dict[str, Any]) -> None:
    assert moved({"name": "PGD", "step_size": 0.1, **own}, eps=double) == {}
