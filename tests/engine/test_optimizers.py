from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from vicinal._checks import InputError
from vicinal.engine.optimizers import (
    OPTIMIZERS,
    SGD,
    Adam,
    OptimizerSpec,
    build_optimizer,
)
from vicinal.models import MODELS


def _walk(spec: OptimizerSpec, gradients: list[float], start: float = 2.0) -> float:
    weight = nn.Parameter(torch.tensor([start], dtype=torch.float64))
    optimizer = build_optimizer([weight], spec)
    for gradient in gradients:
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
    return float(weight.detach())


def test_the_table_names_both_with_the_papers_defaults() -> None:
    assert sorted(OPTIMIZERS.items()) == [("adam", Adam), ("sgd", SGD)]
    assert SGD() == SGD(lr=0.1, momentum=0.9, nesterov=False, weight_decay=1e-4)
    assert Adam() == Adam(lr=0.002, weight_decay=0.0, betas=(0.9, 0.999))


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_walks_as_the_heavy_ball_written_out(nesterov: bool) -> None:
    w, v = 2.0, 0.0
    gradients = [1.0, -0.5, 0.25, 3.0]
    for g in gradients:
        decayed = g + 0.01 * w
        v = 0.8 * v + decayed
        w -= 0.1 * (decayed + 0.8 * v if nesterov else v)
    spec = SGD(lr=0.1, momentum=0.8, nesterov=nesterov, weight_decay=0.01)
    assert _walk(spec, gradients) == pytest.approx(w, rel=1e-12)


def test_adam_walks_as_its_paper_with_the_penalty_in_the_gradient() -> None:
    w, m, v = 2.0, 0.0, 0.0
    gradients = [1.0, -0.5, 0.25, 3.0]
    for step, g in enumerate(gradients, 1):
        decayed = g + 0.1 * w
        m, v = 0.8 * m + 0.2 * decayed, 0.9 * v + 0.1 * decayed**2
        w -= 0.05 * (m / (1 - 0.8**step)) / ((v / (1 - 0.9**step)) ** 0.5 + 1e-8)
    spec = Adam(lr=0.05, weight_decay=0.1, betas=(0.8, 0.9))
    assert _walk(spec, gradients) == pytest.approx(w, rel=1e-12)


def test_frozen_parameters_are_left_out_and_the_peak_rate_is_remembered() -> None:
    frozen, learning = nn.Parameter(torch.ones(1), requires_grad=False), nn.Parameter(torch.ones(1))
    optimizer = build_optimizer([frozen, learning], SGD(lr=0.3))
    (group,) = optimizer.param_groups
    assert group["params"] == [learning]
    assert group["initial_lr"] == 0.3


def test_a_model_that_is_frozen_throughout_is_one_sentence() -> None:
    with pytest.raises(InputError, match="must have parameters that learn"):
        build_optimizer(nn.Linear(2, 2).requires_grad_(requires_grad=False).parameters(), SGD())


@pytest.mark.parametrize(
    ("build", "argument"),
    [
        (lambda: SGD(lr=0.0), "lr"),
        (lambda: SGD(momentum=1.0), "momentum"),
        (lambda: SGD(weight_decay=-1e-4), "weight_decay"),
        (lambda: SGD(momentum=0.0, nesterov=True), "nesterov"),
        (lambda: Adam(lr=float("inf")), "lr"),
        (lambda: Adam(betas=(0.9, 1.0)), "betas"),
        (lambda: SGD(decay="none"), "decay"),  # type: ignore[arg-type]
        (lambda: Adam(decay=True), "decay"),  # type: ignore[arg-type]
        (lambda: Adam(betas=(0.9,)), "betas"),  # type: ignore[arg-type]
    ],
)
def test_a_number_out_of_range_is_one_sentence(build: type[SGD], argument: str) -> None:
    with pytest.raises(InputError, match=f"^`{argument}` [^\n]*$"):
        build()


def test_a_list_of_betas_from_a_file_makes_the_same_adam() -> None:
    betas: tuple[float, float] = [0.8, 0.9]  # type: ignore[assignment]
    assert Adam(betas=betas) == Adam(betas=(0.8, 0.9))


NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


@pytest.mark.parametrize("spec", [SGD(weight_decay=0.1), Adam(weight_decay=0.1)])
@pytest.mark.parametrize("name", MODELS)
def test_decay_of_weights_leaves_out_biases_and_norms_of_every_net(
    name: str, spec: SGD | Adam
) -> None:
    """Which parameters those are is read off the types and names of the modules."""
    with torch.device("meta"):
        net = MODELS[name](num_classes=10, in_channels=1, mean=(0.5,), std=(0.5,))
    owners = {
        f"{where}.{leaf}".lstrip("."): module
        for where, module in net.named_modules()
        for leaf, _ in module.named_parameters(recurse=False)
    }
    spared = {
        name
        for name, module in owners.items()
        if isinstance(module, NORMS) or name.endswith(".bias")
    }
    assert len(spared) >= 3
    assert len(spared) < len(owners)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    optimizer = build_optimizer(net.parameters(), dataclasses.replace(spec, decay="weights"))
    decays = {
        names[id(parameter)]: group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert decays == {name: 0.0 if name in spared else 0.1 for name in owners}
    assert {group["initial_lr"] for group in optimizer.param_groups} == {spec.lr}
    (all_of_them,) = build_optimizer(net.parameters(), spec).param_groups
    assert [names[id(parameter)] for parameter in all_of_them["params"]] == list(owners)
    assert all_of_them["weight_decay"] == 0.1


def test_what_does_not_decay_stays_where_its_gradient_is_zero() -> None:
    net = nn.Linear(2, 2)
    before = {name: value.detach().clone() for name, value in net.named_parameters()}
    optimizer = build_optimizer(
        net.parameters(), SGD(lr=1.0, momentum=0.0, weight_decay=0.5, decay="weights")
    )
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(net.bias, before["bias"])
    assert torch.allclose(net.weight, 0.5 * before["weight"])


def test_a_net_of_kernels_alone_has_one_group() -> None:
    net = nn.Linear(2, 2, bias=False)
    assert len(build_optimizer(net.parameters(), SGD(decay="weights")).param_groups) == 1
