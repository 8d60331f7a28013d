"""The steps of APGD, iterate by iterate against loops in NumPy, from the same start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from linear_models import PIXELS, batch_of, flat
from oracles import apgd as oracle
from oracles.madry_pgd import Net
from vicinal._typing import LossOfLogits, Norm
from vicinal.attacks.adaptive import AdaptiveWalk, checkpoints
from vicinal.gradients import ascend
from vicinal.inputs.pgd import climb
from vicinal.maths.balls import surface

EPS: dict[Norm, float] = {"linf": 0.06, "l2": 0.2}


def small_net(classes: int, seed: int = 0) -> tuple[nn.Module, Net]:
    """One hidden layer, for torch and for NumPy."""
    r = np.random.default_rng(seed)
    net = Net(
        w=3 * r.normal(size=(9, PIXELS)),
        b=r.normal(size=9),
        v=r.normal(size=(classes, 9)),
        c=r.normal(size=classes),
    )
    inner, outer = nn.Linear(PIXELS, 9).double(), nn.Linear(9, classes).double()
    for layer, w, b in ((inner, net.w, net.b), (outer, net.v, net.c)):
        layer.weight.data, layer.bias.data = torch.from_numpy(w), torch.from_numpy(b)
    return nn.Sequential(nn.Flatten(), inner, nn.Tanh(), outer), net


def _walked(
    model: nn.Module, x: Tensor, loss: LossOfLogits, start: Tensor, steps: int, norm: Norm
) -> tuple[list[Tensor], AdaptiveWalk]:
    walk = AdaptiveWalk(x, eps=EPS[norm], norm=norm, steps=steps, rho=0.75)
    path: list[Tensor] = []

    def visit(at: Tensor, z: Tensor) -> None:
        path.append(at)
        walk.visit(loss(z))

    last = ascend(model, start, loss, steps=steps, move=walk.step, visit=visit)
    return [*path, last], walk


def _oracle_loss(loss: str, own: int, t: int | None) -> oracle.Loss:
    if loss == "ce":
        return oracle.ce(own) if t is None else oracle.targeted_ce(t)
    return oracle.dlr(own) if t is None else oracle.targeted_dlr(own, t)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
@pytest.mark.parametrize(
    ("classes", "targeted", "steps"),
    [(5, False, 100), (5, True, 100), (3, False, 37), (3, True, 37), (2, False, 20), (2, True, 9)],
)
def test_every_iterate_is_that_of_the_loops(
    classes: int, targeted: bool, steps: int, loss: str, norm: Norm
) -> None:
    model, net = small_net(classes)
    x, y = batch_of(model, 12)
    t = (y + 1) % classes if targeted else None
    g = torch.Generator().manual_seed(1)
    start = surface(x, eps=EPS[norm], norm=norm, rng=g).clamp(0, 1)
    path, walk = _walked(model, x, climb(loss, y, t, values=True), start, steps, norm)
    assert len(path) == steps + 1
    halvings, compared = set(), 0
    for i, own in enumerate(y.tolist()):
        expected, sizes = oracle.ascend(
            net,
            oracle.Search(flat(x)[i], EPS[norm], norm),
            _oracle_loss(loss, own, None if t is None else int(t[i])),
            start=flat(start)[i],
            steps=steps,
        )
        for ours, theirs in zip(path, expected, strict=False):
            np.testing.assert_allclose(flat(ours)[i], theirs, atol=1e-9)
        if len(sizes) == steps:
            assert float(walk._scale[i]) * EPS[norm] == pytest.approx(sizes[-1])
        halvings.add(round(np.log2(sizes[0] / sizes[-1])))
        compared += len(expected)
    assert max(halvings) >= 2  # else nothing was tried but the first step
    assert compared >= 4 * steps


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 9, 10, 20, 33, 40, 50, 99, 100, 150, 1000])
def test_checkpoints_are_those_of_the_authors(steps: int) -> None:
    lengths = oracle.windows(steps)
    assert list(checkpoints(steps)) == np.cumsum(lengths).tolist()
    assert list(checkpoints(steps).values()) == lengths


def test_each_image_has_a_step_of_its_own() -> None:
    """Images that leave take their memory along: the others walk on as if nobody had gone."""
    model, _ = small_net(4)
    x, y = batch_of(model, 10)
    start = surface(x, eps=EPS["linf"], rng=torch.Generator().manual_seed(0)).clamp(0, 1)
    whole, _ = _walked(model, x, climb("ce", y, None, values=True), start, 40, "linf")
    stay = torch.tensor([1, 4, 7])
    walk = AdaptiveWalk(x, eps=EPS["linf"], norm="linf", steps=40, rho=0.75)
    at, rows = start, torch.arange(10)
    for steps in (13, 27):
        loss = climb("ce", y[rows], None, values=True)
        at = ascend(
            model,
            at,
            loss,
            steps=steps,
            move=walk.step,
            visit=lambda _, z, loss=loss: walk.visit(loss(z)),  # type: ignore[misc]
        )
        if steps == 13:
            walk.keep(stay)
            at, rows = at[stay], rows[stay]
    torch.testing.assert_close(at, whole[-1][stay], rtol=0, atol=1e-9)


def test_a_gradient_of_nothing_stays_put_and_a_tiny_one_does_not() -> None:
    x = torch.full((2, 1, 2, 2), 0.5)
    walk = AdaptiveWalk(x, eps=0.1, norm="l2", steps=10, rho=0.75)
    walk.visit(torch.zeros(2))
    gradient = torch.zeros_like(x)
    gradient[1] = 1e-30  # its square is 0 in float32
    moved = walk.step(x, gradient)
    assert torch.equal(moved[0], x[0])
    assert float((moved[1] - x[1]).norm()) == pytest.approx(0.1, rel=1e-5)


@pytest.mark.parametrize(("norm", "count"), [("linf", 1), ("l2", None)])
def test_a_start_lies_on_the_surface(norm: Norm, count: Any) -> None:
    x = torch.rand(20, 3, 4, 4, dtype=torch.float64)
    start = surface(x, eps=0.25, norm=norm, rng=torch.Generator().manual_seed(0))
    delta = (start - x).flatten(1)
    if norm == "linf":
        size = delta.abs().amax(dim=1)
        assert torch.equal((delta.abs() >= 0.25 - 1e-12).sum(dim=1), torch.full((20,), count))
    else:
        size = delta.norm(dim=1)
    torch.testing.assert_close(size, torch.full_like(size, 0.25))
    assert 0.2 < float((delta > 0).double().mean()) < 0.8
