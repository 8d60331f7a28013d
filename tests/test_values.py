"""Golden values to 4 decimals: not what is right, but what has not changed unnoticed.

Weights and images are written in closed form, so that only the library and torch's generator on
the CPU stand behind a number. A change here must be meant, and said in the changelog.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nets
from vicinal import attacks, inputs, labels, objectives
from vicinal._checks import InputError
from vicinal.maths.randomness import beta, permutation


def waves(*shape: int) -> Tensor:
    """Numbers between -1 and 1 that look random and are the same everywhere."""
    n = math.prod(shape)
    return (12.9898 * torch.arange(1, n + 1, dtype=torch.float64) ** 2).sin().view(shape)


def net() -> nn.Module:
    model = nets.smooth_net()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.7 * waves(*weight.shape))
    return model


X = (waves(6, nets.CHANNELS, nets.SIDE, nets.SIDE) + 1) / 2
Y = torch.tensor([0, 3, 1, 4, 2, 0])
Q = (2 * waves(6, nets.CLASSES)).softmax(dim=1)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(2021)


LOSSES: dict[str, tuple[objectives.Objective, float, float | None]] = {
    "ERM": (objectives.ERM(), 3.6638, 3.8911),
    "label smoothing": (objectives.LabelSmoothing(eps=0.1), 3.6817, 3.8805),
    "label smoothing, uniform": (
        objectives.LabelSmoothing(eps=0.1, convention="uniform"),
        3.6781,
        3.8826,
    ),
    "Gaussian vicinity": (objectives.GaussianVicinity(sigma=0.1), 3.4757, 3.9058),
    "MixUp": (objectives.MixUp(alpha=1.0), 3.3695, 3.941),
    "MixUp per sample": (objectives.MixUp(alpha=0.4, per_sample=True), 4.5442, 4.1504),
    "CutMix": (objectives.CutMix(alpha=1.0), 3.4573, 4.0247),
    "CutMix per sample": (objectives.CutMix(alpha=0.4, per_sample=True), 3.7119, 3.9056),
    "ManifoldMixUp": (
        objectives.ManifoldMixUp(alpha=2.0, layers=("input", "2")),
        3.3631,
        3.9738,
    ),
    "ALPS": (objectives.ALPS(eps=0.2, mode=0.9, concentration=12.0), 3.9522, 4.7424),
    "ALPS, label only": (
        objectives.Vicinal(labels=labels.LeastLikelyShift(eps=0.2)),
        3.9159,
        4.4663,
    ),
    "ALPS, image only": (objectives.ALPS(eps=0.0), 3.6915, 4.1597),
    "FGSM training": (objectives.AdversarialTraining.one_step(eps=8 / 255), 4.11, 4.349),
    "N-FGSM training": (objectives.AdversarialTraining.n_fgsm(eps=8 / 255), 4.0598, 4.3641),
    "R-MC training": (
        objectives.AdversarialTraining.one_step(
            eps=8 / 255, target="most_confusing", random_start=True
        ),
        3.8482,
        4.0514,
    ),
    "PGD training, half clean": (
        objectives.AdversarialTraining(steps=3, clean_half=True),
        3.7994,
        4.0406,
    ),
    "BAT": (objectives.BAT(), 4.125, 4.3293),
    "BAT, two steps": (objectives.BAT(eps=16 / 255, steps=2, beta=100.0), 4.0482, 4.2655),
    "PGD training, l2": (
        objectives.AdversarialTraining(eps=0.5, step_size=0.2, steps=3, norm="l2"),
        4.5272,
        4.9022,
    ),
    "feature scattering": (objectives.FeatureScatter(), 3.6779, 3.7792),
    "feature scattering, paper's transport": (
        objectives.FeatureScatter(step_size=4 / 255, steps=2, transport="paper"),
        3.6668,
        3.7801,
    ),
    "AVmixup": (objectives.AVmixup(steps=3), 4.0269, 4.2745),
    "AVmixup over feature scattering": (objectives.AVmixup.over_feature_scatter(), 3.68, 3.769),
    "TRADES": (objectives.TRADES(steps=2), 3.7109, 3.9381),
    "MART": (objectives.MART(steps=2), 5.5785, None),
    "TLAT": (objectives.TLAT(eps_max=0.1), 7.2866, 7.7619),
    "target-FGSM": (objectives.TLAT(eps_max=0.1, label="keep"), 7.2887, 7.7651),
    "target-FGSM + LS": (objectives.TLAT(eps_max=0.1, label="smooth"), 7.2895, 7.7648),
    "FGSM beside clean": (
        objectives.TLAT(eps_max=0.1, label="keep", target=None),
        7.3951,
        7.8494,
    ),
    "M-TLAT": (objectives.MTLAT(eps_max=0.1), 6.9631, 7.7026),
    "IAT": (objectives.IAT(steps=2), 3.5037, 4.2749),
    "AWP around TRADES": (objectives.AWP(objective=objectives.TRADES(steps=2)), 3.8732, 4.1415),
    "PGD training": (
        objectives.Vicinal(inputs=inputs.PGD(eps=8 / 255, step_size=2 / 255, steps=3)),
        3.935,
        4.1902,
    ),
}
"""Name: the objective, its loss on classes, and on distributions (None where it refuses them)."""

MOVES: dict[str, tuple[Any, float]] = {
    "GaussianNoise": (inputs.GaussianNoise(sigma=0.1), 7.8196),
    "MixUp": (inputs.MixUp(alpha=1.0), 164.5168),
    "CutMix": (inputs.CutMix(alpha=1.0), 64.7988),
    "Interpolate": (inputs.Interpolate(), 14.9739),
    "FGSM": (inputs.FGSM(eps=8 / 255), 0.8979),
    "PGD": (inputs.PGD(eps=8 / 255, step_size=2 / 255, steps=5), 0.701),
    "PGD, l2": (inputs.PGD(eps=0.5, step_size=0.2, steps=3, norm="l2", loss="margin"), 4.9874),
    "PGD, targeted": (
        inputs.PGD(eps=0.1, step_size=0.05, steps=3, target="least_likely"),
        6.842,
    ),
}
"""Name: the input move, and the mean square of what it changed, times 1000."""

ATTACKS: dict[str, tuple[Any, int, float]] = {
    "FGSM": (attacks.FGSM(eps=0.1), 4, 4.7053),
    "PGD": (attacks.PGD(eps=0.1, step_size=0.025, steps=10), 4, 4.8655),
    "PGD, last iterate, margin": (
        attacks.PGD(eps=0.05, step_size=0.02, steps=5, loss="margin", iterate="last"),
        4,
        4.3317,
    ),
    "PGD, l2, restarts": (
        attacks.PGD(eps=0.5, step_size=0.2, steps=3, norm="l2", restarts=2),
        4,
        4.5773,
    ),
    "PGD, targeted": (
        attacks.PGD(eps=0.1, step_size=0.05, steps=3, target="most_confusing"),
        4,
        4.4471,
    ),
}
"""Name: the attack, how many of 6 images the model then gets wrong, and its loss on them all."""


def rounded(values: Tensor) -> list[float]:
    return [round(value, 4) for value in values.tolist()]


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    objective, hard, soft = LOSSES[name]
    assert objective(net(), X, Y, rng=generator()).item() == pytest.approx(hard, abs=6e-5)
    if soft is None:
        with pytest.raises(InputError):
            objective(net(), X, Q, rng=generator())
    else:
        assert objective(net(), X, Q, rng=generator()).item() == pytest.approx(soft, abs=6e-5)


def test_every_objective_has_a_value() -> None:
    assert {type(objective) for objective, *_ in LOSSES.values()} == set(
        objectives.OBJECTIVES.values()
    )


@pytest.mark.parametrize("name", MOVES)
def test_moves(name: str) -> None:
    move, expected = MOVES[name]
    moved = move(net(), X, Y, rng=generator()).x
    assert 1000 * (moved - X).square().mean().item() == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks(name: str) -> None:
    attack, turned, loss = ATTACKS[name]
    result = attack(net(), X, Y, rng=generator())
    assert int(result.success.sum()) == turned
    found = objectives.ERM()(net(), result.adv, Y).item()
    assert found == pytest.approx(loss, abs=6e-5)


def test_labels() -> None:
    q, z = Q[:1], 3 * waves(2, 5)[:1]
    (smooth,), (uniform,) = labels.smooth(q, eps=0.1), labels.smooth_uniform(q, eps=0.1)
    (shifted,) = labels.shift_to_least_likely(q, z, eps=0.3)
    (two_sided,), (hard,) = (
        labels.bilateral(y, z, beta=beta) for y, beta in ((q, 9.0), (torch.tensor([1]), 4.0))
    )
    (stepped,) = labels.projected_gradient(q, z, eps=0.1, step_size=0.05)
    assert rounded(two_sided) == [0.1556, 0.4809, 0.092, 0.1706, 0.1009]
    assert rounded(hard) == [0.0079, 0.6854, 0.1348, 0.0004, 0.1714]
    assert rounded(stepped) == [0.1355, 0.4789, 0.123, 0.1499, 0.1127]
    assert rounded(smooth) == [0.1833, 0.5315, 0.0451, 0.2039, 0.0361]
    assert rounded(uniform) == [0.1828, 0.541, 0.0407, 0.204, 0.0314]
    assert rounded(shifted) == [0.1809, 0.4289, 0.023, 0.2045, 0.1627]


def test_draws() -> None:
    like = torch.zeros(1)
    assert rounded(beta(3, a=10.0, b=2.0, like=like, rng=generator())) == [0.8602, 0.7176, 0.7809]
    assert permutation(6, like, generator()).tolist() == [2, 5, 3, 0, 1, 4]
