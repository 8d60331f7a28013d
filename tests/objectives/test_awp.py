"""AWP: the moved weights and the gradient there against a hand-made move, and what stays put."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import laws
import nets
from oracles import two_risks as oracle
from replays import generator, replay
from vicinal import inputs
from vicinal._checks import InputError
from vicinal.objectives import AWP, ERM, MTLAT, TRADES, ManifoldMixUp, MixUp, Vicinal

N = 6


def pgd(**fields: Any) -> Vicinal:
    return Vicinal(inputs=inputs.PGD(eps=0.05, step_size=0.02, steps=3, **fields))


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("gamma", [0.0, 0.005, 0.2])
def test_eq10_moves_each_layer_by_its_own_length(gamma: float, soft: bool) -> None:
    r = replay(soft=soft)
    moved, value, slopes = oracle.awp(r.net, r.xs, r.qs, gamma=gamma)
    loss = AWP(gamma=gamma)(r.model, r.x, r.y)
    assert loss.item() == pytest.approx(value, rel=1e-11)
    torch.autograd.backward(loss)
    for weight, slope in zip(r.model.parameters(), slopes, strict=True):
        assert weight.grad is not None
        np.testing.assert_allclose(weight.grad.numpy(), slope, rtol=1e-9, atol=1e-12)
    away = np.sqrt(((moved.w - r.net.w) ** 2).sum()) / np.sqrt((r.net.w**2).sum())
    assert away == pytest.approx(gamma)
    assert gamma == 0.0 or value > oracle.risk(r.net, r.xs, r.qs)


def climb(model: nn.Module, gamma: float) -> None:
    """Move every matrix along its gradient, and forget the gradients."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1 and weight.grad is not None:
                weight.add_(gamma * weight.norm() * weight.grad / weight.grad.norm())
            weight.grad = None


def by_hand(objective: Any, model: nn.Module, x: Tensor, y: Tensor, gamma: float) -> list[Tensor]:
    """Loss and gradient of a copy whose weights are really moved, both calls from one seed."""
    twin = copy.deepcopy(model)
    torch.autograd.backward(objective(twin, x, y, rng=generator()))
    climb(twin, gamma)
    loss = objective(twin, x, y, rng=generator())
    torch.autograd.backward(loss)
    return [loss.detach(), *(w.grad for w in twin.parameters() if w.grad is not None)]


@pytest.mark.parametrize(
    "objective", [MixUp(), ManifoldMixUp(layers=("input", "2")), MTLAT(eps_max=0.0)]
)
def test_a_weight_moved_by_hand_gives_the_same_step(objective: Any) -> None:
    """Where no adversary depends on the weights, all of it can be done by hand."""
    r = replay()
    expected = by_hand(objective, r.model, r.x, r.y, 0.1)
    loss = AWP(objective=objective, gamma=0.1)(r.model, r.x, r.y, rng=generator())
    torch.autograd.backward(loss)
    found = [loss.detach(), *(w.grad for w in r.model.parameters() if w.grad is not None)]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("random_start", [False, True])
def test_adversaries_are_those_of_the_weights_as_they_are(random_start: bool) -> None:
    """Both training passes see the images that PGD finds without AWP, to the bit."""
    r, seen = replay(), []
    objective = pgd(random_start=random_start)
    adv = objective.inputs(r.model, r.x, r.y, rng=generator()).x
    r.model.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    AWP(objective=objective, gamma=0.5)(r.model, r.x, r.y, rng=generator())
    assert len(seen) == 3 + 2
    for images in seen[-2:]:
        laws.assert_same_bits(images, adv)


def test_trades_goes_uphill_at_its_own_neighbours() -> None:
    r, seen = replay(), []
    r.model.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    plain = TRADES(eps=0.05, step_size=0.02, steps=2)(r.model, r.x, r.y, rng=generator())
    far = seen[-1]
    seen.clear()
    objective = TRADES(eps=0.05, step_size=0.02, steps=2)
    moved = AWP(objective=objective, gamma=0.01)(r.model, r.x, r.y, rng=generator())
    assert moved > plain
    assert len(seen) == 3 + 2 + 2
    laws.assert_same_bits(seen[-1], far)
    laws.assert_same_bits(seen[-3], far)


def test_nothing_of_the_model_changes_but_its_statistics_once() -> None:
    model, x, y = nets.stateful_net(), torch.rand(N, 3, 4, 4), torch.arange(N) % 5
    with laws.assert_model_unchanged(model, but=("buffers",)) as before:
        loss = AWP(objective=pgd(), gamma=0.5)(model, x, y)
    name = "4.num_batches_tracked"
    assert dict(model.named_buffers())[name] == before["buffers"][name] + 1
    torch.autograd.backward(loss)
    for name, weight in model.named_parameters():
        laws.assert_same_bits(weight, before["weights"][name])


