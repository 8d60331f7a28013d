"""The Adversarial Robustness Toolbox 1.20.1, which works on NumPy arrays."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.peers.budgets import Budget, Built

__all__ = ["build"]


def build(net: nn.Module, budget: Budget, seed: int) -> Built | None:
    """Give its attack.

    Args:
        net: The net.
        budget: What is asked for.
        seed: Of its draws, which are NumPy's global ones.

    Returns:
        The attack, or None.
    """
    evasion: Any = importlib.import_module("art.attacks.evasion")
    makers = _makers(budget)
    if budget.kind not in makers:
        return None
    np.random.seed(seed)
    torch.manual_seed(seed)
    device = next(net.parameters()).device

    def call(x: Tensor, y: Tensor) -> Tensor:
        classifier = _classifier(net, x)
        name, given = makers[budget.kind]
        attack = getattr(evasion, name)(classifier, batch_size=len(x), **given)
        adv = attack.generate(x=x.cpu().numpy(), y=y.cpu().numpy())
        return torch.from_numpy(adv).to(device)

    notes = {
        "cw-l2": "line search instead of Adam's steps",
        "standard": "its own members: two APGD, DeepFool, Square",
    }
    return Built(call=call, note=notes.get(budget.kind, ""))


def _makers(budget: Budget) -> dict[str, tuple[str, dict[str, Any]]]:
    eps, steps, size = budget.eps, budget.steps, budget.step_size
    ball = {"norm": np.inf, "eps": eps}
    quiet = {"verbose": False}
    return {
        "fgsm": ("FastGradientMethod", {**ball, "eps_step": eps}),
        "pgd": (
            "ProjectedGradientDescentPyTorch",
            {**ball, **quiet, "eps_step": size, "max_iter": steps, "num_random_init": 1},
        ),
        "mi-fgsm": (
            "MomentumIterativeMethod",
            {**ball, **quiet, "eps_step": size, "max_iter": steps, "decay": 1.0},
        ),
        "cw-l2": (
            "CarliniL2Method",
            {
                **quiet,
                "max_iter": steps,
                "binary_search_steps": budget.search_steps,
                "initial_const": 1e-3,
            },
        ),
        "apgd-ce": (
            "AutoProjectedGradientDescent",
            {
                **ball,
                **quiet,
                "eps_step": 2 * eps,
                "max_iter": steps,
                "nb_random_init": 1,
                "loss_type": "cross_entropy",
            },
        ),
        "square": ("SquareAttack", {**ball, **quiet, "max_iter": steps, "nb_restarts": 1}),
        "standard": ("AutoAttack", {**ball, "eps_step": 2 * eps}),
    }


def _classifier(net: nn.Module, x: Tensor) -> object:
    estimators: Any = importlib.import_module("art.estimators.classification")
    made: object = estimators.PyTorchClassifier(
        model=net,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(x.shape[1:]),
        nb_classes=10,
        clip_values=(0.0, 1.0),
        device_type="gpu" if x.is_cuda else "cpu",
    )
    return made
