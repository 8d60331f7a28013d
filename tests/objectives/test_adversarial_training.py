"""Adversarial training: its instances by name, the clean half, BatchNorm, and N-FGSM in NumPy."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import laws
import nets
from oracles import bat_image, bat_label
from oracles.madry_pgd import Net, Vector, iterates
from vicinal import inputs, labels
from vicinal._checks import InputError
from vicinal._typing import BatchNormMode
from vicinal.maths.losses import cross_entropy
from vicinal.objectives import AWP, ERM, AdversarialTraining, Vicinal

PIXELS, CLASSES, EPS = 12, 4, 8 / 255
ONE_STEP = AdversarialTraining.one_step


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def nets_alike() -> tuple[Net, nn.Module]:
    r = np.random.default_rng(1)
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


def least_likely(net: Net, x: Vector, c: int) -> int:
    z = net.logits(x).tolist()
    return min((k for k in range(CLASSES) if k != c), key=lambda k: float(z[k]))


def moved(name: str, net: Net, x: Vector, c: int, noise: Vector) -> Vector:
    """One image of the family, by the oracles."""
    still = 0.0 * noise
    if name == "N-FGSM":
        return bat_image.n_fgsm(net, x, c, noise=noise, eps=EPS)
    if name == "FGSM":
        return iterates(net, x, c, start=x, eps=EPS, step_size=EPS, steps=1, norm="linf")[-1]
    if name == "PGD-3":
        start = np.clip(x + EPS * noise, 0.0, 1.0)
        path = iterates(net, x, c, start=start, eps=EPS, step_size=2 / 255, steps=3, norm="linf")
        return path[-1]
    t = (bat_image.most_confusing if "MC" in name else least_likely)(net, x, c)
    start = noise if name.startswith("R-") else still
    return bat_image.targeted(net, x, t, noise=start, eps=EPS, step=EPS)


FAMILY = {
    "FGSM": (ONE_STEP(eps=EPS), (2, 2)),
    "LL": (ONE_STEP(eps=EPS, target="least_likely"), (2, 2)),
    "MC": (ONE_STEP(eps=EPS, target="most_confusing"), (2, 2)),
    "R-LL": (ONE_STEP(eps=EPS, target="least_likely", random_start=True), (3, 2)),
    "R-MC": (ONE_STEP(eps=EPS, target="most_confusing", random_start=True), (3, 2)),
    "N-FGSM": (AdversarialTraining.n_fgsm(eps=EPS), (2, 2)),
    "PGD-3": (AdversarialTraining(eps=EPS, step_size=2 / 255, steps=3), (4, 4)),
}


@pytest.mark.parametrize("name", FAMILY)
def test_the_loss_of_every_named_instance_is_that_of_the_loops(name: str) -> None:
    net, model = nets_alike()
    x, y = batch()
    noise = 2 * torch.rand(x.shape, generator=generator(), dtype=x.dtype) - 1
    losses = []
    for i, c in enumerate(y.tolist()):
        image = moved(name, net, x[i].flatten().numpy(), c, noise[i].flatten().numpy())
        losses.append(bat_label.losses(net.logits(image).tolist())[c])
    objective, _ = FAMILY[name]
    found = objective(model, x, y, rng=generator())
    assert found.item() == pytest.approx(np.mean(losses), abs=1e-12)


MORE = {
    "R-FGSM": (ONE_STEP(eps=EPS, random_start=True), (2, 2)),
    "random": (ONE_STEP(eps=EPS, target="random"), (2, 2)),
    "R-random": (ONE_STEP(eps=EPS, target="random", random_start=True), (2, 2)),
    "Madry": (AdversarialTraining(steps=7), (8, 8)),
    "LS-PGD": (AdversarialTraining(labels=labels.Smooth(eps=0.2)), (11, 11)),
    "clean half": (AdversarialTraining(steps=7, clean_half=True), (9, 9)),
    "adversarial label": (AdversarialTraining(steps=7, labels=labels.Bilateral()), (9, 8)),
    "no steps": (AdversarialTraining(steps=0, target="least_likely"), (1, 1)),
}


@pytest.mark.parametrize("name", [*FAMILY, *MORE])
@pytest.mark.parametrize("soft", [False, True])
def test_passes_are_those_of_the_methods_table(name: str, soft: bool) -> None:
    (x, y), model = batch(), laws.Counting(nets_alike()[1])
    objective, passes = (FAMILY | MORE)[name]
    given = nn.functional.one_hot(y, CLASSES).double() if soft else y
    torch.autograd.backward(objective(model, x, given))
    assert model.passes(len(x)) == passes == objective.passes


def test_the_clean_half_is_the_mean_of_two_risks_and_keeps_its_labels() -> None:
    (x, y), model = batch(), nets_alike()[1]
    fields: dict[str, Any] = {"eps": 0.1, "steps": 3, "labels": labels.Smooth(eps=0.4)}
    half = AdversarialTraining(**fields, clean_half=True)(model, x, y, rng=generator())
    whole = AdversarialTraining(**fields)(model, x, y, rng=generator())
    torch.testing.assert_close(half, (ERM()(model, x, y) + whole) / 2, rtol=1e-12, atol=0)


@pytest.mark.parametrize("clean_half", [False, True])
def test_awp_around_it_counts_its_risks(clean_half: bool) -> None:
    (x, y), model = batch(), laws.Counting(nets_alike()[1])
    objective = AWP(objective=AdversarialTraining(steps=2, clean_half=clean_half))
    torch.autograd.backward(objective(model, x, y))
    assert model.passes(len(x)) == objective.passes


def test_random_targets_follow_the_generator_and_are_never_the_class() -> None:
    (x, y), model = batch(200), nets_alike()[1]
    draw = torch.randint(CLASSES - 1, (len(y),), generator=generator())
    step = inputs.FGSM(eps=EPS, target=(y + 1 + draw) % CLASSES)
    expected = cross_entropy(model(step(model, x, y).x), y).mean()
    found = ONE_STEP(eps=EPS, target="random")(model, x, y, rng=generator())
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("mode", "updates"), [("eval", 1), ("train_frozen_stats", 1), ("train", 4)]
)
def test_batchnorm_while_attacking_is_as_the_field_says(mode: BatchNormMode, updates: int) -> None:
    model = nets.stateful_net()
    x, y = torch.rand(6, 3, 4, 4), torch.arange(6) % nets.CLASSES
    before = copy.deepcopy(model.state_dict())
    objective = AdversarialTraining(eps=0.1, step_size=0.05, steps=3, batchnorm=mode)
    with laws.assert_model_unchanged(model, but=("buffers",)):
        objective(model, x, y, rng=generator())
    tracked = "4.num_batches_tracked"
    assert model.state_dict()[tracked] == before[tracked] + updates


def test_normalising_by_the_batch_makes_another_attack() -> None:
    found = []
    for mode in ("eval", "train_frozen_stats"):
        model = nets.stateful_net()
        model[5] = nn.Identity()  # without dropout, the same forward but for the images
        objective = AdversarialTraining(eps=0.2, step_size=0.1, steps=3, batchnorm=mode)
        x, y = torch.rand(6, 3, 4, 4, generator=generator()), torch.arange(6) % nets.CLASSES
        found.append(objective(model, x, y, rng=generator()))
    assert not torch.equal(*found)


def test_a_budget_may_be_one_per_channel_and_a_norm_l2() -> None:
    (x, y), model = batch(), nets_alike()[1]
    seen: list[Tensor] = []
    model.register_forward_pre_hook(lambda _, images: seen.append(images[0].detach()))
    eps = torch.tensor([0.0, 0.05, 0.1])
    AdversarialTraining(eps=eps, step_size=eps, steps=2)(model, x, y)
    assert torch.allclose((seen[-1] - x).abs().amax(dim=(0, 2, 3)).float(), eps, atol=1e-3)
    AdversarialTraining(eps=0.3, step_size=0.2, steps=3, norm="l2")(model, x, y)
    size = (seen[-1] - x).flatten(1).norm(dim=1)
    assert float(size.max()) <= 0.3 + 1e-12
    assert float(size.max()) > 0.2


def test_any_pair_of_pgd_and_a_label_move_is_an_instance() -> None:
    (x, y), model = batch(), nets_alike()[1]
    move = labels.LeastLikelyShift(eps=0.5, at="clean")
    ours = AdversarialTraining(eps=0.1, step_size=0.05, steps=2, loss="margin", labels=move)
    pgd = inputs.PGD(eps=0.1, step_size=0.05, steps=2, loss="margin")
    theirs = Vicinal(inputs=pgd, labels=move)
    laws.assert_same_bits(*(o(model, x, y, rng=generator()) for o in (ours, theirs)))


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"eps": 8}, "did you mean 8/255"),
        ({"step_size": 2}, "did you mean 2/255"),
        ({"eps": float("inf")}, "`random_start` must be False when eps is infinite"),
        ({"steps": -1}, "`steps` must be an integer >= 0"),
        ({"norm": "l1"}, "`norm` must be linf | l2"),
        ({"loss": "kl"}, "`loss` must be ce | margin"),
        ({"target": "most_confused"}, "Did you mean most_confusing?"),
        ({"start_radius": -2.0}, "`start_radius` must satisfy"),
        ({"labels": "smooth"}, "`labels` must be a label move"),
        ({"labels": inputs.Keep()}, "`labels` must be a label move"),
        ({"batchnorm": "frozen"}, "`batchnorm`"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        AdversarialTraining(**fields)
    laws.assert_one_line(caught.value, phrase)