def test_running_statistics_are_those_of_the_pass_beside_the_weights() -> None:
    """As in the authors' code, where the first pass is a copy's."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.BatchNorm1d(5, momentum=None))
    x, y = torch.rand(N, 3, 4, 4), torch.arange(N) % 5
    twin = copy.deepcopy(net)
    torch.autograd.backward(ERM()(twin, x, y))
    climb(twin, 0.3)
    expected = twin[:2](x).mean(dim=0)
    AWP(gamma=0.3)(net, x, y)
    found = dict(net.named_buffers())["2.running_mean"]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("at", [1, 2, 4, 5])
def test_an_exception_in_any_pass_leaves_the_model_as_it_was(at: int) -> None:
    model = nets.Failing(nets.stateful_net(), at=at)
    x, y = torch.rand(N, 3, 4, 4), torch.arange(N) % 5
    with laws.assert_model_unchanged(model, but=() if at < 5 else ("buffers",)):
        with pytest.raises(RuntimeError, match="out of memory"):
            AWP(objective=pgd())(model, x, y)
        assert torch.is_grad_enabled()


def test_both_calls_share_dropout_masks_and_draws() -> None:
    """A net that is nothing but dropout shows its mask; gamma moves nothing there is to move."""
    seen: list[Tensor] = []
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, 5))
    model[1].register_forward_hook(lambda layer, args, out: seen.append(out.detach()))
    x, y = torch.rand(N, 3, 4, 4), torch.arange(N) % 5
    for rng in (None, generator()):
        seen.clear()
        AWP(objective=MixUp(), gamma=0.1)(model, x, y, rng=rng)
        laws.assert_same_bits(*seen)
        AWP(objective=MixUp(), gamma=0.1)(model, x, y, rng=rng)
        assert not torch.equal(seen[0], seen[2])


def test_generators_end_where_the_objective_alone_leaves_them() -> None:
    r = replay()
    for objective in (MixUp(), pgd(), MTLAT()):
        alone, around = generator(), generator()
        objective(r.model, r.x, r.y, rng=alone)
        AWP(objective=objective)(r.model, r.x, r.y, rng=around)
        assert torch.equal(alone.get_state(), around.get_state())


def test_frozen_layers_and_vectors_do_not_move() -> None:
    r = replay()
    r.model[1].requires_grad_(False)
    seen: dict[str, Tensor] = {}

    def note(layer: nn.Module, args: Any) -> None:
        seen.update({f"{id(layer)}.{n}": w.detach().clone() for n, w in layer.named_parameters()})

    for layer in (r.model[1], r.model[3]):
        layer.register_forward_pre_hook(note)
    AWP(gamma=0.5)(r.model, r.x, r.y)
    moved = {
        f"{i}.{name}": not torch.equal(seen[f"{id(r.model[i])}.{name}"], weight)
        for i in (1, 3)
        for name, weight in r.model[i].named_parameters()
    }
    assert [name for name, has in moved.items() if has] == ["3.weight"]


def test_tied_weights_move_together() -> None:
    one, other = nn.Linear(48, 48), nn.Linear(48, 48)
    other.weight = one.weight
    model = nn.Sequential(nn.Flatten(), one, nn.Tanh(), other)
    x, y = torch.rand(N, 3, 4, 4), torch.arange(N) % 5
    seen: list[Tensor] = []
    for layer in (one, other):
        layer.register_forward_pre_hook(lambda at, args: seen.append(at.weight.detach()))
    torch.autograd.backward(AWP(gamma=0.1)(model, x, y))
    laws.assert_same_bits(seen[2], seen[3])
    assert not torch.equal(seen[2], seen[0])


def test_under_autocast_with_its_cache_the_second_call_sees_the_moved_weights() -> None:
    r = replay()
    model, x = r.model.float(), r.x.float()
    exact = [AWP(gamma=g)(model, x, r.y).item() for g in (0.0, 0.5)]
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=True):
        rough = [AWP(gamma=g)(model, x, r.y).item() for g in (0.0, 0.5)]
    assert exact[1] > 1.1 * exact[0]
    assert rough == pytest.approx(exact, rel=0.03)


def test_without_gradients_the_loss_is_still_that_beside_the_weights() -> None:
    r = replay()
    expected = AWP(objective=pgd(), gamma=0.1)(r.model, r.x, r.y, rng=generator()).detach()
    with torch.no_grad():
        loss = AWP(objective=pgd(), gamma=0.1)(r.model, r.x, r.y, rng=generator())
    assert not loss.requires_grad
    laws.assert_same_bits(loss, expected)


def test_around_itself_it_still_takes_a_step() -> None:
    r = replay()
    twice = AWP(objective=AWP(gamma=0.05), gamma=0.05)
    model = laws.Counting(r.model)
    loss = twice(model, r.x, r.y)
    torch.autograd.backward(loss)
    assert loss > AWP(gamma=0.05)(r.model, r.x, r.y)
    assert model.passes(N) == twice.passes == (4, 4)


@pytest.mark.parametrize(
    ("fields", "phrases"),
    [
        ({"gamma": -0.1}, ("0 <= gamma",)),
        ({"objective": "TRADES"}, ("`objective`", "objectives.TRADES()", "'TRADES'")),
        ({"objective": TRADES}, ("`objective`", "class")),
    ],
)
def test_fields_are_checked(fields: dict[str, Any], phrases: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        AWP(**fields)
    laws.assert_one_line(caught.value, *phrases)
