"""The examples that print numbers: each number against a second way to it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.optimize import minimize

from examples import avmixup_gaussian_theory as theory

MODELS = [
    theory.Features(),
    theory.Features(c=1, d=2, a=0.5),
    theory.Features(c=7, d=30, a=1e-4, b=0.25),
    theory.Features(c=4, d=5, a=1.0),
]
every_model = pytest.mark.parametrize("features", MODELS)
both = pytest.mark.parametrize("sampled", [True, False], ids=["sample", "truth"])


def variance(features: theory.Features, w_b: float, *, sampled: bool) -> float:
    """Of w^T x given the label, written out feature after feature."""
    c, d = features.c, features.d
    w_a = (1 - (d - c) * w_b) / (c + 1)
    spread = [features.a] + [features.a if sampled else features.b] * c
    return sum(w_a**2 * v for v in spread) + (d - c) * w_b**2 * features.b


@every_model
@both
def test_the_closed_form_has_the_least_variance(features: theory.Features, sampled: bool) -> None:
    found = minimize(
        lambda w: 1e3 * variance(features, w[0], sampled=sampled), x0=[0.01], tol=1e-14
    )
    assert features.optimum(sampled=sampled) == pytest.approx(found.x[0], abs=1e-6)
    best = variance(features, features.optimum(sampled=sampled), sampled=sampled)
    for off in (-1e-3, 1e-3):
        w_b = features.optimum(sampled=sampled) + off
        assert variance(features, w_b, sampled=sampled) > best


@every_model
@both
def test_weights_sum_to_one_and_their_variance_is_that_of_the_model(
    features: theory.Features, sampled: bool
) -> None:
    w = features.weights(0.01)
    _, deviation = features.moments(sampled=sampled)
    assert w.sum() == pytest.approx(1.0, abs=1e-12)
    assert float((w * deviation) @ (w * deviation)) == pytest.approx(
        variance(features, 0.01, sampled=sampled), rel=1e-12
    )


@every_model
@both
def test_the_fit_on_draws_finds_the_closed_form(features: theory.Features, sampled: bool) -> None:
    """Within 5 standard errors of a least-squares slope (false alarms: 1 in 2 million)."""
    n, exact = 50_000, features.optimum(sampled=sampled)
    found = features.fitted(n, sampled=sampled, rng=np.random.default_rng(0))
    direction = features.weights(1.0) - features.weights(0.0)
    _, deviation = features.moments(sampled=sampled)
    scale = float(np.linalg.norm(direction * deviation))
    standard_error = variance(features, exact, sampled=sampled) ** 0.5 / (scale * n**0.5)
    assert abs(found - exact) < 5 * standard_error


@pytest.mark.parametrize(("c", "d"), [(1, 2), (3, 10), (40, 100)])
def test_theorem3_is_the_limit_of_small_r(c: int, d: int) -> None:
    features = theory.Features(c=c, d=d)
    printed = c / (c * d + 2 * c + 1)
    off = [
        abs(theory.Features(c=c, d=d, a=r).optimum(sampled=False) - printed) for r in (1e-2, 1e-9)
    ]
    assert features.limit() == pytest.approx(printed, rel=1e-15)
    assert off[1] < 1e-9 < off[0], "at r = 0.01 it is not the optimum itself"


def test_theorem2_is_the_limit_of_small_r_in_the_sample() -> None:
    found = [theory.Features(a=r).optimum(sampled=True) for r in (1e-2, 1e-5, 1e-9)]
    assert found[0] > found[1] > found[2] > 0.0
    assert found[2] < 1e-9


def test_errors_are_those_counted_and_overfitting_costs_robustness() -> None:
    """Within 5 standard errors of a count of 50,000."""
    found = theory.errors_found(MODELS[0], draws=50_000, rng=np.random.default_rng(0))
    for exact, counted in found.values():
        assert abs(exact - counted) < 5 * (exact * (1 - exact) / 50_000) ** 0.5
    for kind in ("clean", "robust"):
        errors = [found[f"{kind} error at the {name} optimum"][0] for name in ("sample's", "true")]
        assert errors[0] > errors[1] + 0.01


def test_theorem1_needs_a_smaller_variance_for_any_robustness() -> None:
    assert theory.largest_eps(9, sigma=0.5, nu=1.0) == 0.0
    assert theory.largest_eps(9, sigma=0.5, nu=0.5) == pytest.approx(5 * 0.5 / 8)


def test_the_example_prints_it_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["avmixup_gaussian_theory.py", "--draws", "5000"])
    theory.main()
    told = capsys.readouterr().out
    assert len(told.splitlines()) == 6 + 4 + 3
    assert "w_B in truth, exact             0.081198" in told
    assert "w_B in truth, Theorem 3         0.081081" in told
