"""torchattacks 3.5.1."""

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
        net: The net; it is wrapped, as its own mode would be lost.
        budget: What is asked for.
        seed: Of its draws.

    Returns:
        The attack, or None.
    """
    peer: Any = importlib.import_module("torchattacks")
    wrapped = nn.Sequential(net).eval()
    eps, steps, size = budget.eps, budget.steps, budget.step_size
    makers: dict[str, Any] = {
        "fgsm": lambda: peer.FGSM(wrapped, eps=eps),
        "pgd": lambda: peer.PGD(
            wrapped, eps=eps, alpha=size, steps=steps, random_start=budget.start
        ),
        "mi-fgsm": lambda: peer.MIFGSM(wrapped, eps=eps, alpha=size, steps=steps, decay=1.0),
        "cw-l2": lambda: peer.CW(wrapped, c=1, kappa=0, steps=steps, lr=0.01),
        "apgd-ce": lambda: peer.APGD(wrapped, eps=eps, steps=steps, n_restarts=1, seed=seed),
        "apgd-dlr": lambda: peer.APGD(
            wrapped, eps=eps, steps=steps, n_restarts=1, seed=seed, loss="dlr"
        ),
        "square": lambda: peer.Square(wrapped, eps=eps, n_queries=steps, n_restarts=1, seed=seed),
        "standard": lambda: peer.AutoAttack(wrapped, eps=eps, n_classes=10, seed=seed),
    }
    if budget.kind not in makers:
        return None
    torch.manual_seed(seed)
    attack = makers[budget.kind]()
    notes = {
        "cw-l2": "one constant, c = 1: it has no search",
        "standard": "its gradient attacks run 10 steps, not 100",
    }

    def call(x: Tensor, y: Tensor) -> Tensor:
        adv: Tensor = attack(x, y)
        return adv

    return Built(call=call, note=notes.get(budget.kind, ""))
