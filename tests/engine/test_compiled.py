"""Compiled training: the same names, the same numbers, and nothing compiled anew by a toggle.

Backends "eager" and "aot_eager" trace as the default does and need no C++ compiler.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

from engine.tiny_run import EPOCHS, STEPS, noisy_cross_entropy, tiny_net, tiny_run, weights_of
from vicinal import models
from vicinal._checks import InputError
from vicinal._typing import BatchNormMode, Model
from vicinal.engine.compiled import Compiled
from vicinal.gradients import ascend, clean_logits, frozen
from vicinal.objectives import OBJECTIVES

PASSES = 3
"""Kinds of passes below: without a graph, for the images' gradient, for the weights'."""


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def _even(n: int = 6) -> Any:
    class Even:
        def __len__(self) -> int:
            return STEPS

        def epoch(self, rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
            for _ in range(STEPS):
                yield torch.rand(n, 1, 4, 4, generator=rng), torch.randint(3, (n,), generator=rng)

    return Even()


def adversarial(batchnorm: Any, counts: list[int] | None = None) -> Any:
    """A loss whose model goes to eval mode and back three times a step."""

    def objective(model: Model, x: Tensor, y: Tensor, *, rng: Any = None) -> Tensor:
        del rng
        z = clean_logits(model, x)
        with frozen(model, batchnorm=batchnorm):
            x = ascend(
                model,
                x,
                lambda z: nn.functional.cross_entropy(z, y, reduction="none"),
                steps=2,
                move=lambda x, g: (x + 0.1 * g.sign()).clamp(0, 1),
            )
        loss: Tensor = nn.functional.cross_entropy(model(x), y)
        loss = loss + 0.1 * (model(x) - z).square().mean()
        if counts is not None:
            counts.append(counters["stats"]["unique_graphs"])
        return loss

    return objective


def _net() -> nn.Module:
    net = tiny_net()
    net[4] = nn.Identity()  # type: ignore[operator]
    return net


@pytest.mark.parametrize("batchnorm", ["eval", "train_frozen_stats", "train"])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_each_kind_of_pass_is_compiled_once_however_often_the_mode_toggles(
    batchnorm: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.tiny_run.TinyLoader", _even)
    counts: list[int] = []
    list(tiny_run(None, model=_net(), objective=adversarial(batchnorm, counts), compile=backend))
    assert len(counts) == EPOCHS * STEPS
    assert counts[0] == PASSES
    assert set(counts) == {PASSES}
    assert not counters["graph_break"]


@pytest.mark.parametrize("batchnorm", ["eval", "train_frozen_stats"])
def test_compiled_training_gives_the_uncompiled_numbers(
    tmp_path: Path, batchnorm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.tiny_run.TinyLoader", _even)
    found = []
    for backend in (None, "aot_eager"):
        model = _net()
        list(
            tiny_run(
                tmp_path / str(backend),
                model=model,
                objective=adversarial(batchnorm),
                compile=backend,
            )
        )
        found.append(weights_of(model))
    plain, compiled = found
    assert plain.keys() == compiled.keys()
    for name in plain:
        assert torch.allclose(plain[name], compiled[name], atol=1e-5), name
    names = (torch.load(tmp_path / "aot_eager" / "checkpoint.pt")["state"]["model"]).keys()
    assert names == plain.keys()


# AWP puts weights that are no leaves into the model, which torch's tracer remarks upon.
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_pays_the_same_compiled_and_is_compiled_in_its_first_step(
    name: str,
) -> None:
    found, counts = [], []
    for compiled in (False, True):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = models.digits_net(width=2).train()
        called = Compiled(model, backend="eager") if compiled else model
        for step in range(2):
            rng = torch.Generator().manual_seed(step)
            x, y = torch.rand(6, 1, 8, 8, generator=rng), torch.arange(6)
            OBJECTIVES[name]()(called, x, y, rng=rng).backward()  # type: ignore[no-untyped-call]
            counts.append(counters["stats"]["unique_graphs"])
        gradients = {f"grad {k}": w.grad for k, w in model.named_parameters() if w.grad is not None}
        found.append({**weights_of(model), **gradients})
    plain, other = found
    assert plain.keys() == other.keys()
    for key in plain:
        assert torch.allclose(plain[key], other[key], rtol=1e-4, atol=1e-5), key
    assert counts[:2] == [0, 0]
    assert 1 <= counts[2] == counts[3] or name == "ManifoldMixUp"


def test_the_last_batch_of_another_size_is_no_endless_recompiling() -> None:
    list(tiny_run(None, model=_net(), compile="eager"))
    assert counters["stats"]["unique_graphs"] <= 2
    assert not counters["recompile_limit"]


def test_the_twin_shares_parameters_and_modes_and_its_model_keeps_its_names() -> None:
    net = tiny_net()
    names = list(net.state_dict())
    twin = Compiled(net, backend="eager")
    assert [id(p) for p in twin.parameters()] == [id(p) for p in net.parameters()]
    modes = [twin.eval().training, net.training]
    with frozen(twin, batchnorm="train"):
        modes += [net.training]
    assert [*modes, net.training] == [False, False, True, False]
    assert list(net.state_dict()) == names
    assert not any("_orig_mod" in name for name in twin.state_dict())


def test_each_mode_computes_what_the_model_does_in_it() -> None:
    net, x = _net(), torch.rand(6, 1, 4, 4)
    twin = Compiled(net, backend="aot_eager")
    rounds: tuple[BatchNormMode, ...] = ("eval", "train_frozen_stats") * 2
    for batchnorm in rounds:
        with frozen(net, batchnorm=batchnorm), torch.no_grad():
            expected = net(x)
        with frozen(twin, batchnorm=batchnorm), torch.no_grad():
            assert torch.allclose(twin(x), expected, atol=1e-6)


def test_a_pass_with_a_hook_runs_it() -> None:
    net, x = _net().eval(), torch.rand(6, 1, 4, 4)
    twin = Compiled(net, backend="eager")
    before = twin(x)
    handle = net[2].register_forward_hook(lambda _m, _i, out: 0 * out)  # type: ignore[index]
    assert not torch.equal(twin(x), before)
    assert torch.equal(twin(x), net(x))
    handle.remove()
    assert torch.equal(twin(x), before)


def test_a_missing_compiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("No working C++ compiler found.\nSearched: everywhere")

    net = tiny_net()
    twin = Compiled(net, backend="eager")
    monkeypatch.setattr(twin, "_training_pass", torch.compile(lambda m, x: m(x), backend=broken))
    rule = r"^`compile` needs a compiler [^\n]*No working C\+\+ compiler found\)[^\n]*\?$"
    with pytest.raises(InputError, match=rule):
        twin(torch.rand(6, 1, 4, 4))


def test_an_unknown_backend_is_one_sentence_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^`compile` must be one of [^\n]*; got 'gcc'"):
        list(tiny_run(tmp_path / "run", compile="gcc"))
    assert not (tmp_path / "run").exists()


def test_uncompiled_training_never_wakes_the_compiler() -> None:
    list(tiny_run(None, objective=noisy_cross_entropy))
    assert not counters["frames"]
