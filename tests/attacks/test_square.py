"""Square: the oracle's search, no gradient at all, and honest counts of queries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nets
from counting import Counted
from laws import assert_global_rng_untouched, assert_model_unchanged, assert_same_bits
from oracles.square import search_linf
from two_layers import batch, twins
from vicinal._checks import InputError, NotFinite
from vicinal._typing import Norm
from vicinal.attacks import PGD, Square
from vicinal.gradients import clean_logits

NORMS: tuple[Norm, ...] = ("linf", "l2")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_algorithm1_matches_a_loop_over_images_and_queries() -> None:
    model, net = twins()
    x, y = batch(model, 12, wrong=1)
    queries, eps = 40, 0.12
    attack = Square(eps=eps, queries=queries, initial_share=0.5, compact_every=1)
    result = attack(model, x, y, rng=generator())
    rng = generator()
    start = torch.rand(12, 3, 1, 2, generator=rng)[:, :, 0]
    draws = torch.stack([torch.rand(12, 8, generator=rng) for _ in range(queries)])
    asked = 0
    for i, own in enumerate(y.tolist()):
        image = x[i].numpy()
        if int(net.logits(image.ravel()).argmax()) != own:
            np.testing.assert_array_equal(result.adv[i].numpy(), image)
            continue

        def score(at: Any, own: int = own) -> float:
            z = net.logits(at.ravel())
            return float(np.delete(z, own).max() - z[own])

        exact, spent = search_linf(
            score, image, draws[:, i].tolist(), start[i].tolist(), eps=eps, p=0.5
        )
        asked += spent
        np.testing.assert_allclose(result.adv[i].numpy(), exact, atol=1e-12)
        assert bool(result.success[i]) == (score(exact) > 0)
    assert result.image_passes == (asked + 2 * 12, 0)
    assert 1 < int(result.success.sum()) < 12


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("loss", ["margin", "ce"])
@pytest.mark.parametrize("every", [1, 7])
def test_what_is_found_does_not_depend_on_when_images_leave(
    norm: Norm, loss: str, every: int
) -> None:
    model, _ = twins()
    x, y = batch(model, 30, wrong=3)
    eps = {"linf": 0.15, "l2": 0.3}[norm]
    whole, fewer = (
        Square(eps=eps, norm=norm, queries=30, restarts=2, loss=loss, compact_every=n)(
            model, x, y, rng=generator()
        )
        for n in (None, every)
    )
    assert 3 < int(whole.success.sum()) < 30
    torch.testing.assert_close(fewer.adv, whole.adv, rtol=0, atol=1e-12)
    assert torch.equal(fewer.success, whole.success)
    assert fewer.image_passes < whole.image_passes == (30 * (2 * 31 + 2), 0)


def test_an_image_is_attacked_the_same_whatever_its_batch_mates_do() -> None:
    """The reference draws one window for the batch, from as many numbers as images are left."""
    model, _ = twins()
    x, y = batch(model, 8)
    attack = Square(eps=0.1, queries=30)
    one = attack(model, x, y, rng=generator())
    others = (clean_logits(model, x).argmin(dim=1), y)
    mixed = torch.where(torch.arange(8) < 4, others[1], others[0])
    other = attack(model, x, mixed, rng=generator())
    torch.testing.assert_close(other.adv[:4], one.adv[:4], rtol=0, atol=1e-12)


def test_queries_are_those_that_the_model_sees() -> None:
    net, _ = twins()
    model = Counted(net)
    x, y = batch(net, 20, wrong=2)
    result = Square(eps=0.15, queries=25)(model, x, y, rng=generator())
    assert result.image_passes == (model.forward_images, 0)
    assert model.backward_images == 0
    assert result.passes == (25 + 3, 0)


class _NoSlope(nn.Module):
    """The sign of every hidden unit: its gradient is zero everywhere."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.net((x * 8).round() / 8)
        return z


def test_it_breaks_a_model_whose_gradients_are_masked() -> None:
    model, _ = twins()
    x, y = batch(model, 40)
    masked = _NoSlope(model)
    y = clean_logits(masked, x).argmax(dim=1)
    pgd = PGD(eps=0.15, step_size=0.05, steps=10, random_start=False)
    with torch.no_grad():
        assert masked(x).shape == (40, 4)
    weak = pgd(masked, x, y)
    strong = Square(eps=0.15, queries=150)(masked, x, y, rng=generator())
    assert int(strong.success.sum()) > int(weak.success.sum()) + 5


@pytest.mark.parametrize("norm", NORMS)
def test_more_queries_and_restarts_never_hurt(norm: Norm) -> None:
    model, _ = twins()
    x, y = batch(model, 40)
    eps = {"linf": 0.1, "l2": 0.2}[norm]
    once, thrice = (
        Square(eps=eps, norm=norm, queries=25, restarts=n)(model, x, y, rng=generator()).success
        for n in (1, 3)
    )
    assert bool((thrice | ~once).all())
    assert int(thrice.sum()) > int(once.sum())


