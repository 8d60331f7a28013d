from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.tiny_run import (
    BATCH,
    EPOCHS,
    STEPS,
    TIMES,
    CountReads,
    TinyLoader,
    noisy_cross_entropy,
    same_weights,
    tiny_net,
    tiny_run,
    weights_of,
)
from vicinal import _checks
from vicinal._checks import InputError
from vicinal._typing import Model
from vicinal.engine import SGD, Constant, Cyclic, Step, train
from vicinal.engine.seeding import derive, generator
from vicinal.engine.train import Diverged

IMAGES = STEPS * BATCH - 1


@dataclass(frozen=True, kw_only=True)
class Spy:
    """An SGD that writes down the rate of every step it takes."""

    rates: list[float]

    def build(self, parameters: Any) -> torch.optim.Optimizer:
        optimizer = SGD(lr=0.2).build(parameters)
        optimizer.register_step_pre_hook(
            lambda opt, _args, _kwargs: self.rates.append(opt.param_groups[0]["lr"])
        )
        return optimizer


def _without_times(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


def test_the_loop_is_the_plain_loop_of_torch_bit_for_bit() -> None:
    model, by_hand = tiny_net(), tiny_net()
    lines = list(tiny_run(None, model=model))

    optimizer = torch.optim.SGD(
        by_hand.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
    for epoch in range(1, EPOCHS + 1):
        torch.manual_seed(derive(1, "model", epoch))
        rng, total = generator(1, "objective", epoch), 0.0
        for step, (x, y) in enumerate(TinyLoader().epoch(generator(1, "order", epoch))):
            done = (epoch - 1 + (step + 0.5) / STEPS) / EPOCHS
            optimizer.param_groups[0]["lr"] = 0.2 * (done / 0.4 if done < 0.4 else (1 - done) / 0.6)
            optimizer.zero_grad()
            loss = noisy_cross_entropy(by_hand, x, y, rng=rng)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach()) * len(x)
        assert lines[epoch - 1]["loss"] == pytest.approx(total / IMAGES, rel=1e-6)
    assert same_weights(weights_of(model), weights_of(by_hand))


def test_each_batch_is_one_call_of_the_objective_and_one_step() -> None:
    seen: list[Tensor] = []
    rates: list[float] = []

    def objective(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        seen.append(x)
        return noisy_cross_entropy(model, x, y, rng=rng)

    list(tiny_run(None, objective=objective, optimizer=Spy(rates=rates)))
    batches = [x for e in (1, 2, 3) for x, _ in TinyLoader().epoch(generator(1, "order", e))]
    assert len(seen) == len(rates) == len(batches)
    assert torch.equal(torch.cat(seen), torch.cat(batches))


@pytest.mark.parametrize(
    "schedule", [Cyclic(peak=0.4), Step(milestones=(1 / 3, 2 / 3)), Constant()]
)
def test_the_rate_of_each_step_is_the_schedules_at_its_middle(
    schedule: Cyclic | Step | Constant,
) -> None:
    rates: list[float] = []
    lines = list(tiny_run(None, optimizer=Spy(rates=rates), schedule=schedule))
    middles = [(i + 0.5) / STEPS for i in range(EPOCHS * STEPS)]
    assert rates == pytest.approx([0.2 * schedule.factor(p, EPOCHS) for p in middles], rel=1e-12)
    assert [line["lr"] for line in lines] == rates[STEPS - 1 :: STEPS]


def test_milestones_act_from_the_first_step_of_their_epoch() -> None:
    rates: list[float] = []
    list(tiny_run(None, optimizer=Spy(rates=rates), schedule=Step(milestones=(1 / 3, 2 / 3))))
    assert rates == pytest.approx([0.2] * 3 + [0.02] * 3 + [0.002] * 3)


def test_records_say_what_they_promise() -> None:
    first, *_, last = tiny_run(None)
    fields = {"kind", "epoch", "epochs", "loss", "lr", "seconds", "images_per_second"}
    assert set(first) == fields
    assert (first["kind"], first["epoch"], last["epoch"], last["epochs"]) == ("epoch", 1, 3, 3)
    assert first["images_per_second"] * first["seconds"] == pytest.approx(IMAGES)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    found = []
    for seed in (1, 1, 2):
        model = tiny_net()
        list(tiny_run(None, model=model, seed=seed))
        found.append(weights_of(model))
    assert same_weights(found[0], found[1])
    assert not same_weights(found[0], found[2])


def test_epochs_of_one_run_have_different_draws() -> None:
    orders = [next(TinyLoader().epoch(generator(1, "order", e)))[0] for e in (1, 2)]
    assert not torch.equal(*orders)


def _global_state() -> tuple[bytes, object, str]:
    return (
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
        repr(np.random.get_state()),
    )


def test_the_callers_generators_are_untouched_at_each_yield_and_draw_nothing_into_the_run() -> None:
    model, other = tiny_net(), tiny_net()
    before = _global_state()
    for _ in tiny_run(None, model=model):
        assert _global_state() == before
    for _ in tiny_run(None, model=other):
        torch.rand(7)
    assert same_weights(weights_of(model), weights_of(other))


def test_the_callers_generators_and_an_eval_model_come_back_from_ctrl_c() -> None:
    def interrupted(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        noisy_cross_entropy(model, x, y, rng=rng)
        raise KeyboardInterrupt

    model, before = tiny_net(), _global_state()
    with pytest.raises(KeyboardInterrupt):
        list(tiny_run(None, model=model, objective=interrupted))
    assert _global_state() == before
    assert not model.training


def test_the_model_trains_in_train_mode_and_is_handed_over_in_eval_mode() -> None:
    model, modes = tiny_net().eval(), []

    def objective(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        modes.append({module.training for module in model.modules()})
        return noisy_cross_entropy(model, x, y, rng=rng)

    for _ in tiny_run(None, model=model, objective=objective):
        assert not any(module.training for module in model.modules())
    assert modes == [{True}] * (EPOCHS * STEPS)
    assert not model.training


def test_without_a_folder_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _without_times(list(tiny_run(None))) == _without_times(list(tiny_run(tmp_path / "run")))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def _not_finite_in_step(step: int) -> Callable[..., Tensor]:
    calls = iter(range(1, 10**6))

    def objective(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        return noisy_cross_entropy(model, x, y, rng=rng) * (
            math.nan if next(calls) == step else 1.0
        )

    return objective


def test_a_loss_that_is_not_finite_stops_the_run_at_the_last_good_checkpoint(
    tmp_path: Path,
) -> None:
    steps = tiny_run(tmp_path, objective=_not_finite_in_step(STEPS + 2))
    next(steps)
    good = (tmp_path / "checkpoint.pt").read_bytes()
    rule = r"^training diverged in epoch 2 of 3: the loss [^\n]*Lower `lr`[^\n]*\?$"
    with pytest.raises(Diverged, match=rule):
        next(steps)
    assert (tmp_path / "checkpoint.pt").read_bytes() == good
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1


def test_a_last_step_that_breaks_a_weight_is_found_before_it_is_checkpointed(
    tmp_path: Path,
) -> None:
    class Breaks(torch.autograd.Function):
        @staticmethod
        def forward(_ctx: Any, loss: Tensor) -> Tensor:
            return loss.clone()

        @staticmethod
        def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
            return gradients[0] * math.inf

    calls = iter(range(1, 10**6))

    def objective(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        loss = noisy_cross_entropy(model, x, y, rng=rng)
        return Breaks.apply(loss) if next(calls) == STEPS else loss  # type: ignore[no-untyped-call]

    with pytest.raises(Diverged, match="epoch 1 of 3: a weight became infinite or NaN"):
        list(tiny_run(tmp_path, objective=objective))
    assert not (tmp_path / "metrics.jsonl").exists()


def test_only_a_run_in_bf16_is_advised_to_train_in_fp32() -> None:
    for precision, advised in (("bf16", True), ("fp32", False)):
        with pytest.raises(Diverged) as error:
            list(tiny_run(None, objective=_not_finite_in_step(1), precision=precision))
        assert ("train in fp32" in str(error.value)) == advised


def test_bf16_reaches_the_logits_and_no_weight() -> None:
    model, dtypes = tiny_net(), []

    def objective(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        z = model(x)
        dtypes.append(z.dtype)
        return nn.functional.cross_entropy(z.float(), y)

    lines = list(tiny_run(None, model=model, objective=objective, precision="bf16"))
    assert set(dtypes) == {torch.bfloat16}
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert all(math.isfinite(line["loss"]) for line in lines)


def test_channels_last_reaches_images_andweights_of() -> None:
    model, layouts = tiny_net(), []

    def objective(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        layouts.append(x.is_contiguous(memory_format=torch.channels_last))
        return noisy_cross_entropy(model, x, y, rng=rng)

    wide = torch.nn.Sequential(nn.Conv2d(1, 1, 1), model)
    list(tiny_run(None, model=wide, objective=objective, channels_last=True))
    assert all(layouts)
    assert all(
        weight.is_contiguous(memory_format=torch.channels_last)
        for weight in wide.parameters()
        if weight.ndim == 4
    )


def test_the_number_of_waits_for_the_device_does_not_grow_with_the_steps() -> None:
    def plain(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        return nn.functional.cross_entropy(model(x), y)

    reads = []
    for steps in (2, 20):
        with CountReads() as counter:
            list(
                train(
                    nn.Sequential(nn.Flatten(), nn.Linear(16, 3)),
                    plain,
                    TinyLoader(steps),
                    optimizer=SGD(),
                    schedule=Constant(),
                    epochs=2,
                )
            )
        reads.append(counter.reads)
    assert reads[0] == reads[1]


def test_gradients_from_before_the_run_do_not_leak_into_it() -> None:
    model, other = tiny_net(), tiny_net()
    for weight in other.parameters():
        weight.grad = torch.full_like(weight, 100.0)
    list(tiny_run(None, model=model))
    list(tiny_run(None, model=other))
    assert same_weights(weights_of(model), weights_of(other))


def test_frozen_weights_stay() -> None:
    model = tiny_net()
    model[0].requires_grad_(requires_grad=False)  # type: ignore[index]
    before = weights_of(model)
    list(tiny_run(None, model=model))
    moved = {
        name for name, tensor in weights_of(model).items() if not torch.equal(tensor, before[name])
    }
    assert not {"0.weight", "0.bias"} & moved
    assert {"5.weight", "5.bias"} <= moved


def test_progress_is_reported_once_a_step() -> None:
    heard: list[tuple[int, int]] = []
    list(tiny_run(None, report=lambda step, steps: heard.append((step, steps))))
    assert heard == [(step, STEPS) for step in range(1, STEPS + 1)] * EPOCHS


@pytest.mark.parametrize("promised", [STEPS - 1, STEPS + 1])
def test_a_loader_that_breaks_its_promise_is_one_sentence(promised: int) -> None:
    class Liar(TinyLoader):
        def __len__(self) -> int:
            return promised

    steps = train(
        tiny_net(), noisy_cross_entropy, Liar(), optimizer=SGD(), schedule=Cyclic(), epochs=1
    )
    rule = rf"^`loader` must yield len\(loader\) = {promised} batches; got {STEPS}\.$"
    with pytest.raises(InputError, match=rule):
        list(steps)


def test_an_objective_that_returns_a_loss_per_image_is_one_sentence() -> None:
    def per_image(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        return nn.functional.cross_entropy(model(x), y, reduction="none")

    with pytest.raises(
        InputError, match=r"^`objective` must return a scalar loss; got shape \(6,\)"
    ):
        list(tiny_run(None, objective=per_image))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("seed", -1),
        ("precision", "fp16"),
        ("checkpoint_every", 0),
        ("max_seconds", -1.0),
    ],
)
def test_a_wrong_argument_is_one_sentence_before_anything_is_written(
    tmp_path: Path, name: str, value: Any
) -> None:
    with pytest.raises(InputError, match=f"^`{name}` must [^\n]*$"):
        list(tiny_run(tmp_path / "run", **{name: value}))
    assert not (tmp_path / "run").exists()


def test_logits_that_are_not_finite_are_divergence_too(tmp_path: Path) -> None:
    """The library's objectives see them first; the last good checkpoint stands all the same."""
    model, calls = tiny_net(), iter(range(1, 10**6))

    def spoil(_module: nn.Module, _inputs: Any, z: Tensor) -> Tensor:
        return z * math.nan if next(calls) == STEPS + 2 else z

    model.register_forward_hook(spoil)

    def objective(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        del rng
        return nn.functional.cross_entropy(_checks.training_logits(model(x), n=len(x)), y)

    steps = tiny_run(tmp_path, model=model, objective=objective)
    next(steps)
    good = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(Diverged, match=r"^training diverged in epoch 2 of 3: a logit [^\n]*\?$"):
        next(steps)
    assert (tmp_path / "checkpoint.pt").read_bytes() == good
    assert not model.training
