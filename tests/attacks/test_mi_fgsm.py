"""MI-FGSM: the paper's iterates, and momentum that outlives a gradient of zero."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from counting import Operations
from linear_models import PIXELS, batch_of, flat, linear_model
from oracles.madry_pgd import Net
from oracles.mi_fgsm import iterates
from vicinal._checks import InputError
from vicinal.attacks import MIFGSM, PGD


def two_layers(seed: int = 0) -> tuple[nn.Module, Net]:
    r = np.random.default_rng(seed)
    net = Net(
        w=3 * r.normal(size=(9, PIXELS)),
        b=r.normal(size=9),
        v=r.normal(size=(4, 9)),
        c=r.normal(size=4),
    )
    inner, outer = nn.Linear(PIXELS, 9).double(), nn.Linear(9, 4).double()
    for layer, w, b in ((inner, net.w, net.b), (outer, net.v, net.c)):
        layer.weight.data, layer.bias.data = torch.from_numpy(w), torch.from_numpy(b)
    return nn.Sequential(nn.Flatten(), inner, nn.Tanh(), outer), net


@pytest.mark.parametrize("momentum", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("targeted", [False, True])
def test_eq6_and_eq7_every_iterate_is_the_papers(momentum: float, targeted: bool) -> None:
    model, net = two_layers()
    x, y = batch_of(model, 8)
    t = (y + 1) % 4 if targeted else None
    aims = (y if t is None else t).tolist()
    paths = [
        iterates(
            lambda at, aim=aim: net.gradient(at, aim),  # type: ignore[misc]
            image,
            eps=0.1,
            steps=10,
            momentum=momentum,
            sign=-1 if targeted else 1,
        )
        for image, aim in zip(flat(x), aims, strict=True)
    ]
    attack = MIFGSM(eps=0.1, step_size=0.01, momentum=momentum, target=t, iterate="last")
    for steps in range(1, 11):
        found = dataclasses.replace(attack, steps=steps)(model, x, y).adv
        expected = np.stack([path[steps] for path in paths])
        np.testing.assert_allclose(flat(found), expected, atol=1e-12)


def test_the_step_is_the_budget_over_the_steps() -> None:
    model, _ = two_layers()
    x, y = batch_of(model, 10)
    own = MIFGSM(eps=0.08, steps=4, iterate="last")
    assert torch.equal(
        own(model, x, y).adv, dataclasses.replace(own, step_size=0.02)(model, x, y).adv
    )
    per_channel = torch.full((3,), 0.08, dtype=x.dtype)
    assert torch.allclose(
        dataclasses.replace(own, eps=per_channel)(model, x, y).adv, own(model, x, y).adv
    )


def test_on_two_linear_classes_it_reaches_the_worst_corner() -> None:
    model, weight, _ = linear_model(2)
    x, y = batch_of(model, 20)
    slope = torch.from_numpy(np.sign(weight[1] - weight[0])).view(1, 3, 2, 2)
    corner = (x + 0.1 * (1.0 - 2.0 * y.double()).view(-1, 1, 1, 1) * slope).clamp(0, 1)
    found = MIFGSM(eps=0.1, iterate="last")(model, x, y)
    torch.testing.assert_close(found.adv, corner, rtol=0, atol=1e-12)
    assert str(found.passes) == "11+10"


class Blinking(nn.Module):
    """A model that gives no gradient in some of its passes."""

    def __init__(self, net: nn.Module, *, dark: tuple[int, ...], value: float) -> None:
        super().__init__()
        self.net, self.dark, self.value, self.seen = net, dark, value, 0

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x)
        self.seen += 1
        if self.seen in self.dark and z.requires_grad:
            z.register_hook(lambda g: g * self.value)  # type: ignore[no-untyped-call]
        return z


@pytest.mark.parametrize("dark", [(1,), (1, 2), (3,), (2, 5)])
@pytest.mark.parametrize("value", [0.0, torch.nan])
def test_a_zero_gradient_does_not_freeze_the_image(dark: tuple[int, ...], value: float) -> None:
    """Torchattacks: 0/0 is NaN, sign(NaN) is 0, and nothing moves for the rest of the run."""
    model, _, _ = linear_model(2)
    x, y = batch_of(model, 10, inner=True)
    blinking = Blinking(model, dark=dark, value=value)
    found = MIFGSM(eps=0.1, steps=10, iterate="last")(blinking, x, y)
    lost = len([step for step in dark if step <= min(dark) + len(dark) - 1 and 1 in dark])
    torch.testing.assert_close(
        found.norms, torch.full_like(found.norms, 0.1 - 0.01 * lost), rtol=0, atol=1e-9
    )


def test_momentum_is_of_gradients_not_of_signs() -> None:
    """Foolbox accumulates signs: a large early gradient then weighs no more than a small one."""

    class Turning(nn.Module):
        """Its slope in the first pixel is 1, then twice -0.4; the second pixel takes the rest."""

        def __init__(self) -> None:
            super().__init__()
            self.seen = 0

        def forward(self, x: Tensor) -> Tensor:
            a = (0.9, -0.4, -0.4)[min(self.seen, 2)]
            self.seen += 1
            height = a * x[:, 0, 0, 0] + (1 - abs(a)) * x[:, 0, 0, 1]
            return torch.stack([-height, height], dim=1)

    x, y = torch.full((1, 1, 1, 2), 0.5), torch.tensor([0])
    found = MIFGSM(eps=0.3, steps=3, loss="margin", iterate="last")(Turning(), x, y).adv
    assert torch.allclose(found.flatten(), torch.tensor([0.8, 0.8]))  # signs would give 0.6


def test_l2_steps_have_their_length() -> None:
    model, _ = two_layers()
    x, y = batch_of(model, 10, inner=True)
    found = MIFGSM(eps=0.05, steps=1, norm="l2", iterate="last")(model, x, y)
    assert torch.allclose(found.norms, torch.full_like(found.norms, 0.05))


def test_compaction_changes_no_verdict(trained: nn.Module, digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits
    whole = MIFGSM(eps=0.1)(trained, x, y)
    fewer = MIFGSM(eps=0.1, compact_every=1)(trained, x, y)
    assert torch.equal(whole.success, fewer.success)
    assert fewer.spent is not None
    assert fewer.spent < whole.image_passes


def test_nothing_in_the_loop_waits_for_the_device() -> None:
    model = linear_model(3)[0]
    x, y = batch_of(model, 7)
    waits = []
    for steps in (5, 20):
        with Operations() as operations:
            MIFGSM(eps=0.1, steps=steps)(model, x, y)
        waits.append(operations.waits)
    assert waits[0] == waits[1] > 0


def test_without_momentum_it_is_pgd() -> None:
    model, _ = two_layers()
    x, y = batch_of(model, 10)
    pgd = PGD(eps=0.1, step_size=0.01, steps=10, random_start=False)
    assert torch.allclose(MIFGSM(eps=0.1, momentum=0.0)(model, x, y).adv, pgd(model, x, y).adv)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eps": 16}, "did you mean 16/255"),
        ({"eps": "16/255"}, "`eps` must be a number"),
        ({"eps": float("inf")}, "`step_size` must be given"),
        ({"momentum": -1.0}, "`momentum`"),
        ({"steps": 0}, "`steps`"),
        ({"step_size": 0.0}, "`step_size` must be above 0"),
        ({"eot": 0}, "`eot`"),
        ({"iterate": "last", "compact_every": 5}, "`compact_every` must be None"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        MIFGSM(**{"eps": 0.1, **fields})