@pytest.mark.parametrize("norm", NORMS)
def test_a_failed_image_comes_back_at_its_highest_loss_and_inside_the_ball(norm: Norm) -> None:
    model, _ = twins()
    x, y = batch(model, 30)
    result = Square(eps=0.02, norm=norm, queries=40, compact_every=1)(
        model.float(), x.float(), y, rng=generator()
    )
    failed = ~result.success
    assert int(failed.sum()) > 10
    z = [clean_logits(model, part) for part in (x.float(), result.adv)]
    margins = [p.scatter(1, y[:, None], -torch.inf).amax(1) - p[torch.arange(30), y] for p in z]
    assert float((margins[1] > margins[0])[failed].double().mean()) > 0.95
    assert float(result.norms.max()) <= 0.02 + 1e-7
    assert float(result.adv.min()) >= 0
    assert float(result.adv.max()) <= 1


@pytest.mark.parametrize("classes", [2, 3])
def test_two_and_three_classes_are_enough(classes: int) -> None:
    model, _ = twins(classes)
    x, y = batch(model, 10)
    for loss in ("margin", "ce"):
        result = Square(eps=0.5, queries=100, loss=loss)(model, x, y, rng=generator())
        assert float(result.success.double().mean()) > 0.7


def test_nan_logits_are_an_error() -> None:
    class Nan(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :3] * torch.nan

    with pytest.raises(NotFinite, match="NaN or infinity for 4 of 4"):
        Square(eps=0.1, queries=3)(Nan(), torch.rand(4, 3, 2, 2), torch.zeros(4).long())


def test_nothing_of_the_caller_changes_even_when_the_model_fails_midway() -> None:
    """The reference reseeds the global generator."""
    model = nets.Failing(nets.stateful_net(), at=6)
    x, y = torch.rand(6, 3, 4, 4), torch.arange(6) % 5
    attack = Square(eps=0.01, queries=20, compact_every=None)
    with assert_model_unchanged(model), assert_global_rng_untouched():
        with pytest.raises(RuntimeError, match="out of memory"):
            attack(model, x, y, rng=generator())
        first, again = (attack(model.net, x, y, rng=generator()).adv for _ in range(2))
    assert_same_bits(first, again)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"eps": 8.0}, "did you mean 8/255"),
        ({"eps": float("inf")}, "`eps` must satisfy"),
        ({"queries": 0}, "`queries` must be an integer >= 1"),
        ({"loss": "kl"}, "`loss` must be"),
        ({"initial_share": 0.0}, "`initial_share` must satisfy"),
        ({"norm": "l1"}, "`norm` must be"),
        ({"compact_every": 0}, "`compact_every`"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        Square(**{"eps": 0.1, **fields})
    assert "\n" not in str(error.value)


class FalseAlarm(nn.Module):
    """Wrong where the mean has risen by 0.1; under autocast it seems so at every point."""

    def forward(self, x: Tensor) -> Tensor:
        height = x.mean(dim=(1, 2, 3)) - 0.6
        if torch.is_autocast_enabled("cpu"):
            height = height + 0.5
        return torch.stack((torch.zeros_like(height), height), dim=1)


@pytest.mark.parametrize("every", [None, 1, 5])
def test_a_false_alarm_of_the_search_ends_no_search(every: int | None) -> None:
    x, y = torch.full((8, 3, 8, 8), 0.5), torch.zeros(8, dtype=torch.long)
    x[0] = 0.7  # wrong already: it stays as it is
    attack = Square(eps=0.3, queries=150, precision="bf16", compact_every=every)
    result = attack(FalseAlarm(), x, y, rng=generator())
    assert bool(result.success.all())
    assert torch.equal(result.adv[0], x[0])


class Shy(nn.Module):
    """Wrong where the mean has risen by 0.1; under autocast it is never quite wrong."""

    def forward(self, x: Tensor) -> Tensor:
        height = x.mean(dim=(1, 2, 3)) - 0.6
        if torch.is_autocast_enabled("cpu"):
            height = height.clamp(max=-0.01)
        return torch.stack((torch.ones_like(height), 1.0 + height), dim=1)


@pytest.mark.parametrize("every", [1, 10])
def test_near_the_boundary_the_model_itself_is_asked(every: int) -> None:
    x, y = torch.full((8, 3, 8, 8), 0.5), torch.zeros(8, dtype=torch.long)
    attack = Square(eps=0.3, queries=150, precision="bf16", compact_every=every)
    result = attack(Shy(), x, y, rng=generator())
    assert bool(result.success.all())


class Coarse(nn.Module):
    """A linear net whose logits are rounded to eighths under autocast, as bfloat16 rounds them."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.randn(3 * 8 * 8, generator=torch.Generator().manual_seed(1)) / 4

    def forward(self, x: Tensor) -> Tensor:
        height = (x.flatten(1) - 0.5) @ self.weight.to(x.dtype)
        if torch.is_autocast_enabled("cpu"):
            height = (height.float() * 8).round() / 8
        return torch.stack((torch.full_like(height, 2.0), height), dim=1)


def test_a_search_in_bf16_walks_over_level_ground() -> None:
    x = torch.full((40, 3, 8, 8), 0.5)
    y = torch.zeros(40, dtype=torch.long)
    broken = {
        precision: int(
            Square(eps=0.1, queries=250, precision=precision)(
                Coarse(), x, y, rng=torch.Generator().manual_seed(0)
            ).success.sum()
        )
        for precision in ("fp32", "bf16")
    }
    assert broken["fp32"] > 35
    assert broken["bf16"] > 25  # 2 where level ground stops it
