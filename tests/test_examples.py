"""The examples that print numbers: each number against a second way to it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn
from torch.nn import functional

from examples import avmixup_gaussian_theory as theory
from examples import what_a_step_adds as step
from vicinal.maths.balls import sample

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


def test_a_plan_leaves_far_images_their_mass_and_spreads_that_of_equal_ones() -> None:
    far = nn.Flatten()
    x = torch.eye(4).view(4, 1, 2, 2)
    assert step.kept(far, x, eps=0.0) == pytest.approx(1.0, abs=1e-4)
    assert step.kept(far, torch.ones_like(x), eps=0.0) == pytest.approx(0.25, abs=1e-4)


def test_the_cosine_of_one_image_is_that_of_gradients_written_out() -> None:
    net, x, y = small_net()
    clean = net(x[:1]).detach()
    start = sample(x[:1], eps=0.1, norm="linf", rng=torch.Generator().manual_seed(step.SEED))
    start.requires_grad_()
    z = net(start)
    apart = 1 - functional.cosine_similarity(clean, z).sum()
    (scattered,) = torch.autograd.grad(apart, start, retain_graph=True)
    (climbed,) = torch.autograd.grad(functional.cross_entropy(z, y[:1]), start)
    expected = functional.cosine_similarity(scattered.view(1, -1), climbed.view(1, -1)).item()
    assert step.cosine(net, x[:1], y[:1], eps=0.1) == pytest.approx(expected, abs=1e-4)


def test_what_moves_add_is_that_of_steps_written_out_and_leaves_the_net_alone() -> None:
    net, x, y = small_net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = step.added(net, x, y, eps=0.1, batch=4)
    assert torch.equal(found["clean"], net(x))
    loss = {name: functional.cross_entropy(z, y).item() for name, z in found.items()}
    assert loss["PGD-10"] > loss["clean"]
    assert loss["R-FGSM"] > loss["clean"]
    start = sample(x[:4], eps=0.1, norm="linf", rng=step.seeded()).requires_grad_()
    (gradient,) = torch.autograd.grad(functional.cross_entropy(net(start), y[:4]), start)
    moved = (start + 0.1 * gradient.sign()).detach()
    moved = torch.minimum(torch.maximum(moved, x[:4] - 0.1), x[:4] + 0.1).clamp(0, 1)
    assert torch.allclose(found["R-FGSM"][:4], net(moved), atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def small_net() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A net of two layers, six images, and the classes that it gives them."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 16), nn.Tanh(), nn.Linear(16, 5)).eval()
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    x = torch.rand(6, 1, 3, 3)
    return net, x, net(x).argmax(1)
