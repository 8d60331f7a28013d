"""Feature Scatter as an objective: the loss at the scattered batch, label for label."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import nets
from oracles import losses, smoothing
from vicinal import inputs
from vicinal._checks import InputError
from vicinal.objectives import FeatureScatter

X = torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = torch.arange(8) % nets.CLASSES


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("smoothing_", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("transport", ["sinkhorn", "paper"])
def test_it_is_the_smoothed_cross_entropy_at_the_scattered_batch(
    transport: str, smoothing_: float
) -> None:
    model = nets.smooth_net()
    move = inputs.FeatureScatter(eps=0.1, step_size=0.1, transport=transport)
    z = model(move(model, X, Y, rng=generator()).x).detach().numpy()
    label = smoothing.smoothed(Y.tolist(), nets.CLASSES, smoothing_)
    objective = FeatureScatter(eps=0.1, step_size=0.1, smoothing=smoothing_, transport=transport)
    loss = objective(model, X, Y, rng=generator())
    assert loss.item() == pytest.approx(losses.cross_entropy(z, label).mean(), rel=1e-12)


def test_the_defaults_are_the_authors() -> None:
    """Eps and step 8/255, one step, half of the label on the class, BatchNorm in eval mode."""
    found = FeatureScatter()
    assert (found.eps, found.step_size, found.steps) == (8 / 255, 8 / 255, 1)
    assert (found.smoothing, found.batchnorm, found.passes) == (0.5, "eval", (3, 2))


def test_steps_cost_one_forward_and_one_backward_each() -> None:
    assert FeatureScatter(steps=4).passes == (6, 5)


def test_the_attack_runs_in_the_mode_asked_for() -> None:
    """By batch statistics it finds other images than by running averages."""
    losses_of = [
        FeatureScatter(eps=0.1, step_size=0.1, batchnorm=mode)(
            nets.stateful_net().eval(), X.float(), Y, rng=generator()
        )
        for mode in ("eval", "train_frozen_stats")
    ]
    assert not torch.equal(*losses_of)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"smoothing": 1.5}, "`smoothing`"),
        ({"eps": 8}, "did you mean 8/255"),
        ({"transport": "exact"}, "`transport`"),
    ],
)
def test_a_bad_field_is_refused_when_it_is_written(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        FeatureScatter(**fields)
