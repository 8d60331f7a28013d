"""The step of drawn length towards drawn classes: eq. 5 by loops, and what it draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import laws
from oracles import two_risks as oracle
from replays import generator, replay
from vicinal._checks import InputError
from vicinal.maths.randomness import integers, uniform
from vicinal.maths.share import Share
from vicinal.objectives.aimed import AimedStep
from vicinal.objectives.late_label import label_of

N, K = 6, 5


def step(**fields: Any) -> AimedStep:
    given: dict[str, Any] = {
        "eps_max": 0.2,
        "target": "any",
        "per_sample": False,
        "batchnorm": "eval",
    }
    return AimedStep(**(given | fields))


@pytest.mark.parametrize("per_sample", [False, True])
def test_eq5_is_one_signed_step_towards_the_drawn_class(per_sample: bool) -> None:
    r = replay()
    aimed = step(per_sample=per_sample)(r.model, r.x, label_of(r.y), rng=generator())
    rng = generator()
    rows = N if per_sample else 1
    eps = 0.2 * uniform((rows,), r.x, rng)
    t = integers(N, high=K, like=r.x, rng=rng)
    laws.assert_same_bits(aimed.eps, eps)
    assert aimed.t is not None
    laws.assert_same_bits(aimed.t, t)
    for i in range(N):
        goal, length = np.eye(K)[int(t[i])], float(eps[i % rows])
        expected = oracle.one_step(r.net, r.xs[i], goal, length, towards=True)
        np.testing.assert_allclose(r.flat(aimed.x)[i], expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_without_a_target_it_steps_away_from_the_label(soft: bool) -> None:
    r = replay(soft=soft)
    aimed = step(target=None)(r.model, r.x, label_of(r.y), rng=generator())
    assert aimed.t is None
    for i in range(N):
        expected = oracle.one_step(r.net, r.xs[i], r.qs[i], float(aimed.eps), towards=False)
        np.testing.assert_allclose(r.flat(aimed.x)[i], expected, rtol=0, atol=1e-15)


def test_any_target_may_be_the_label_and_a_random_one_is_not() -> None:
    """Of 600 draws of any class a fifth; no miss has probability (4/5)^600 < 1e-58."""
    r = replay()
    hits = {"any": 0, "random": 0}
    for target in ("any", "random"):
        for seed in range(100):
            aimed = step(target=target)(r.model, r.x, label_of(r.y), rng=generator(seed))
            assert aimed.t is not None
            hits[target] += int((aimed.t == r.y).sum())
    assert hits["random"] == 0
    assert 60 < hits["any"] < 180


def test_lengths_fill_the_interval() -> None:
    r = replay()
    lengths = torch.cat([
        step(per_sample=True)(r.model, r.x, label_of(r.y), rng=generator(seed)).eps
        for seed in range(50)
    ])
    assert 0.0 <= float(lengths.min()) < 0.02
    assert 0.18 < float(lengths.max()) < 0.2


@pytest.mark.parametrize("per_sample", [False, True])
def test_two_processes_share_one_length_and_own_the_rest(per_sample: bool) -> None:
    """Lengths and classes of the whole batch, whoever draws them."""
    r, n = replay(), N // 2
    act = step(per_sample=per_sample)
    whole = act(r.model, r.x, label_of(r.y), rng=generator())
    for rank in (0, 1):
        own = slice(n * rank, n * (rank + 1))
        share = Share(rank=rank, world=2).manual_seed(4)
        part = act(r.model, r.x[own], label_of(r.y[own]), rng=share)
        assert whole.t is not None
        assert part.t is not None
        laws.assert_same_bits(part.eps, whole.eps[own] if per_sample else whole.eps)
        laws.assert_same_bits(part.t, whole.t[own])
        laws.assert_same_bits(part.x, whole.x[own])


def test_the_shortest_step_is_none() -> None:
    r = replay()
    aimed = step(eps_max=0.0)(r.model, r.x, label_of(r.y), rng=generator())
    laws.assert_same_bits(aimed.x, r.x)


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"eps_max": 8.0}, "did you mean 8/255?"),
        ({"eps_max": torch.full((3,), 0.02)}, "`eps_max` must be a number"),
        ({"target": "least_likely"}, "`target` must be any | random"),
        ({"batchnorm": "off"}, "`batchnorm`"),
    ],
)
def test_hyper_parameters_have_bounds(fields: dict[str, Any], phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        step(**fields)
    laws.assert_one_line(caught.value, phrase)
