"""Draws: the right distribution, from the generator that was given.

The statistical tests draw from fixed seeds, so they pass or fail for good; run with other seeds,
each would fail by chance with probability 1e-6 at most (its stated level).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import laws
from vicinal.maths.randomness import beta, integers, moved, normal, permutation, uniform

LEVEL = 1e-6
LIKE = torch.zeros(1)

Draw = Callable[[torch.Generator | None], Tensor]
DRAWS: dict[str, Draw] = {
    "uniform": lambda rng: uniform((4, 5), LIKE, rng),
    "normal": lambda rng: normal((4, 5), LIKE, rng),
    "integers": lambda rng: integers(20, high=9, like=LIKE, rng=rng),
    "permutation": lambda rng: permutation(20, LIKE, rng),
    "beta": lambda rng: beta(20, a=2.0, b=3.0, like=LIKE, rng=rng),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", DRAWS)
def test_a_given_generator_is_the_only_one_used(name: str) -> None:
    draw = DRAWS[name]
    with laws.assert_global_rng_untouched():
        first, again, other = draw(generator(1)), draw(generator(1)), draw(generator(2))
    laws.assert_same_bits(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", DRAWS)
def test_a_generator_moves_on_with_every_draw(name: str) -> None:
    rng = generator()
    assert not torch.equal(DRAWS[name](rng), DRAWS[name](rng))


@pytest.mark.parametrize("name", DRAWS)
def test_without_one_torchs_global_generator_is_used(name: str) -> None:
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(DRAWS[name](None))
    laws.assert_same_bits(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_dtype_are_those_asked_for(dtype: torch.dtype) -> None:
    like = torch.zeros(1, dtype=dtype)
    assert uniform((2, 3), like).shape == normal((2, 3), like).shape == (2, 3)
    assert uniform((2,), like).dtype == normal((2,), like).dtype == dtype
    assert integers(7, high=3, like=like).dtype == permutation(7, like).dtype == torch.int64
    assert beta(7, a=1.0, b=1.0, like=like).dtype == torch.float64


def test_uniform_and_normal_draws_have_their_distribution() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    u = uniform((20_000,), like, generator()).numpy()
    g = normal((20_000,), like, generator()).numpy()
    assert stats.kstest(u, "uniform").pvalue > LEVEL
    assert stats.kstest(g, "norm").pvalue > LEVEL


def test_integers_are_uniform_over_their_range() -> None:
    counts = torch.bincount(integers(21_000, high=7, like=LIKE, rng=generator()), minlength=7)
    assert len(counts) == 7
    assert stats.chisquare(counts.numpy()).pvalue > LEVEL


def test_permutations_are_permutations_and_uniform() -> None:
    rng = generator()
    drawn = [tuple(permutation(4, LIKE, rng).tolist()) for _ in range(6_000)]
    assert {tuple(sorted(p)) for p in drawn} == {(0, 1, 2, 3)}
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > LEVEL


@pytest.mark.parametrize(
    ("a", "b"),
    [(1.0, 1.0), (10.0, 2.0), (0.4, 0.4), (0.2, 0.2), (3.0, 0.5), (1.0, 11.0), (900.0, 100.0)],
)
def test_beta_draws_have_their_distribution(a: float, b: float) -> None:
    drawn = beta(20_000, a=a, b=b, like=LIKE, rng=generator()).numpy()
    assert stats.kstest(drawn, stats.beta(a, b).cdf).pvalue > LEVEL


@pytest.mark.parametrize("a", [0.01, 1e-3, 1e-4, 1e-8])
def test_beta_of_small_shapes_is_nearly_a_coin(a: float) -> None:
    """MixUp's alpha towards 0 is ERM: a draw is near 0 or 1, and in between as rarely as it should.

    A ratio of two underflowing Gamma draws would say 1/2 instead.
    """
    n = 20_000
    drawn = beta(n, a=a, b=a, like=LIKE, rng=generator()).numpy()
    between = int(((drawn > 0.01) & (drawn < 0.99)).sum())
    law = stats.beta(a, a)
    rate = float(law.cdf(0.99) - law.cdf(0.01))
    assert stats.binomtest(between, n, rate).pvalue > LEVEL
    assert stats.binomtest(int((drawn > 0.5).sum()), n, 0.5).pvalue > LEVEL


@pytest.mark.parametrize("a", [1e-300, 1e-4, 1.0, 1e6, 1e300])
def test_beta_draws_are_numbers_in_the_unit_interval(a: float) -> None:
    for b in (1e-300, 1e-4, 1.0, 1e6, 1e300):
        drawn = beta(500, a=a, b=b, like=LIKE, rng=generator())
        assert ((drawn >= 0) & (drawn <= 1)).all()


def test_a_shape_next_to_nothing_draws_a_coin() -> None:
    """Of 1e-320 both logarithms are infinite, and their difference would be no number."""
    drawn = beta(500, a=1e-320, b=1e-320, like=LIKE, rng=generator())
    assert set(drawn.tolist()) == {0.0, 1.0}


def test_a_tensor_is_moved_without_waiting_from_the_cpu_to_cuda_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bool] = []

    def to(tensor: Tensor, *_: object, non_blocking: bool = False) -> Tensor:
        seen.append(non_blocking)
        return tensor

    monkeypatch.setattr(Tensor, "to", to)
    draw = torch.rand(3, dtype=torch.float64)
    far = torch.empty(3, device="meta")
    for tensor, kind in ((draw, "cpu"), (draw, "cuda"), (draw, "mps"), (far, "cuda")):
        found = moved(tensor, torch.device(kind))
        assert found.dtype == (torch.float32 if kind == "mps" else tensor.dtype)
    assert seen == [False, True, False, False]
