from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vicinal.engine.seeding import derive, deterministic, generator, isolated

KEYS = st.lists(st.one_of(st.integers(), st.text()), max_size=3)


def test_a_seed_is_the_head_of_a_sha256() -> None:
    head = hashlib.sha256(b'[3, "order", 7]').digest()[:8]
    assert derive(3, "order", 7) == int.from_bytes(head, "big") // 2


@given(one=KEYS, other=KEYS)
def test_different_keys_have_different_seeds(
    one: Sequence[int | str], other: Sequence[int | str]
) -> None:
    assert (derive(*one) == derive(*other)) == (one == other)
    assert 0 <= derive(*one) < 2**63


@pytest.mark.parametrize(
    ("one", "other"), [((1,), ("1",)), (("ab", "c"), ("a", "bc")), ((1, 2), (12,)), ((), ("",))]
)
def test_keys_do_not_run_together(one: tuple[int | str, ...], other: tuple[int | str, ...]) -> None:
    assert derive(*one) != derive(*other)


def test_a_generators_draws_depend_on_its_keys_alone() -> None:
    first = torch.rand(8, generator=generator(0, "order", 1))
    torch.rand(100)
    assert torch.equal(first, torch.rand(8, generator=generator(0, "order", 1)))
    for other in ((1, "order", 1), (0, "model", 1), (0, "order", 2)):
        assert not torch.equal(first, torch.rand(8, generator=generator(*other)))


def test_isolated_draws_depend_on_the_keys_and_the_callers_state_comes_back() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    draws = []
    for _ in range(2):
        with isolated(0, "model", 1):
            draws.append(torch.nn.functional.dropout(torch.ones(64)))
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(torch.rand(3), expected)


def test_isolated_gives_the_state_back_after_an_exception_too() -> None:
    def is_interrupted() -> None:
        with isolated(0):
            torch.rand(3)
            raise KeyboardInterrupt

    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        is_interrupted()
    assert torch.equal(torch.get_rng_state(), before)


def test_isolated_leaves_the_generators_of_python_and_numpy_alone() -> None:
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.rand()
    random.seed(1)
    np.random.seed(1)
    with isolated(0):
        found = random.random(), np.random.rand()
    assert found == expected


@pytest.mark.parametrize("in_use", [False, True])
def test_isolated_covers_an_accelerator_in_use_and_wakes_no_other(
    in_use: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def get_states() -> list[str]:
        calls.append("get")
        return ["mine"]

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: in_use)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", get_states)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", calls.append)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", calls.append)
    with isolated(4):
        calls.append("inside")
    assert calls == (["get", derive(4), "inside", ["mine"]] if in_use else ["inside"])


@pytest.mark.parametrize("before", [(False, True), (True, False)])
def test_deterministic_holds_cudnn_and_lets_it_go(
    before: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "deterministic", before[0])
    monkeypatch.setattr(cudnn, "benchmark", before[1])
    with deterministic():
        inside = cudnn.deterministic, cudnn.benchmark
    assert inside == (True, False)
    assert (cudnn.deterministic, cudnn.benchmark) == before
