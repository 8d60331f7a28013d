"""AVmixup as an objective: one weight for image and label, over two attacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import laws
import nets
from oracles import losses
from vicinal import inputs
from vicinal._checks import InputError
from vicinal.objectives import ERM, AVmixup

X = torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = torch.arange(8) % nets.CLASSES
PGD = AVmixup(eps=0.1, step_size=0.05, steps=3)
SCATTER = AVmixup.over_feature_scatter()


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def phi(y: int, lam: float) -> list[float]:
    rest = (1 - lam) / (nets.CLASSES - 1)
    return [lam if c == y else rest for c in range(nets.CLASSES)]


def attack_of(objective: AVmixup) -> inputs.InputMove:
    build = inputs.PGD if objective.attack == "pgd" else inputs.FeatureScatter
    return build(eps=objective.eps, step_size=objective.step_size, steps=objective.steps)


@pytest.mark.parametrize("objective", [PGD, SCATTER], ids=["pgd", "feature_scatter"])
def test_eq13_image_and_label_share_one_weight(objective: AVmixup) -> None:
    model = nets.smooth_net()
    adversarial = attack_of(objective)(model, X, Y, rng=generator()).x
    vertex = (X + objective.gamma * (adversarial - X)).clamp(0, 1)
    mix = inputs.Vertex(move=attack_of(objective))(model, X, Y, rng=generator()).mix
    assert mix is not None
    total = 0.0
    for i, alpha in enumerate(mix.weight.tolist()):
        z = model(alpha * X[[i]] + (1 - alpha) * vertex[[i]]).detach().numpy()
        ends = (phi(int(Y[i]), objective.lambda1), phi(int(Y[i]), objective.lambda2))
        q = [[alpha * a + (1 - alpha) * b for a, b in zip(*ends, strict=True)]]
        total += float(losses.cross_entropy(z, np.asarray(q))[0])
    loss = objective(model, X, Y, rng=generator())
    assert loss.item() == pytest.approx(total / 8, rel=1e-12)


@pytest.mark.parametrize(("alpha", "where"), [(1.0, "image"), (0.0, "vertex"), (0.5, "middle")])
def test_the_loss_at_alpha_0_a_half_and_1(
    monkeypatch: pytest.MonkeyPatch, alpha: float, where: str
) -> None:
    """At 1 the clean image with its own label, at 0 the vertex with the uniform one (K = 5)."""

    def drawn(shape: Any, like: Tensor, rng: Any = None) -> Tensor:
        del rng
        return like.new_full(shape, alpha)

    monkeypatch.setattr("vicinal.inputs.vertex.uniform", drawn)
    model = nets.smooth_net()
    vertex = (X + 2 * (attack_of(PGD)(model, X, Y, rng=generator()).x - X)).clamp(0, 1)
    x = {"image": X, "vertex": vertex, "middle": (X + vertex) / 2}[where]
    own = {"image": 1.0, "vertex": 0.1, "middle": 0.55}[where]
    q = torch.tensor([phi(y, own) for y in Y.tolist()], dtype=torch.float64)
    loss = PGD(model, X, Y, rng=generator())
    torch.testing.assert_close(loss, ERM()(model, x, q), rtol=1e-12, atol=0)


def test_the_attack_climbs_away_from_the_label_itself() -> None:
    """The lambdas soften what is paid, not what is attacked: the images do not depend on them."""
    seen: list[list[Tensor]] = []
    for lambda2 in (0.1, 0.9):
        model = nets.smooth_net()
        images: list[Tensor] = []
        model.register_forward_pre_hook(lambda _, given, to=images: to.append(given[0].detach()))
        AVmixup(eps=0.1, step_size=0.05, steps=3, lambda2=lambda2)(model, X, Y, rng=generator())
        seen.append(images)
    for one, other in zip(*seen, strict=True):
        laws.assert_same_bits(one, other)


def test_the_defaults_are_the_papers() -> None:
    found = AVmixup()
    assert (found.eps, found.step_size, found.steps) == (8 / 255, 2 / 255, 10)
    assert (found.gamma, found.lambda1, found.lambda2) == (2.0, 1.0, 0.1)
    assert found.passes == (11, 11)


def test_over_feature_scatter_it_takes_the_papers_values() -> None:
    assert (
        AVmixup(
            attack="feature_scatter",
            step_size=8 / 255,
            steps=1,
            gamma=1.0,
            lambda1=0.5,
            lambda2=0.7,
        )
        == SCATTER
    )
    assert SCATTER.passes == (3, 2)
    cifar100 = AVmixup.over_feature_scatter(gamma=1.5, lambda1=0.3, lambda2=0.42)
    assert (cifar100.gamma, cifar100.lambda1, cifar100.lambda2) == (1.5, 0.3, 0.42)


@pytest.mark.parametrize("attack", ["pgd", "feature_scatter"])
def test_the_attack_runs_in_the_mode_asked_for(attack: str) -> None:
    """By batch statistics the attack finds other images than by running averages."""
    losses_of = [
        AVmixup(attack=attack, eps=0.1, step_size=0.1, steps=1, batchnorm=mode)(
            nets.stateful_net().eval(), X.float(), Y, rng=generator()
        )
        for mode in ("eval", "train_frozen_stats")
    ]
    assert not torch.equal(*losses_of)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"attack": "fgsm"}, r"`attack` must be pgd \| feature_scatter"),
        ({"gamma": -1.0}, "`gamma`"),
        ({"lambda1": 1.1}, "`lambda1`"),
        ({"lambda2": -0.1}, "`lambda2`"),
        ({"eps": 8}, "did you mean 8/255"),
        ({"batchnorm": "eva"}, "Did you mean eval"),
    ],
)
def test_a_bad_field_is_refused_when_it_is_written(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        AVmixup(**fields)
