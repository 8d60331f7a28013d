"""PGD as an input move: Madry's loop step by step, and what it accepts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import laws
from oracles.linear_attack import targeted_loss_linf, targeted_margin_l2, worst_corner
from oracles.madry_pgd import Net, iterates
from vicinal._checks import InputError
from vicinal._typing import Norm
from vicinal.inputs import PGD, choose_target, pgd
from vicinal.inputs.pgd import climb
from vicinal.maths.losses import cross_entropy

PIXELS, CLASSES = 12, 4


def _net(seed: int = 0) -> Net:
    r = np.random.default_rng(seed)
    return Net(
        w=r.normal(size=(9, PIXELS)),
        b=r.normal(size=9),
        v=r.normal(size=(CLASSES, 9)),
        c=r.normal(size=CLASSES),
    )


def _torch(net: Net) -> nn.Module:
    inner, outer = nn.Linear(PIXELS, 9), nn.Linear(9, CLASSES)
    with torch.no_grad():
        for layer, w, b in ((inner, net.w, net.b), (outer, net.v, net.c)):
            layer.double()
            layer.weight.copy_(torch.from_numpy(w))
            layer.bias.copy_(torch.from_numpy(b))
    return nn.Sequential(nn.Flatten(), inner, nn.Tanh(), outer)


def _batch(n: int = 10) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(5)
    x = torch.rand(n, 3, 2, 2, generator=g, dtype=torch.float64)
    x[0] = x[0].round()
    return x, torch.randint(CLASSES, (n,), generator=g)


def _start(x: Tensor, eps: float, norm: str, seed: int) -> NDArray[Any]:
    """Replay the draw, with the same generator but without the library."""
    g = torch.Generator().manual_seed(seed)
    if norm == "linf":
        noise = (2 * torch.rand(x.shape, generator=g, dtype=x.dtype) - 1).numpy() * eps
    else:
        direction = torch.randn(x.shape, generator=g, dtype=x.dtype).numpy()
        radius = eps * torch.rand(len(x), generator=g, dtype=x.dtype).numpy() ** (1 / PIXELS)
        size = np.sqrt((direction**2).sum(axis=(1, 2, 3)))
        noise = direction * (radius / size)[:, None, None, None]
    return np.asarray(np.clip(x.numpy() + noise, 0, 1).reshape(len(x), -1))


@pytest.mark.parametrize("random_start", [True, False])
@pytest.mark.parametrize(("norm", "eps", "step_size"), [("linf", 0.3, 0.1), ("l2", 0.8, 0.2)])
def test_every_iterate_equals_madrys_loop(
    norm: Norm, eps: float, step_size: float, random_start: bool
) -> None:
    net, (x, y) = _net(), _batch()
    seen: list[Tensor] = []
    last = pgd(
        _torch(net),
        x,
        climb("ce", y, None, values=True),
        eps=eps,
        step_size=step_size,
        steps=12,
        norm=norm,
        random_start=random_start,
        rng=torch.Generator().manual_seed(11),
        visit=lambda at, z: seen.append(at),
    )
    path = torch.stack([*seen, last]).flatten(2).numpy()
    start = _start(x, eps, norm, 11) if random_start else x.flatten(1).numpy()
    for i in range(len(x)):
        exact = iterates(
            net,
            x[i].flatten().numpy(),
            int(y[i]),
            start=start[i],
            eps=eps,
            step_size=step_size,
            steps=12,
            norm=norm,
        )
        np.testing.assert_allclose(path[:, i], np.stack(exact), rtol=0, atol=1e-12)


@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_the_move_is_the_last_iterate_of_the_function(loss: str) -> None:
    model, (x, y) = _torch(_net()), _batch()
    move = PGD(eps=0.2, step_size=0.07, steps=4, loss=loss)
    found = move(model, x, y, rng=torch.Generator().manual_seed(2))
    exact = pgd(
        model,
        x,
        climb(loss, y, None, values=True),
        eps=0.2,
        step_size=0.07,
        steps=4,
        rng=torch.Generator().manual_seed(2),
    )
    assert torch.equal(found.x, exact)
    assert found.mix is None


def test_distributions_are_climbed_as_classes_where_they_are_point_masses() -> None:
    model, (x, y) = _torch(_net()), _batch()
    q = nn.functional.one_hot(y, CLASSES).double()
    for loss in ("ce", "margin"):
        move = PGD(eps=0.2, step_size=0.07, steps=4, loss=loss, random_start=False)
        assert torch.allclose(move(model, x, y).x, move(model, x, q).x, atol=1e-12)


def test_a_mixed_label_climbs_the_mixed_loss() -> None:
    model, (x, _) = _torch(_net()), _batch()
    g = torch.Generator().manual_seed(0)
    q = torch.rand(len(x), CLASSES, generator=g, dtype=torch.float64)
    q /= q.sum(dim=1, keepdim=True)
    at = x.clone().requires_grad_(True)
    loss = -(q * model(at).log_softmax(dim=1)).sum()
    (gradient,) = torch.autograd.grad(loss, at)
    move = PGD(eps=0.1, step_size=0.1, steps=1, random_start=False)
    assert torch.allclose(move(model, x, q).x, (x + 0.1 * gradient.sign()).clamp(0, 1))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_identity_at_eps_zero(norm: Norm) -> None:
    x, y = _batch()
    assert torch.equal(PGD(eps=0.0, step_size=0.1, norm=norm)(_torch(_net()), x, y).x, x)


def test_no_steps_is_the_start() -> None:
    x, y = _batch()
    move = PGD(eps=0.3, step_size=0.1, steps=0)
    found = move(_torch(_net()), x, y, rng=torch.Generator().manual_seed(4)).x
    np.testing.assert_allclose(found.flatten(1).numpy(), _start(x, 0.3, "linf", 4), atol=1e-12)
    still = PGD(eps=0.3, step_size=0.1, steps=0, random_start=False)
    assert torch.equal(still(_torch(_net()), x, y).x, x)


def _linear(classes: int) -> tuple[nn.Module, NDArray[Any], NDArray[Any]]:
    torch.manual_seed(0)
    layer = nn.Linear(PIXELS, classes).double()
    weight, bias = (v.detach().numpy() for v in (layer.weight, layer.bias))
    return nn.Sequential(nn.Flatten(), layer), weight, bias


def test_a_target_is_approached_to_the_exact_optimum_in_linf() -> None:
    model, weight, bias = _linear(CLASSES)
    x, y = _batch()
    t = (y + 1) % CLASSES
    heights: list[Tensor] = []
    loss = climb("ce", y, t, values=True)
    pgd(
        model,
        x,
        loss,
        eps=0.2,
        step_size=0.002,
        steps=400,
        visit=lambda at, z: heights.append(-cross_entropy(z, t)),
    )
    best = torch.stack(heights).amax(dim=0).numpy()
    for i in range(len(x)):
        exact = -targeted_loss_linf(weight, bias, x[i].flatten().numpy(), int(t[i]), 0.2)
        assert exact - 1e-4 <= best[i] <= exact + 1e-9


def test_a_target_is_approached_to_the_exact_optimum_in_l2() -> None:
    model, weight, bias = _linear(CLASSES)
    x, y = _batch()
    x = 0.4 + 0.2 * x
    t = (y + 1) % CLASSES
    heights: list[Tensor] = []
    loss = climb("margin", y, t, values=True)
    pgd(
        model,
        x,
        loss,
        eps=0.3,
        step_size=0.003,
        steps=400,
        norm="l2",
        visit=lambda at, z: heights.append(loss(z)),
    )
    best = torch.stack(heights).amax(dim=0).numpy()
    for i in range(len(x)):
        exact = targeted_margin_l2(weight, bias, x[i].flatten().numpy(), int(t[i]), 0.3)
        assert exact - 2e-3 <= best[i] <= exact + 1e-6


@pytest.mark.parametrize("target", ["least_likely", "most_confusing", "random"])
def test_a_named_target_is_chosen_on_the_clean_images_in_eval_mode(target: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(PIXELS), nn.Linear(PIXELS, CLASSES)).double()
    model(_batch(50)[0])
    x, y = _batch()
    rng = torch.Generator().manual_seed(9)
    move = PGD(eps=0.1, step_size=0.02, steps=3, target=target, random_start=False)
    found = move(model, x, y, rng=rng).x
    z = model.eval()(x).detach()
    own = torch.nn.functional.one_hot(y, CLASSES).bool()
    if target == "random":
        draw = torch.randint(CLASSES - 1, (len(y),), generator=torch.Generator().manual_seed(9))
        t = (y + 1 + draw) % CLASSES
    elif target == "least_likely":
        t = z.masked_fill(own, torch.inf).argmin(dim=1)
    else:
        t = z.masked_fill(own, -torch.inf).argmax(dim=1)
    exact = PGD(eps=0.1, step_size=0.02, steps=3, target=t, random_start=False)(model, x, y).x
    assert torch.equal(found, exact)
    assert bool((cross_entropy(model(found), t) < cross_entropy(z, t)).all())


def test_unbounded_pgd_reaches_the_corner_of_the_pixel_range() -> None:
    linear, weight, _ = _linear(2)
    x, y = _batch()
    y = y % 2
    move = PGD(eps=math.inf, step_size=0.125, steps=8, random_start=False)
    found = move(linear, x, y).x.flatten(1).numpy()
    for i, own in enumerate(y.tolist()):
        corner = worst_corner(weight[1 - own] - weight[own], x[i].flatten().numpy(), math.inf)
        np.testing.assert_array_equal(found[i], corner)
    long = PGD(eps=math.inf, step_size=2.0, steps=200, random_start=False, norm="l2")
    np.testing.assert_array_equal(long(linear, x, y).x.flatten(1).numpy(), found)


def test_budgets_may_differ_from_channel_to_channel() -> None:
    x, y = _batch()
    eps, step = torch.tensor([0.0, 0.1, 0.3]), torch.tensor([0.1, 0.05, 0.1])
    move = PGD(eps=eps, step_size=step, steps=9)
    delta = (move(_torch(_net()), x, y).x - x).abs().amax(dim=(0, 2, 3))
    assert float(delta[0]) == 0.0
    assert torch.allclose(delta.float(), eps, atol=1e-6)


def test_the_memory_format_and_dtype_of_the_images_are_kept() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3))
    x = torch.rand(2, 3, 8, 8).to(memory_format=torch.channels_last)
    y = torch.tensor([0, 1])
    for norm in ("linf", "l2"):
        found = PGD(eps=0.1, step_size=0.05, steps=2, norm=norm)(model, x, y).x
        assert found.is_contiguous(memory_format=torch.channels_last)
    half = PGD(eps=0.1, step_size=0.05, steps=2)(model.bfloat16(), x.bfloat16(), y).x
    assert half.dtype == torch.bfloat16
    assert bool((half != x.bfloat16()).any())


def test_gradients_of_a_huge_batch_do_not_depend_on_batch_mates() -> None:
    model, (x, y) = _torch(_net()), _batch()
    move = PGD(eps=0.2, step_size=0.05, steps=5, random_start=False, norm="l2")
    whole = move(model, x, y).x
    alone = torch.cat([move(model, x[i : i + 1], y[i : i + 1]).x for i in range(len(x))])
    assert torch.allclose(whole, alone, atol=1e-12)


def test_tiny_gradients_move_the_image_as_large_ones_do() -> None:
    torch.manual_seed(0)
    head = nn.Linear(PIXELS, 2)
    x, y = torch.rand(4, 3, 2, 2), torch.tensor([0, 1, 0, 1])
    for norm in ("linf", "l2"):
        move = PGD(eps=0.2, step_size=0.2, steps=1, norm=norm, loss="margin", random_start=False)
        large = move(nn.Sequential(nn.Flatten(), head), x, y).x
        tiny = move(nn.Sequential(nn.Flatten(), head, _Scale(1e-30)), x, y).x
        assert torch.allclose(large, tiny, atol=1e-5)
        assert bool((tiny != x).any())


class _Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eps": 8.0}, r"`eps` must satisfy 0 <= eps <= 1; got 8\..*did you mean 8/255"),
        ({"step_size": 2.0}, "`step_size` .*did you mean 2/255"),
        ({"eps": -0.1}, "`eps`"),
        ({"eps": math.nan}, "`eps`"),
        ({"eps": math.inf}, "`random_start` must be False when eps is infinite"),
        ({"eps": torch.tensor([0.1]), "norm": "l2"}, "for norm 'linf' only"),
        ({"eps": torch.tensor([0.1, 8.0])}, "did you mean 8/255"),
        ({"steps": -1}, "`steps` must be an integer >= 0"),
        ({"steps": 2.0}, "`steps` must be an integer"),
        ({"norm": "l1"}, "`norm` must be linf | l2"),
        ({"loss": "cw"}, "`loss` must be ce | margin"),
        ({"target": "worst"}, "`target`"),
        ({"batchnorm": "frozen"}, "`batchnorm`"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        PGD(**{"eps": 0.1, "step_size": 0.1, **fields})


def test_images_with_other_channels_than_the_budget_are_refused() -> None:
    move = PGD(eps=torch.tensor([0.1, 0.2]), step_size=0.1)
    with pytest.raises(InputError, match="each of the 3 channels"):
        move(_torch(_net()), *_batch())


@pytest.mark.parametrize("target", [None, "random"])
def test_labels_beyond_the_logits_are_refused_before_torch_fails(target: str | None) -> None:
    x, y = _batch()
    move = PGD(eps=0.1, step_size=0.1, target=target)
    for bad in (y + 1, y - 1, torch.full((len(y), 3), 1 / 3)):
        with pytest.raises(InputError, match="`y` must"):
            move(_torch(_net()), x, bad)


LOOKS = [
    ({}, False),
    ({"target": "random"}, False),
    ({"target": torch.tensor([1])}, False),
    ({"target": "least_likely"}, True),
    ({"target": "most_confusing"}, True),
    ({"target": "most_confusing", "random_start": False}, False),
    ({"target": "most_confusing", "random_start": False, "batchnorm": "train"}, True),
    ({"target": "most_confusing", "steps": 0}, False),
]


@pytest.mark.parametrize(("fields", "looks"), LOOKS, ids=lambda v: str(v)[:60])
def test_it_looks_at_the_clean_images_only_where_the_search_does_not_begin_there(
    fields: dict[str, Any], looks: bool
) -> None:
    move = PGD(**{"eps": 0.1, "step_size": 0.1, "steps": 2, **fields})
    assert move.looks == looks
    assert move.passes == (move.steps + looks, move.steps)


def test_given_clean_logits_spare_the_forward_and_choose_the_target() -> None:
    model, (x, y) = laws.Counting(_torch(_net())), _batch()
    away = (y + 2) % CLASSES  # the class that these logits call most confusing
    z = nn.functional.one_hot(away, CLASSES).double()
    move = PGD(eps=0.2, step_size=0.1, steps=3, target="most_confusing")
    found = move(model, x, y, rng=torch.Generator().manual_seed(1), z=z).x
    assert model.passes(len(x)) == (3, 3)
    exact = PGD(eps=0.2, step_size=0.1, steps=3, target=away)
    assert torch.equal(found, exact(model, x, y, rng=torch.Generator().manual_seed(1)).x)


@pytest.mark.parametrize("rule", ["least_likely", "most_confusing"])
def test_a_target_is_chosen_at_the_clean_image_not_at_the_random_start(rule: str) -> None:
    model, (x, y) = _torch(_net()), _batch(200)
    clean, eps = model(x).detach(), 0.6
    move = PGD(eps=eps, step_size=0.1, steps=2, target=rule)
    found = move(model, x, y, rng=torch.Generator().manual_seed(3)).x
    exact = PGD(eps=eps, step_size=0.1, steps=2, target=choose_target(rule, clean, y))
    assert torch.equal(found, exact(model, x, y, rng=torch.Generator().manual_seed(3)).x)
    start = torch.from_numpy(_start(x, eps, "linf", 3)).view_as(x)
    assert bool((choose_target(rule, model(start), y) != choose_target(rule, clean, y)).any())


def test_a_random_target_is_drawn_once_for_all_steps() -> None:
    model, (x, y) = _torch(_net()), _batch(50)
    move = PGD(eps=0.3, step_size=0.05, steps=6, target="random", random_start=False)
    found = move(model, x, y, rng=torch.Generator().manual_seed(8)).x
    draw = torch.randint(CLASSES - 1, (len(y),), generator=torch.Generator().manual_seed(8))
    t = (y + 1 + draw) % CLASSES
    exact = PGD(eps=0.3, step_size=0.05, steps=6, target=t, random_start=False)(model, x, y).x
    assert torch.equal(found, exact)


def test_a_start_that_is_not_clipped_is_where_the_gradient_is_taken() -> None:
    model, (x, y) = _torch(_net()), _batch()
    seen: list[Tensor] = []
    for clip in (True, False):
        pgd(
            model,
            x,
            climb("ce", y, None, values=True),
            eps=0.3,
            step_size=0.1,
            steps=1,
            clip_start=clip,
            rng=torch.Generator().manual_seed(2),
            visit=lambda at, z: seen.append(at),
        )
    clipped, free = seen
    assert float(free.min()) < 0.0
    assert float(free.max()) > 1.0
    assert torch.equal(free.clamp(0, 1), clipped)
    assert torch.allclose((free - x).abs().amax(), torch.tensor(0.3).double(), atol=0.01)


def test_the_start_may_come_from_a_wider_ball_and_no_step_be_projected() -> None:
    model, (x, y) = _torch(_net()), _batch()
    x = 0.4 + 0.2 * x  # the pixel range is out of reach
    free = PGD(eps=0.1, step_size=0.1, steps=1, start_radius=2.0, project_back=False)
    found = free(model, x, y, rng=torch.Generator().manual_seed(4)).x
    start = torch.from_numpy(_start(x, 0.2, "linf", 4)).view_as(x)
    assert torch.allclose((found - start).abs(), torch.full_like(x, 0.1))
    assert float((found - x).abs().max()) > 0.25
    held = PGD(eps=0.1, step_size=0.1, steps=1, start_radius=2.0)
    back = held(model, x, y, rng=torch.Generator().manual_seed(4)).x
    assert torch.equal(back, found.clamp(x - 0.1, x + 0.1))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"start_radius": -1.0}, "`start_radius` must satisfy"),
        ({"start_radius": math.inf}, "`start_radius` must satisfy"),
        ({"steps": 0, "clip_start": False}, "`steps` must be an integer >= 1"),
    ],
)
def test_a_bad_start_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        PGD(**{"eps": 0.1, "step_size": 0.1, **fields})
