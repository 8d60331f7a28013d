"""Entropic transport against a linear program, loops, and what its gradient must be."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import counting
import laws
from oracles import transport as oracle
from vicinal._checks import InputError
from vicinal.maths.transport import TRANSPORTS, cosine_cost, sinkhorn, sinkhorn_of_the_authors

SHAPES = [(6, 6), (5, 8), (9, 4), (1, 1), (1, 3)]
both = pytest.mark.parametrize("solve", [sinkhorn, sinkhorn_of_the_authors])


def costs(n: int = 6, m: int = 6, *, seed: int = 0, high: float = 2.0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return high * torch.rand(n, m, generator=g, dtype=torch.float64)


# The cost.


def test_the_cost_matches_loops() -> None:
    z, other = torch.randn(7, 5, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    z[2], other[1] = 0.0, z[3]
    expected = oracle.cosine_cost(z.numpy(), other.numpy())
    np.testing.assert_allclose(cosine_cost(z, other), expected, rtol=0, atol=1e-14)
    assert float(cosine_cost(z, other).min()) >= 0.0


def test_no_cost_is_negative_where_a_cosine_is_rounded_above_1() -> None:
    z = torch.randn(500, 10)
    unit = z / z.norm(dim=1, keepdim=True)
    assert float((1 - unit @ unit.T).min()) < 0.0
    assert float(cosine_cost(z, z).min()) == 0.0


@pytest.mark.parametrize("size", [1e-30, 1e-3, 1e4, 1e30])
def test_the_cost_depends_on_directions_only(size: float) -> None:
    z = torch.randn(6, 5)
    torch.testing.assert_close(cosine_cost(size * z, z), cosine_cost(z, z), rtol=0, atol=2e-6)


@pytest.mark.parametrize("size", [0.0, 1e-20, 1e4, 1e20])
def test_the_gradient_is_finite_for_logits_of_any_size(size: float) -> None:
    z, other = torch.randn(6, 5), (size * torch.randn(6, 5)).requires_grad_()
    cost = cosine_cost(z, other)
    (gradient,) = torch.autograd.grad((sinkhorn(cost) * cost).sum(), other)
    assert torch.isfinite(gradient).all()


def test_the_gradient_of_the_cost_is_that_of_differences() -> None:
    z = torch.randn(4, 3, dtype=torch.float64)
    other = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: cosine_cost(z, t), other)


def test_autocast_does_not_round_the_cost() -> None:
    z, other = torch.randn(6, 50), torch.randn(6, 50)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = cosine_cost(z, other)
    laws.assert_same_bits(inside, cosine_cost(z, other))
    assert cosine_cost(z.bfloat16(), other.half()).dtype == torch.float32


# The plan.


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("iterations", [1, 2, 25])
def test_the_plan_matches_scaling_by_loops(shape: tuple[int, int], iterations: int) -> None:
    cost = costs(*shape)
    expected = oracle.scaled(cost.numpy(), reg=0.2, iterations=iterations)
    found = sinkhorn(cost, reg=0.2, iterations=iterations)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reg", [0.2, 0.05])
def test_marginals_are_uniform(shape: tuple[int, int], reg: float) -> None:
    """Those of the columns at once, those of the rows as the iteration converges."""
    n, m = shape
    few, many = sinkhorn(costs(n, m), reg=reg), sinkhorn(costs(n, m), reg=reg, iterations=4000)
    for plan in (few, many):
        assert float(plan.min()) >= 0.0
        np.testing.assert_allclose(plan.sum(dim=0), np.full(m, 1 / m), rtol=1e-12)
    np.testing.assert_allclose(many.sum(dim=1), np.full(n, 1 / n), rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("reg", [0.1, 0.01, 0.003])
def test_the_cost_tends_to_the_linear_programs(seed: int, reg: float) -> None:
    """Above it by at most reg (log(n m) - log n), the range of the entropies of plans.

    What the rows are off by may make it lower: so much weight times the range of the costs, 2.
    """
    cost = costs(6, 6, seed=seed)
    plan = sinkhorn(cost, reg=reg, iterations=4000)
    off = float((plan.sum(dim=1) - 1 / 6).abs().sum())
    least = oracle.least_cost(cost.numpy())
    found = float((plan * cost).sum())
    assert off < 1e-3
    assert least - 2 * off - 1e-9 <= found <= least + reg * math.log(6)


def test_a_batch_close_to_itself_is_transported_to_itself() -> None:
    z = torch.randn(8, 10, dtype=torch.float64)
    plan = sinkhorn(cosine_cost(z, z + 0.01 * torch.randn_like(z)))
    torch.testing.assert_close(plan, torch.eye(8).double() / 8, rtol=0, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_overflows_where_exp_would_be_zero_everywhere(dtype: torch.dtype) -> None:
    cost = (1.5 + costs(8, 8, high=0.5)).to(dtype).requires_grad_()
    plan = sinkhorn(cost, reg=1e-4)
    (gradient,) = torch.autograd.grad((plan * cost).sum(), cost)
    assert bool((torch.exp(-cost / 1e-4) == 0).all())
    assert torch.isfinite(plan).all()
    assert torch.isfinite(gradient).all()
    assert float(plan.detach().sum()) == pytest.approx(1.0, abs=1e-4)


@both
def test_a_constant_cost_spreads_everything_evenly(solve: Callable[..., Tensor]) -> None:
    plan = solve(torch.full((4, 4), 0.7, dtype=torch.float64))
    torch.testing.assert_close(plan, torch.full_like(plan, 1 / 16), rtol=1e-3, atol=0)


@pytest.mark.parametrize("solve", TRANSPORTS.values(), ids=TRANSPORTS)
def test_the_plan_follows_the_order_of_the_batches(solve: Callable[[Tensor], Tensor]) -> None:
    cost = costs(6, 7)
    rows, columns = torch.randperm(6), torch.randperm(7)
    found = solve(cost[rows][:, columns])
    torch.testing.assert_close(found, solve(cost)[rows][:, columns], rtol=1e-10, atol=1e-14)


# Its gradient.


@pytest.mark.parametrize("solve", TRANSPORTS.values(), ids=TRANSPORTS)
def test_the_gradient_flows_through_the_unrolled_iterations(
    solve: Callable[[Tensor], Tensor],
) -> None:
    """Of the transport cost with respect to the costs, against differences; T is not detached."""
    cost = costs(4, 5, high=0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: (solve(c) * c).sum(), cost)
    (whole,) = torch.autograd.grad((solve(cost) * cost).sum(), cost)
    assert not torch.allclose(whole, solve(cost.detach()), rtol=1e-2)


def test_at_convergence_the_gradient_of_the_regularised_value_is_the_plan() -> None:
    """Danskin: d/dC min_P <P, C> - reg H(P) = P."""
    cost, reg = costs(5, 5).requires_grad_(), 0.1
    plan = sinkhorn(cost, reg=reg, iterations=1000)
    value = (plan * cost).sum() + reg * torch.special.xlogy(plan, plan).sum()
    (gradient,) = torch.autograd.grad(value, cost)
    torch.testing.assert_close(gradient, plan.detach(), rtol=1e-6, atol=1e-9)


# The authors' rule.


@pytest.mark.parametrize("high", [0.001, 0.05, 0.4, 2.0])
@pytest.mark.parametrize("shape", [(6, 6), (5, 8)])
def test_the_authors_rule_matches_loops(shape: tuple[int, int], high: float) -> None:
    cost = costs(*shape, high=high)
    expected, taken = oracle.authors(cost.numpy(), reg=0.01, most=100)
    np.testing.assert_allclose(sinkhorn_of_the_authors(cost), expected, rtol=1e-9, atol=1e-15)
    assert taken < 100
    assert taken > 1 or high < 0.4


def test_the_authors_rule_stops_long_before_it_has_converged() -> None:
    cost = costs(6, 6, high=0.4)
    theirs, exact = sinkhorn_of_the_authors(cost), sinkhorn(cost, iterations=2000)
    ours = sinkhorn(cost)
    off = [float((plan.sum(dim=1) * 6 - 1).abs().max()) for plan in (theirs, ours, exact)]
    assert off[0] > 2 * off[1] > 2 * off[2]


def test_the_authors_rule_ends_after_as_many_iterations_as_allowed() -> None:
    cost = costs(6, 6)
    expected, taken = oracle.authors(cost.numpy(), reg=0.01, most=2)
    assert taken == 2
    np.testing.assert_allclose(sinkhorn_of_the_authors(cost, iterations=2), expected, rtol=1e-9)


def test_only_the_authors_rule_makes_the_host_wait() -> None:
    waits = []
    for solve in (sinkhorn, sinkhorn_of_the_authors):
        with counting.Operations() as operations:
            solve(costs())
        waits.append(operations.waits)
    assert waits[0] == 0 < waits[1]


# Both.


@both
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_widened_and_autocast_changes_nothing(
    solve: Callable[..., Tensor], dtype: torch.dtype
) -> None:
    cost = costs().to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = solve(cost)
    assert inside.dtype == torch.float32
    laws.assert_same_bits(inside, solve(cost.float()))


@both
def test_the_costs_are_not_modified(solve: Callable[..., Tensor]) -> None:
    cost = costs()
    with laws.assert_inputs_not_modified(cost):
        solve(cost)


@both
@pytest.mark.parametrize(
    ("cost", "fields", "phrase"),
    [
        (costs(), {"reg": 0.0}, "`reg`"),
        (costs(), {"reg": float("inf")}, "`reg`"),
        (costs(), {"iterations": 0}, "`iterations`"),
        (torch.rand(3), {}, "`cost` must be a matrix"),
        (torch.rand(0, 3), {}, "(0, 3)"),
        ([[1.0]], {}, "list"),
    ],
)
def test_what_makes_no_sense_is_refused(
    solve: Callable[..., Tensor], cost: Any, fields: dict[str, Any], phrase: str
) -> None:
    with pytest.raises(InputError) as caught:
        solve(cost, **fields)
    laws.assert_one_line(caught.value, phrase)
