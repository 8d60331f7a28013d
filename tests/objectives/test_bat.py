"""BAT: the paper's equations in NumPy, one clean forward for target and label, its variants."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import laws
import nets
from oracles import bat_image, bat_label
from oracles.madry_pgd import Net
from vicinal import inputs, labels
from vicinal._checks import InputError
from vicinal.maths.losses import cross_entropy
from vicinal.objectives import BAT, Vicinal

PIXELS, CLASSES = 12, 4


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def nets_alike() -> tuple[Net, nn.Module]:
    r = np.random.default_rng(0)
    shapes = ((9, PIXELS), (9,), (CLASSES, 9), (CLASSES,))
    w, b, v, c = (r.normal(size=shape) for shape in shapes)
    inner, outer = nn.Linear(PIXELS, 9).double(), nn.Linear(9, CLASSES).double()
    with torch.no_grad():
        for layer, weight, bias in ((inner, w, b), (outer, v, c)):
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
    return Net(w=w, b=b, v=v, c=c), nn.Sequential(nn.Flatten(), inner, nn.Tanh(), outer)


def batch(n: int = 16) -> tuple[Tensor, Tensor]:
    x = torch.rand(n, 3, 2, 2, generator=generator(5), dtype=torch.float64)
    x[0] = x[0].round()
    return x, torch.arange(n) % CLASSES


@pytest.mark.parametrize(
    ("fields", "eps", "step", "beta"),
    [
        ({}, 8 / 255, 8 / 255, 9.0),
        ({"eps": 0.3, "beta": 2.0}, 0.3, 0.3, 2.0),
        ({"eps": 16 / 255, "steps": 2, "beta": 100.0}, 16 / 255, 8 / 255, 100.0),
    ],
    ids=["default", "large", "ImageNet"],
)
def test_eq10_the_loss_is_the_papers(
    fields: dict[str, Any], eps: float, step: float, beta: float
) -> None:
    net, model = nets_alike()
    x, y = batch()
    noise = 2 * torch.rand(x.shape, generator=generator(), dtype=x.dtype) - 1
    losses = []
    for i, c in enumerate(y.tolist()):
        clean, start = x[i].flatten().numpy(), noise[i].flatten().numpy()
        t = bat_image.most_confusing(net, clean, c)
        moved = bat_image.targeted(
            net, clean, t, noise=start, eps=eps, step=step, steps=fields.get("steps", 1)
        )
        v = bat_label.losses(net.logits(clean).tolist())
        q = bat_label.label(v, c, beta=beta, gamma=0.01)
        u = bat_label.losses(net.logits(moved).tolist())
        losses.append(sum(q[k] * u[k] for k in range(CLASSES)))
    found = BAT(**fields)(model, x, y, rng=generator())
    assert found.item() == pytest.approx(np.mean(losses), abs=1e-12)


def test_target_and_label_come_from_one_clean_forward_in_eval_mode() -> None:
    x, y = torch.rand(6, 3, 4, 4), torch.arange(6) % nets.CLASSES
    model = nets.stateful_net()
    twin, seen = copy.deepcopy(model), []
    model.register_forward_hook(lambda net, images, z: seen.append((net.training, images[0], z)))
    torch.manual_seed(0)
    loss = BAT(eps=0.1)(model, x, y, rng=generator())
    assert [training for training, _, _ in seen] == [False, False, True]
    assert torch.equal(seen[0][1], x)
    clean = copy.deepcopy(twin).eval()(x).detach()
    step = inputs.PGD(
        eps=0.1,
        step_size=0.1,
        steps=1,
        clip_start=False,
        target=inputs.choose_target("most_confusing", clean, y),
    )
    moved = step(twin, x, y, rng=generator()).x
    assert torch.equal(seen[2][1], moved)
    expected = cross_entropy(seen[2][2], labels.bilateral(y, clean)).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)


TABLE = [
    (BAT(), (3, 2)),
    (BAT(label="smooth"), (3, 2)),
    (BAT(label="keep"), (3, 2)),
    (BAT(label="smooth", target=None), (2, 2)),
    (BAT(eps=16 / 255, steps=2, beta=100.0), (4, 3)),
    (BAT(target=None, steps=7, step_size=2 / 255), (9, 8)),
    (BAT(target="random"), (3, 2)),
    (BAT(target="random", label="keep"), (2, 2)),
    (BAT(label="keep", random_start=False), (2, 2)),
]


@pytest.mark.parametrize(("objective", "passes"), TABLE)
def test_passes_are_those_of_the_methods_table(objective: BAT, passes: tuple[int, int]) -> None:
    x, y = batch()
    model = laws.Counting(nets_alike()[1])
    torch.autograd.backward(objective(model, x, y))
    assert model.passes(len(x)) == passes == objective.passes


def test_the_smoothed_label_is_half_on_the_class_and_the_kept_one_hard() -> None:
    (x, y), model = batch(), nets_alike()[1]
    step = inputs.PGD(
        eps=8 / 255, step_size=8 / 255, steps=1, target="most_confusing", clip_start=False
    )
    for label, move in (("smooth", labels.Smooth(eps=0.5)), ("keep", labels.Keep())):
        ours = BAT(label=label)(model, x, y, rng=generator())
        theirs = Vicinal(inputs=step, labels=move)(model, x, y, rng=generator())
        laws.assert_same_bits(ours, theirs)


def test_the_adversarial_image_is_nearer_to_the_target_class() -> None:
    """A wrong sign would train on images that are easier than the clean ones."""
    (x, y), model = batch(), nets_alike()[1]
    t = inputs.choose_target("most_confusing", model(x).detach(), y)
    seen: list[Tensor] = []
    model.register_forward_pre_hook(lambda _, images: seen.append(images[0].detach()))
    BAT(eps=0.05, random_start=False)(model, x, y)
    before, after = (cross_entropy(model(images), t) for images in (x, seen[-1]))
    assert bool((after < before).all())


def test_a_step_reaches_the_balls_face_unless_one_is_given() -> None:
    (x, y), model = batch(), nets_alike()[1]
    for steps in (1, 2):
        one = BAT(eps=0.1, steps=steps)(model, x, y, rng=generator())
        other = BAT(eps=0.1, steps=steps, step_size=0.1 / steps)(model, x, y, rng=generator())
        laws.assert_same_bits(one, other)
    short = BAT(eps=0.1, step_size=0.02)(model, x, y, rng=generator())
    assert not torch.equal(short, one)


def test_soft_labels_are_moved_class_by_class_and_never_aimed_at() -> None:
    (x, y), model = batch(), nets_alike()[1]
    q = 0.7 * nn.functional.one_hot(y, CLASSES).double() + 0.3 / CLASSES
    clean = model(x).detach()
    t = inputs.choose_target("most_confusing", clean, y)
    step = inputs.PGD(eps=0.1, step_size=0.1, steps=1, target=t, clip_start=False)
    moved = step(model, x, q, rng=generator()).x
    expected = cross_entropy(model(moved), labels.bilateral(q, clean)).mean()
    found = BAT(eps=0.1)(model, x, q, rng=generator())
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_a_long_budget_and_wild_logits_stay_finite() -> None:
    x, y = batch()
    model = nets.Scaled(nets_alike()[1], 1e6)
    loss = BAT(eps=1.0)(model, x, y)
    torch.autograd.backward(loss)
    assert torch.isfinite(loss)


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"eps": 8}, "did you mean 8/255"),
        ({"eps": math.inf}, "`eps` must satisfy 0 <= eps <= 1"),
        ({"steps": 0}, "`steps` must be an integer >= 1"),
        ({"target": "most_confused"}, "Did you mean most_confusing?"),
        ({"label": "la"}, "`label` must be bilateral | smooth | keep"),
        ({"beta": -1.0}, "`beta` must satisfy"),
        ({"gamma": 0.0}, "`gamma` must satisfy"),
        ({"label": "keep", "beta": -1.0}, "`beta` must satisfy"),
        ({"smoothing": 1.5}, "`smoothing` must satisfy 0 <= smoothing <= 1"),
        ({"batchnorm": "frozen"}, "`batchnorm`"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        BAT(**fields)
    laws.assert_one_line(caught.value, phrase)
