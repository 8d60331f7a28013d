"""Every pair of moves that the tables promise runs, and no other does."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import catalog
import laws
import nets
from vicinal._checks import InputError
from vicinal.inputs import INPUTS, MIXING
from vicinal.labels import FOLLOWING, LABELS
from vicinal.objectives import Vicinal
from vicinal.recipes import pairs as module
from vicinal.recipes.pairs import pairs

N = 6
LISTED = {(row["input"], row["label"]): row for row in pairs()}


def instances(entries: list[Any], table: dict[str, Any]) -> dict[str, Any]:
    """The first entry of the catalog for every move of a table, in its order."""
    first = {type(entry.instance): entry.instance for entry in reversed(entries)}
    return {name: first[cls] for name, cls in table.items()}


IMAGES = instances(catalog.INPUTS, INPUTS)
MOVES = instances(catalog.LABELS, LABELS)
POINTS = [(name, at) for name, move in MOVES.items() for at in ("neighbour", "clean") if move.at]


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(N, nets.CHANNELS, nets.SIDE, nets.SIDE, dtype=torch.float64)
    return x, torch.arange(N) % nets.CLASSES


@pytest.mark.parametrize("image", INPUTS)
@pytest.mark.parametrize("label", LABELS)
def test_a_pair_is_listed_exactly_where_it_runs(image: str, label: str) -> None:
    (x, y), model = batch(), laws.Counting(nets.smooth_net())
    objective = Vicinal(inputs=IMAGES[image], labels=MOVES[label])
    if (image, label) not in LISTED:
        with pytest.raises(InputError, match="Did you mean inputs="):
            objective(model, x, y)
        return
    loss = objective(model, x, y)
    torch.autograd.backward(loss)
    assert torch.isfinite(loss)
    assert model.passes(N) == objective.passes


@pytest.mark.parametrize("image", INPUTS)
@pytest.mark.parametrize(("label", "at"), POINTS)
def test_every_move_that_looks_can_look_at_either_point(image: str, label: str, at: str) -> None:
    (x, y), model = batch(), laws.Counting(nets.smooth_net())
    move = type(MOVES[label])(at=at)
    objective = Vicinal(inputs=IMAGES[image], labels=move)
    torch.autograd.backward(objective(model, x, y))
    assert model.passes(N) == objective.passes


def test_the_lists_of_moves_that_draw_and_follow_are_true() -> None:
    x, y = batch()
    for entry in catalog.INPUTS:
        drawn = entry.instance(nets.smooth_net(), x, y).mix
        assert (drawn is not None) == (type(entry.instance).__name__ in MIXING)
    follow = {type(entry.instance).__name__ for entry in catalog.LABELS if entry.mixes}
    assert follow == set(FOLLOWING)


def test_published_pairs_are_pairs() -> None:
    published = {pair: row["published as"] for pair, row in LISTED.items() if row["published as"]}
    assert len(published) >= 11
    for pair, words in {
        ("PGD", "Bilateral"): "BAT",
        ("PGD", "Keep"): "Madry",
        ("Interpolate", "LeastLikelyShift"): "ALPS",
        ("MixUp", "Mixing"): "MixUp",
        ("Keep", "Keep"): "ERM",
    }.items():
        assert words in published[pair]
    assert LISTED["Keep", "LeastLikelyShift"]["published as"] == ""
    assert set(module._PUBLISHED) <= set(LISTED)
