"""Feature scattering: the step by numerical differences, and what it looks at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import laws
import nets
from oracles import transport as oracle
from vicinal._checks import InputError
from vicinal.gradients import clean_logits
from vicinal.inputs import FeatureScatter, Vertex
from vicinal.inputs.feature_scatter import scatter
from vicinal.maths.balls import sample
from vicinal.maths.share import Share, own_rows

N = 6
Y = torch.zeros(N, dtype=torch.int64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = N) -> Tensor:
    shape = (n, nets.CHANNELS, nets.SIDE, nets.SIDE)
    x = torch.rand(shape, generator=generator(1), dtype=torch.float64)
    return (1.2 * x - 0.1).clamp(0, 1)


def alike(n: int = N) -> Tensor:
    """Images whose logits are so near that each is transported to several others."""
    return 0.5 + 0.2 * (images(n) - 0.5)


def seen_by(model: nn.Module) -> list[Tensor]:
    found: list[Tensor] = []
    model.register_forward_pre_hook(lambda _, given: found.append(given[0].detach().clone()))
    return found


def transport(z: Tensor, model: nn.Module, x: Tensor, *, paper: bool) -> float:
    with torch.no_grad():
        cost = oracle.cosine_cost(z.numpy(), model(x).numpy())
    if paper:
        return float((oracle.authors(cost, reg=0.01, most=100)[0] * cost).sum())
    return float((oracle.scaled(cost, reg=0.01, iterations=25) * cost).sum())


@pytest.mark.parametrize("name", ["sinkhorn", "paper"])
def test_it_is_a_signed_step_from_the_start_by_differences_of_the_transport(name: str) -> None:
    model, x, eps = nets.smooth_net(), alike(), 0.1
    start = sample(x, eps=eps, rng=generator())
    z = clean_logits(model, x)
    found = FeatureScatter(eps=eps, step_size=0.06, transport=name)(model, x, Y, rng=generator()).x
    checked = 0
    for at in range(0, x.numel(), 7):
        h = torch.zeros_like(x)
        h.view(-1)[at] = 1e-5
        up, down = (transport(z, model, start + s * h, paper=name == "paper") for s in (1, -1))
        slope = (up - down) / 2e-5
        if abs(slope) > 1e-6:
            own, begin = float(x.view(-1)[at]), float(start.view(-1)[at])
            wanted = begin + 0.06 * np.sign(slope)
            wanted = min(max(wanted, own - eps, 0.0), own + eps, 1.0)
            assert float(found.view(-1)[at]) == pytest.approx(wanted, abs=1e-12)
            checked += 1
    assert checked >= 30


def test_the_gradient_is_that_of_the_unrolled_iterations_not_of_a_fixed_plan() -> None:
    model, x = nets.smooth_net(), alike()
    z, start = clean_logits(model, x), (x + 0.05 * torch.randn_like(x)).requires_grad_()
    (gradient,) = torch.autograd.grad(scatter(z)(model(start)).sum(), start)
    h = torch.randn_like(x)
    up, down = (transport(z, model, start.detach() + s * 1e-5 * h, paper=False) for s in (1, -1))
    assert float((gradient * h).sum()) == pytest.approx((up - down) / 2e-5, rel=1e-4)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_batch_goes_farther_than_its_start(steps: int) -> None:
    model, x = nets.smooth_net(), images()
    loss = scatter(clean_logits(model, x))
    start = sample(x, eps=0.1, rng=generator()).clamp(0, 1)
    moved = FeatureScatter(eps=0.1, step_size=0.05, steps=steps)(model, x, Y, rng=generator()).x
    with torch.no_grad():
        assert float(loss(model(moved))) > 1.5 * float(loss(model(start)))


def test_the_start_is_not_clipped_before_the_gradient() -> None:
    model, x = nets.smooth_net(), images()
    seen = seen_by(model)
    moved = FeatureScatter(eps=0.1, step_size=0.1, steps=2)(model, x, Y, rng=generator()).x
    laws.assert_same_bits(seen[0], x)
    laws.assert_same_bits(seen[1], sample(x, eps=0.1, rng=generator()))
    assert float(seen[1].min()) < 0.0 < 1.0 < float(seen[1].max())
    for later in (seen[2], moved):
        laws.assert_in_unit_range(later)


def test_labels_are_not_looked_at() -> None:
    model, x, move = nets.smooth_net(), images(), FeatureScatter()
    one, other = (move(model, x, y, rng=generator()).x for y in (Y, Y + 3))
    laws.assert_same_bits(one, other)


def test_what_one_image_becomes_depends_on_its_batch() -> None:
    model, x, move = nets.smooth_net(), alike(), FeatureScatter(eps=0.1, step_size=0.1)
    whole = move(model, x, Y, rng=generator()).x
    other = x.clone()
    other[1:] = other[1:].flip(0)
    assert not torch.equal(whole[0], move(model, other, Y, rng=generator()).x[0])


@pytest.mark.parametrize("move", [FeatureScatter(), Vertex(move=FeatureScatter())])
def test_clean_logits_that_are_given_spare_a_forward(move: Any) -> None:
    model, x = nets.smooth_net(), images()
    own = move(model, x, Y, rng=generator()).x
    seen = seen_by(model)
    given = move(model, x, Y, rng=generator(), z=clean_logits(model, x)).x
    laws.assert_same_bits(own, given)
    assert move.looks
    assert len(seen) == 1 + (move.passes.forward - 1)


def test_clean_logits_of_eval_mode_are_of_no_use_to_an_attack_by_batch_statistics() -> None:
    model, x = nets.stateful_net(), images().float()
    move = FeatureScatter(batchnorm="train_frozen_stats")
    wrong = torch.randn(N, nets.CLASSES)
    assert not move.looks
    assert not Vertex(move=move).looks
    laws.assert_same_bits(
        move(model, x, Y, rng=generator(), z=wrong).x, move(model, x, Y, rng=generator()).x
    )


@pytest.mark.parametrize("name", ["sinkhorn", "paper"])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e30])
def test_logits_of_any_size_give_images_in_the_ball(name: str, size: float) -> None:
    model, x = nets.Scaled(nets.smooth_net().float(), size), images().float()
    moved = FeatureScatter(eps=0.1, step_size=0.1, transport=name)(model, x, Y).x
    assert torch.isfinite(moved).all()
    laws.assert_in_ball(moved, x, eps=0.1, norm="linf")


def test_a_batch_of_one_is_moved() -> None:
    model, x = nets.smooth_net(), images(1)
    assert not torch.equal(FeatureScatter()(model, x, Y[:1]).x, x)


@pytest.mark.parametrize("world", [2, 4])
def test_a_share_of_global_scope_transports_the_whole_batch(world: int) -> None:
    """Whatever the number of processes, the images are those of one process alone.

    The others' rows, which a real gather fetches, are those that the lone process was seen to have.
    """
    model, x, move = nets.smooth_net(), alike(), FeatureScatter(eps=0.1, step_size=0.1)
    logits: list[Tensor] = []
    hook = model.register_forward_hook(lambda _, __, z: logits.append(z.detach()))
    whole = move(model, x, Y, rng=generator(9)).x
    hook.remove()
    for rank in range(world):
        rows, calls = own_rows(N, rank=rank, world=world), iter(logits)

        def gather(s: Tensor, counts: Any, *, rows: slice = rows, calls: Any = calls) -> Tensor:
            assert sum(counts) == N
            everyone = next(calls)
            torch.testing.assert_close(s.detach(), everyone[rows], rtol=1e-12, atol=1e-12)
            return torch.cat([everyone[: rows.start], s, everyone[rows.stop :]])

        rng = Share(rank=rank, world=world, scope="global", gather=gather)
        rng.manual_seed(9)
        rng.counts = [len(range(N)[own_rows(N, rank=r, world=world)]) for r in range(world)]
        torch.testing.assert_close(move(model, x[rows], Y[rows], rng=rng).x, whole[rows])
        assert next(calls, None) is None
    local = Share(rank=0, world=world).manual_seed(9)
    alone = move(model, x[:2], Y[:2], rng=local).x
    assert not torch.equal(alone, whole[:2])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eps": 8}, r"did you mean 8/255"),
        ({"eps": float("inf")}, "`eps` must satisfy"),
        ({"step_size": -0.1}, "`step_size`"),
        ({"steps": 0}, "`steps`"),
        ({"transport": "sinkhron"}, "Did you mean sinkhorn"),
        ({"batchnorm": "frozen"}, "`batchnorm`"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        FeatureScatter(**fields)


def test_a_model_that_returns_no_logits_is_refused() -> None:
    with pytest.raises(InputError, match="logits of shape"):
        FeatureScatter()(nn.Identity(), images(), Y)
