"""A step cut into micro-batches against the step as a whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.tiny_run import BATCH, EPOCHS, STEPS, TinyLoader, tiny_run, weights_of
from vicinal._checks import InputError
from vicinal._typing import Model
from vicinal.engine import SGD, Cyclic, generator, train
from vicinal.engine.step import Work, make_step, micro_batches
from vicinal.engine.switches import Switches


def _plain(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
    del rng
    return nn.functional.cross_entropy(model(x), y)


def _net() -> nn.Module:
    """No batch statistics, no dropout: the case in which cutting changes rounding only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)
        ).double()


class _Double(TinyLoader):
    def epoch(self, rng: torch.Generator) -> Any:
        for x, y in super().epoch(rng):
            yield x.double(), y


def _trained(accumulate: int) -> tuple[dict[str, Tensor], list[float]]:
    model = _net()
    rule: dict[str, Any] = {"optimizer": SGD(lr=0.2), "schedule": Cyclic(peak=0.4), "epochs": 3}
    records = list(train(model, _plain, _Double(), **rule, accumulate=accumulate))
    return weights_of(model), [record["loss"] for record in records]


@pytest.mark.parametrize("k", [2, 3, 100])
def test_micro_batches_of_any_size_make_the_plain_step_to_rounding(k: int) -> None:
    """Also 5 images in 2 parts of 3 and 2, where an unweighted mean of means would be wrong."""
    weights, losses = _trained(1)
    cut, cut_losses = _trained(k)
    for name in weights:
        assert torch.allclose(weights[name], cut[name], rtol=0, atol=1e-12), name
    assert cut_losses == pytest.approx(losses, rel=1e-5)


def test_alone_and_uncut_the_step_is_backward_of_the_objectives_own_loss() -> None:
    model, ours = _net(), _net()
    x = torch.rand(5, 1, 4, 4, dtype=torch.float64, generator=generator(1))
    y = torch.arange(5) % 3
    returned: list[Tensor] = []

    def kept(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        returned.append(_plain(model, x, y))
        returned[-1].retain_grad()
        return returned[-1]

    rule = torch.optim.SGD(ours.parameters(), lr=0.1)
    work = Work(model=ours, called=ours, objective=kept, optimizer=rule, switches=Switches())
    make_step(work, x, y, rng=generator(2))
    _plain(model, x, y).backward()  # type: ignore[no-untyped-call]
    for one, other in zip(model.parameters(), ours.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)
    assert returned[0].grad == 1.0


def test_each_micro_batch_is_a_call_and_the_optimizer_moves_once() -> None:
    sizes: list[int] = []
    seen: list[Tensor] = []
    steps: list[int] = []

    class Counting:
        def build(self, parameters: Any) -> torch.optim.Optimizer:
            optimizer = SGD(lr=0.2).build(parameters)
            optimizer.register_step_pre_hook(lambda *_: steps.append(1))
            return optimizer

    def objective(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        sizes.append(len(x))
        seen.append(x)
        return _plain(model, x, y, rng=rng)

    list(tiny_run(None, objective=objective, optimizer=Counting(), accumulate=2, epochs=1))
    assert sizes == [3, 3, 3, 3, 3, 2]
    assert len(steps) == STEPS
    batches = [x for x, _ in TinyLoader().epoch(generator(1, "order", 1))]
    assert torch.equal(torch.cat(seen), torch.cat(batches))


def test_no_micro_batch_is_too_small_to_mix_or_normalise() -> None:
    sizes: list[int] = []

    def objective(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        sizes.append(len(x))
        return _plain(model, x, y, rng=rng)

    list(tiny_run(None, objective=objective, accumulate=BATCH, epochs=1))
    assert sizes == [2, 2, 2, 2, 2, 2, 3, 2]


def test_batchnorm_sees_every_micro_batch() -> None:
    from engine.tiny_run import tiny_net

    model = tiny_net()
    list(tiny_run(None, model=model, accumulate=2))
    assert int(model.state_dict()["1.num_batches_tracked"]) == 2 * EPOCHS * STEPS


@pytest.mark.parametrize(("n", "k"), [(6, 1), (6, 4), (7, 3), (2, 2)])
@pytest.mark.parametrize("soft", [False, True])
def test_the_parts_are_the_batch_in_order_and_nearly_equal(n: int, k: int, soft: bool) -> None:
    x = torch.arange(n).float().reshape(n, 1, 1, 1)
    y = torch.rand(n, 3) if soft else torch.arange(n)
    parts = list(micro_batches(x, y, k))
    assert len(parts) == k
    assert torch.equal(torch.cat([part for part, _ in parts]), x)
    assert torch.equal(torch.cat([part for _, part in parts]), y)
    sizes = [len(part) for part, _ in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("accumulate", [0, -1, 1.5])
def test_a_number_of_parts_below_one_is_one_sentence(accumulate: Any) -> None:
    with pytest.raises(InputError, match=r"^`accumulate` must be an integer >= 1; got [^\n]*$"):
        list(tiny_run(None, accumulate=accumulate))
