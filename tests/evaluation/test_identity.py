"""What a model or an attack consists of: the same things alike, other things apart."""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vicinal.attacks import PGD, Rounded, Transfer
from vicinal.evaluation.identity import _is_of_user, identity, keys_of, state_of

CPU = torch.device("cpu")
LEVELS = 4


class Around(nn.Module):
    """A defence by hand: what it does stands in a plain attribute, out of any state dict."""

    def __init__(self, inner: Any, **more: Any) -> None:
        super().__init__()
        self._inner = inner
        for name, value in more.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self._inner(x)
        return z


def net(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))


def enclosed(value: object) -> Callable[[Tensor], object]:
    return lambda x: (x, value)


def own(x: Tensor) -> Tensor:
    return x * LEVELS


def test_models_that_a_state_dict_cannot_tell_apart() -> None:
    plain = net(0)
    models: list[object] = [
        plain,
        net(1),
        nn.Sequential(nn.Flatten(), *plain[1:], nn.Softmax(dim=1)),  # type: ignore[index]
        Around(lambda x: x),
        Around(lambda x: 2 * x),
        Around(lambda x: x.abs()),
        Around(enclosed(net(0))),
        Around(enclosed(net(1))),
        Around(enclosed(3)),
        Around(net(0)),
        Around(net(0), factor=1000.0),
        Around(net(0), factor=1.0),
        Around([net(0), net(1)]),
        Around(functools.partial(torch.mul, other=2)),
        Around(functools.partial(torch.mul, other=3)),
        Around(net(0).forward),
        Around(np.arange(3)),
        Around(np.arange(3.0)),
        Around({"a": 1}),
        Around({"b": 1}),
        Around({1, 2}),
        Around(torch.softmax),
        Around(torch.relu),
    ]
    assert len({identity(model) for model in models}) == len(models)


def test_the_same_content_is_the_same_whoever_holds_it() -> None:
    made: list[Callable[[], nn.Module]] = [
        lambda: net(3),
        lambda: Around(enclosed(net(3)), again=net(3)),
        lambda: Around(own, names=("a", "b"), table={"x": torch.ones(2)}),
    ]
    for make in made:
        assert identity(make()) == identity(make())


def test_a_number_that_a_function_reads_of_its_module_counts() -> None:
    before = identity(own)
    globals_ = own.__globals__
    try:
        globals_["LEVELS"] = 8
        assert identity(own) != before
    finally:
        globals_["LEVELS"] = 4
    assert identity(own) == before


def test_mode_and_gradients_count_nothing_and_nothing_is_changed() -> None:
    model = net(0)
    before = identity(model)
    model.train(mode=not model.training)
    model(torch.rand(3, 4)).sum().backward()
    assert identity(model) == before


def _halved(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x - 0.5 for x in inputs)


def _doubled(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(2 * x for x in inputs)


def test_a_hook_counts_while_it_is_there_whatever_its_number() -> None:
    model = net(0)
    before, found = identity(model), list[str]()
    for hook in (_halved, _doubled, _halved):
        handle = model[1].register_forward_pre_hook(hook)  # type: ignore[index]
        found.append(identity(model))
        handle.remove()
    found.append(before)
    handles: list[Any] = [
        model.register_forward_hook(lambda *_: None),
        model.register_full_backward_hook(lambda *_: None),
    ]
    found.append(identity(model))
    handles.pop().remove()
    found.append(identity(model))
    handles.pop().remove()
    assert found[0] == found[2]
    assert len(set(found)) == 5
    assert identity(model) == before


KIND = """
import torch
LEVELS = 255

class Rounding(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return (x * LEVELS).round() / 255

    @staticmethod
    def backward(ctx, g):
        return g

class Inherited(torch.nn.Module):
    T = 1

    @property
    def scale(self):
        return self.T * 1.5

    @staticmethod
    def told(x):
        return x + 0.25

    def forward(self, x):
        return self.scale * Rounding.apply(self.told(x)) + 7

class Defended(Inherited):
    MEAN = (0.5, 0.5)

class Called:
    def __call__(self, x):
        return x - 9

def made():
    net = Defended()
    net.called = Called()
    return net
"""


def _made(old: str = "", new: str = "") -> nn.Module:
    held: dict[str, Any] = {"__name__": "made"}
    assert old in KIND
    exec(KIND.replace(old, new) if old else KIND, held)
    found: nn.Module = held["made"]()
    return found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LEVELS = 255", "LEVELS = 8"),
        ("/ 255", "/ 8"),
        ("T = 1", "T = 1000"),
        ("1.5", "2.5"),
        ("0.25", "0.5"),
        ("+ 7", "+ 8"),
        ("(0.5, 0.5)", "(0.5, 0.4)"),
        ("x - 9", "x - 8"),
        ("return g", "return -g"),
    ],
)
def test_classes_of_one_name_that_do_other_things_are_told_apart(old: str, new: str) -> None:
    assert identity(_made()) == identity(_made())
    assert identity(_made(old, new)) != identity(_made())


