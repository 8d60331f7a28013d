"""Foolbox 3.3.4."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peers.budgets import Budget, Built

__all__ = ["build"]


def build(net: nn.Module, budget: Budget, seed: int) -> Built | None:
    """Give its attack.

    Args:
        net: The net.
        budget: What is asked for.
        seed: Of its draws, which are torch's global ones.

    Returns:
        The attack, or None.
    """
    peer: Any = importlib.import_module("foolbox")
    eps, steps, size = budget.eps, budget.steps, budget.step_size
    makers: dict[str, Any] = {
        "fgsm": lambda: peer.attacks.LinfFastGradientAttack(random_start=False),
        "pgd": lambda: peer.attacks.LinfPGD(
            abs_stepsize=size, steps=steps, random_start=budget.start
        ),
        "mi-fgsm": lambda: peer.attacks.LinfMomentumIterativeFastGradientMethod(
            abs_stepsize=size, steps=steps, momentum=1.0
        ),
        "cw-l2": lambda: peer.attacks.L2CarliniWagnerAttack(
            binary_search_steps=budget.search_steps, steps=steps
        ),
    }
    if budget.kind not in makers:
        return None
    device = next(net.parameters()).device
    wrapped = peer.PyTorchModel(net, bounds=(0, 1), device=device)
    attack = makers[budget.kind]()
    torch.manual_seed(seed)
    note = "its momentum adds up signs, not gradients" if budget.kind == "mi-fgsm" else ""

    def call(x: Tensor, y: Tensor) -> Tensor:
        _, clipped, _ = attack(wrapped, x, y, epsilons=eps if budget.bounded else None)
        adv: Tensor = clipped
        return adv

    return Built(call=call, note=note)
