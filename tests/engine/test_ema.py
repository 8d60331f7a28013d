"""The average against its formula in NumPy float64, and what it must leave alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from engine.tiny_run import (
    EPOCHS,
    STEPS,
    CountReads,
    outcome,
    same_weights,
    tiny_net,
    tiny_run,
    weights_of,
)
from vicinal._checks import InputError
from vicinal.engine import SGD, load_weights
from vicinal.engine.checkpoint import load
from vicinal.engine.ema import Average


def _walk(net: nn.Module, seed: int) -> None:
    """Move every number of a net, as a step does."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand(tensor.shape, generator=rng))
            else:
                tensor.add_(1)


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.995])
def test_the_average_is_the_formula_in_float64_buffers_too(decay: float) -> None:
    net = tiny_net()
    average = Average(net, decay=decay)
    expected = {k: v.double().numpy().copy() for k, v in net.state_dict().items()}
    for n in range(12):
        _walk(net, n)
        average.update(net)
        d = min(decay, (1 + n) / (10 + n))
        for name, tensor in net.state_dict().items():
            new = tensor.double().numpy()
            old = expected[name]
            expected[name] = d * old + (1 - d) * new if tensor.is_floating_point() else new.copy()
    for name, tensor in average.model.state_dict().items():
        assert np.allclose(tensor.numpy(), expected[name], atol=1e-5), name
    assert int(average.model.state_dict()["1.num_batches_tracked"]) == 12


def test_running_statistics_are_averaged_and_not_the_models() -> None:
    net = tiny_net()
    average = Average(net, decay=0.9)
    for n in range(5):
        _walk(net, n)
        average.update(net)
    own, averaged = net.state_dict(), average.model.state_dict()
    assert not torch.allclose(own["1.running_mean"], averaged["1.running_mean"])
    assert set(own) == set(averaged)


def test_the_average_neither_learns_nor_changes_the_model() -> None:
    net = tiny_net().train()
    before = weights_of(net)
    average = Average(net, decay=0.9)
    average.update(net)
    assert same_weights(weights_of(net), before)
    assert net.training
    assert not any(m.training for m in average.model.modules())
    assert not any(p.requires_grad for p in average.model.parameters())
    assert all(p.requires_grad for p in net.parameters())


def test_an_update_makes_no_pass_and_reads_nothing_from_the_device() -> None:
    net = tiny_net()
    average, calls = Average(net, decay=0.9), []
    for model in (net, average.model):
        model.register_forward_hook(lambda *_: calls.append(1))
    with CountReads() as counter:
        average.update(net)
    assert counter.reads == 0
    assert calls == []


def test_a_state_goes_on_as_if_it_had_never_stopped() -> None:
    net = tiny_net()
    whole, cut = Average(net, decay=0.9), Average(net, decay=0.9)
    for n in range(6):
        _walk(net, n)
        whole.update(net)
        cut.update(net)
        fresh = Average(tiny_net(seed=9), decay=0.9)
        fresh.load_state_dict(cut.state_dict())
        cut = fresh
    assert same_weights(weights_of(whole.model), weights_of(cut.model))


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.1])
def test_a_decay_out_of_range_is_one_sentence(decay: float) -> None:
    with pytest.raises(InputError, match=r"^`ema` must satisfy 0 < ema < 1; got [^\n]*$"):
        list(tiny_run(None, ema=decay))


def test_training_itself_is_bit_identical_with_and_without_an_average(tmp_path: Path) -> None:
    list(tiny_run(tmp_path / "plain"))
    list(tiny_run(tmp_path / "ema", ema=0.9))
    plain, averaged = (load(tmp_path / name / "checkpoint.pt") for name in ("plain", "ema"))
    assert same_weights(plain["model"], averaged["model"])
    assert outcome(tmp_path / "plain")[1] == outcome(tmp_path / "ema")[1]


def test_the_runs_weights_are_the_average_over_its_steps(tmp_path: Path) -> None:
    """A second, hand-made average over the weights that an optimizer's hook sees."""
    seen: list[dict[str, torch.Tensor]] = []
    model = tiny_net()
    start = weights_of(model)

    class Spy:
        def build(self, parameters: Any) -> torch.optim.Optimizer:
            optimizer = SGD(lr=0.2).build(parameters)
            optimizer.register_step_post_hook(lambda *_: seen.append(weights_of(model)))
            return optimizer

        def __repr__(self) -> str:
            return "Spy()"

    list(tiny_run(tmp_path, model=model, optimizer=Spy(), ema=0.8))
    assert len(seen) == EPOCHS * STEPS
    for name, value in start.items():
        average = value.double()
        for n, weights in enumerate(seen):
            d = min(0.8, (1 + n) / (10 + n))
            real = value.is_floating_point()
            new = weights[name].double()
            average = d * average + (1 - d) * new if real else new
        written = tiny_net(seed=7)
        load_weights(tmp_path / "weights.safetensors", written)
        assert torch.allclose(written.state_dict()[name].double(), average, atol=1e-5), name
        assert torch.equal(written.state_dict()[name], model.state_dict()[name]), name