def test_what_holds_itself_ends() -> None:
    model = Around(None)
    model._inner = {"me": model}
    assert identity(model) == identity(model)
    model._inner["more"] = 1
    assert identity(model) != identity(Around(None))


def test_functions_that_call_each_other_two_thousand_deep_count_to_the_last() -> None:
    calls = "".join(f"def f{k}(x): return f{k + 1}(x)\n" for k in range(2000))

    def found(last: str) -> str:
        held: dict[str, Any] = {"__name__": "made"}
        exec(f"{calls}def f2000(x): return x {last}\n", held)
        return identity(held["f0"])

    assert found("- 1") == found("- 1") != found("- 2")


def test_a_source_within_an_attack_within_an_attack_decides() -> None:
    pgd = PGD(eps=0.1, step_size=0.1, steps=1)

    def key(seed: int) -> str:
        within = Rounded(attack=Transfer(source=net(seed), attack=pgd))
        return keys_of({"rounded": within}, device=CPU)["rounded"]

    assert key(0) == key(0)
    assert key(0) != key(1)
    bare = [keys_of({"one": one}, device=CPU)["one"] for one in (pgd, replace(pgd, steps=2))]
    assert bare[0] != bare[1]


def test_attacks_that_are_functions_are_told_apart_by_what_they_do() -> None:
    def key(attack: Any) -> str:
        return keys_of({"mine": attack}, device=CPU)["mine"]

    assert key(lambda *_: 1) != key(lambda *_: 2)
    assert key(enclosed(1)) == key(enclosed(1)) != key(enclosed(2))


CODE = """
import functools, torch
from vicinal.evaluation.identity import identity

class Held(torch.nn.Module):
    WORDS, LEVELS = frozenset("abcd"), {"few": 8}

    def __init__(self, what):
        super().__init__()
        self._what, self.words = what, {"a", "b", "c", "d"}

    @functools.cached_property
    def doubled(self):
        return 2 * self.seen if self.words != {"e", "f", "g"} else self.heard

torch.manual_seed(0)
inner = torch.nn.Linear(4, 2)
for _ in range(globals().get("EXTRA", 0)):
    inner.register_forward_hook(print).remove()
inner.register_forward_hook(lambda *_: None)
found = identity(Held([lambda x: inner(x), functools.partial(torch.mul, other=2), object()]))
"""


def test_another_process_with_other_addresses_and_hashes_finds_the_same() -> None:
    here: dict[str, Any] = {"__name__": "made"}
    exec(CODE, here)
    there = f"held = {{'__name__': 'made', 'EXTRA': 3}}\nexec({CODE!r}, held)\nprint(held['found'])"
    ran = subprocess.run(
        [sys.executable, "-c", there],
        env={**os.environ, "PYTHONHASHSEED": "5", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == here["found"]


MODEL = """
import {package}layers_of_mine
from {package}layers_of_mine import levels
from torch import nn

class Net(nn.Module):
    def forward(self, x):
        return {package}layers_of_mine.rounded(levels(x))
"""
LAYERS = "STEP = {}\n\ndef rounded(x):\n    return x * STEP\n\ndef levels(x):\n    return x + {}\n"


@pytest.mark.parametrize("package", ["", "nets_of_mine."])
def test_what_code_takes_from_another_module_of_the_users_counts(
    tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Called by its name, or by way of its module, flat or in a package."""

    def told(folder: str, *numbers: int) -> str:
        where = tmp_path / folder / package.rstrip(".")
        where.mkdir(parents=True)
        (where / "model_of_mine.py").write_text(MODEL.format(package=package), encoding="utf-8")
        (where / "layers_of_mine.py").write_text(LAYERS.format(*numbers), encoding="utf-8")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(tmp_path / folder)
            for name in ("", "layers_of_mine", "model_of_mine"):
                patch.delitem(sys.modules, f"{package}{name}".rstrip("."), raising=False)
            return identity(importlib.import_module(f"{package}model_of_mine").Net())

    found = [told("a", 1, 2), told("b", 1, 2), told("c", 3, 2), told("d", 1, 3)]
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_the_code_of_installed_packages_and_of_this_library_is_not_followed() -> None:
    """A new version of them is another ledger's, by its number; digests in records stay."""
    assert not any(map(_is_of_user, ("numpy.linalg", "torch.nn", "json", "vicinal.attacks.pgd")))
    assert _is_of_user(__name__) or __name__ not in sys.modules


def test_a_state_is_of_weights_and_buffers_alone() -> None:
    same = Around(net(0), factor=3)
    same._modules["_inner"] = net(0)
    assert state_of(same) == state_of(Around(net(0), factor=4)) != state_of(Around(net(1)))
    assert state_of(nn.BatchNorm1d(2)) != state_of(nn.LayerNorm(2))
    assert len(state_of(net(0))) == 16
